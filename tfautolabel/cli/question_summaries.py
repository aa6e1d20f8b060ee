"""Shows what a person can fill in, and how the answers come back."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfautolabel.cli.console import show

if TYPE_CHECKING:
    from tfautolabel.jobs.export_tasks import ExportedTasks
    from tfautolabel.jobs.query import QueryResult
    from tfautolabel.runs.inputs import Source


def show_query(found: QueryResult) -> None:
    """Shows what to fill in, and how to continue."""
    source, file = found.source, shlex.quote(str(found.file))
    so_far = f" (so far: {', '.join(found.classes)})" if found.classes else ""
    known = f"; the {found.known:,} labels that were there follow below them" if found.known else ""
    lines = [
        f"{found.asked:,} examples to label are in {found.file}{known}; write the class of each into the "
        f"column label{so_far}; an empty label is no answer. Then:",
    ]
    if source.labelled is None:
        settings = replace(source.settings, sampling="chosen")
        command = ["tfautolabel run", shlex.quote(source.name), "--labels", file, "--out"]
        out = "out" if found.out is None else shlex.quote(str(found.out))
        lines.append(f"  {' '.join([*command, out, *_class_options(source), *settings.words()])}")
    else:
        lines.append(f"  add them to {source.labelled}, and run again with --sampling chosen")
    show(
        *lines,
        "",
        "Most of them were chosen and not drawn: their shares say nothing (--sampling chosen), and accuracy "
        "on them is not that on the others. Beside the list, a hidden file remembers which ones were drawn.",
    )


def show_tasks(out: Path, found: ExportedTasks) -> None:
    """Shows what to import where, and how the answers come back."""
    known = f"; the {found.known:,} labels that were there follow, as annotations" if found.known else ""
    left = f"; {found.left_out:,} could not be read" if found.left_out else ""
    lines = [
        f"{found.asked:,} tasks with predictions are in {found.file}, the least sure first{known}{left}",
        f"the labelling interface is in {found.config}: paste it into the project's settings, then import "
        "the tasks",
    ]
    if found.root is not None:
        lines += [
            "so that Label Studio shows the files, start it with "
            f"LOCAL_FILES_SERVING_ENABLED=true LOCAL_FILES_DOCUMENT_ROOT={shlex.quote(str(found.root))}",
            "and add a folder below it as local storage of the project",
        ]
    lines.append("The ids come back with the answers. Export the project as JSON, then:")
    source = found.source
    if source.labelled is None:
        settings = replace(source.settings, sampling="chosen")
        command = ["tfautolabel run", shlex.quote(source.name), "--labels export.json --out"]
        command += [shlex.quote(str(out)), *_class_options(source)]
        lines.append(f"  {' '.join([*command, *settings.words()])}")
    else:
        lines.append(f"  add them to {source.labelled}, and run again with --sampling chosen")
    show(*lines)


def _class_options(source: Source) -> list[str]:
    rules = [] if source.rules is None else ["--rules", shlex.quote(str(source.rules))]
    return rules + ([] if source.descriptions is None else source.descriptions.words())
