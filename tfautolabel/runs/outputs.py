"""Places that results may be written to: never over what a person made, never over an input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfautolabel.runs.commit import check_finished
from tfautolabel.runs.files import COMMIT, DESCRIPTION, FILES, MODELS, RECORD, VERSION
from tfautolabel.runs.identity import check_whole, is_ours
from tfautolabel.runs.record import read_record


def check_places(out: Path, inputs: Sequence[Any]) -> None:
    """Refuses a folder for a run's results in which something else is at the place of one of its files.

    Args:
        out: the folder.
        inputs: paths of data and labels; what is no path is not looked at.

    Raises:
        ValueError: If it is so, naming the file.
    """
    if (out / RECORD).is_file():
        read_record(out)  # A damaged one, or one of another version, is told at once.
    places = [out / name for name in FILES]
    check_outputs(places, inputs)
    for place in (*places, out / MODELS, out / MODELS / VERSION):
        if place.is_symlink():
            raise ValueError(f"a run's results are no links. Received: {place}: take it away")
    for place in places:
        check_ours(place)
    model, description = out / MODELS / VERSION, out / DESCRIPTION
    if model.exists() and any(model.iterdir()) and not is_ours(description):
        raise _not_ours(model)


def check_ours(place: Path) -> None:
    """Refuses a file at the place of one of a run's that no run wrote.

    Raises:
        ValueError: If it is so.
    """
    if place.exists() and not is_ours(place):
        raise _not_ours(place)


def check_outputs(outputs: Iterable[Path], inputs: Sequence[Any]) -> None:
    """Refuses outputs that are inputs, under whatever name.

    Raises:
        ValueError: If it is so, naming the file.
    """
    given = [Path(one) for one in inputs if isinstance(one, (str, os.PathLike))]
    for output in outputs:
        for one in given:
            if is_same(output, one):
                raise ValueError(
                    f"results must not replace an input. Received: {output}, which is {one}: write elsewhere"
                )


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, be it by links."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _not_ours(place: Path) -> ValueError:
    return ValueError(
        f"results must not replace what no run wrote. Received: {place}, which is something else or damaged: "
        "take it away, or write elsewhere"
    )


def check_model(model: Path) -> None:
    """Refuses the model of a run that is not finished, or that is not the one of the record beside it.

    A model that was copied elsewhere, or that no run made, is what it is.

    Args:
        model: a version folder, or the folder of a model.

    Raises:
        ValueError: If it is so, with what to do.
    """
    out = run_of_model(model)
    if out is None:
        return
    check_finished(out)
    if is_ours(out / DESCRIPTION) and (out / RECORD).is_file():
        record = read_record(out)
        check_whole(out, record, but=[name for name in record["files"] if name != DESCRIPTION])


def run_of_model(model: Path) -> Path | None:
    """The folder of the run whose model is, or would be, at this place; None where it is no such place.

    Args:
        model: a version folder, or the folder of a model; links are followed.
    """
    version = (model / VERSION if (model / VERSION).is_dir() else model).resolve()
    return version.parent.parent if (version.parent.name, version.name) == (MODELS, VERSION) else None


def model_files(model: Path) -> list[Path]:
    """Which files beside a model `check_model` goes by; they need not be there."""
    out = run_of_model(model)
    return [] if out is None else [out / RECORD, out / COMMIT / RECORD]


def check_no_run(file: Path) -> None:
    """Refuses a file that belongs to a run's folder.

    Raises:
        ValueError: If it is so.
    """
    if file.name in FILES and (file.parent / RECORD).is_file():
        raise ValueError(
            f"{file.parent} holds a run, of which {file.name} is a part: write to another file or folder"
        )
