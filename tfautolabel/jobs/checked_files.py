"""Writes what a check of labels found: tables for people and a record for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfautolabel.data import Unreadable, write_unreadable
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.label_file import CHECKED
from tfautolabel.data.writers import as_utf8, unix_csv
from tfautolabel.jobs.label import refuse_to_overwrite
from tfautolabel.jobs.label_check import LabelCheck
from tfautolabel.runs.files import UNREADABLE
from tfautolabel.runs.outputs import check_no_run, is_same

TABLE, DUPLICATES, UNLIKE, RECORD = "check_labels.csv", "duplicates.csv", "unlike.csv", "check_labels.json"
COLUMNS = {
    TABLE: ("rank", "id", CHECKED, "likelier", "score", "why"),
    DUPLICATES: ("group", "kind", "conflicting", "id", CHECKED, "distance"),
    UNLIKE: ("rank", "id", CHECKED, "score"),
    UNREADABLE: Unreadable._fields,
}
"""File to its columns. `likelier` is empty where no class is likelier than the given one. `kind` is "same" or
"near"; near copies are told pair by pair, with their distance."""


def check_checked(out: Path, inputs: Sequence[Any]) -> None:
    """Refuses places where results would replace an input or a file that no check wrote.

    Args:
        out: the folder for the results.
        inputs: paths of data and labels; values that are not paths are ignored.

    Raises:
        ValueError: If a file would be lost.
    """
    paths = [Path(one) for one in inputs if isinstance(one, (str, Path))]
    if any(is_same(out, one) for one in paths):
        raise ValueError(f"out must be another folder than the data. Received: {out} for both")
    check_no_run(out / UNREADABLE)
    refuse_to_overwrite({out / name: columns for name, columns in COLUMNS.items()}, list(paths))
    if (out / RECORD).exists() and not _is_record(out / RECORD):
        raise ValueError(
            f"{out / RECORD} exists and was not written by this command, which would overwrite it: name "
            "another folder, or move that file away"
        )


def write_checked(found: LabelCheck, out: Path) -> None:
    """Writes all files, each whole; the record comes last.

    Raises:
        OSError: If a file cannot be written.
    """
    ids = [as_utf8(name) for name in found.examples.ids.tolist()]
    names = [as_utf8(name) for name in found.classes]
    given = found.given.tolist()
    likelier, scores = found.quality.likelier.tolist(), found.quality.scores.tolist()
    rows: list[list[Any]] = []
    for rank, row in enumerate(found.order.tolist(), 1):
        other = names[likelier[row]] if likelier[row] != given[row] else ""
        rows.append([rank, ids[row], names[given[row]], other, f"{scores[row]:.6f}", as_utf8(found.why[row])])
    _write(out / TABLE, rows)
    groups: list[list[tuple[Any, ...]]] = [
        [("same", one.conflicting, row, 0.0) for row in one.rows.tolist()] for one in found.copies
    ]
    for first, second, distance in found.near:
        differ = given[first] != given[second]
        groups.append([("near", differ, row, distance) for row in (first, second)])
    _write(
        out / DUPLICATES,
        (
            [number, kind, "true" if differ else "false", ids[row], names[given[row]], f"{distance:.6f}"]
            for number, group in enumerate(groups, 1)
            for kind, differ, row, distance in group
        ),
    )
    _write(
        out / UNLIKE,
        (
            [rank, ids[row], names[given[row]], f"{found.unlike_scores[row]:.6f}"]
            for rank, row in enumerate(found.unlike.tolist(), 1)
        ),
    )
    write_unreadable(found.unreadable, out / UNREADABLE)
    with atomic_write(out / RECORD) as file:
        file.write(json.dumps(found.record, indent=2, ensure_ascii=False) + "\n")


def _write(file: Path, rows: Iterable[Sequence[Any]]) -> None:
    with atomic_write(file) as stream:
        writer = unix_csv(stream)
        writer.writerow(COLUMNS[file.name])
        writer.writerows(rows)


def _is_record(file: Path) -> bool:
    try:
        return "wrong_among_these" in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False
