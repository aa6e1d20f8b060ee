"""Checks where results may be written: never over a person's file, and never over an input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfautolabel.data.addresses import place_of
from tfautolabel.data.places import Place
from tfautolabel.runs.commit import check_finished
from tfautolabel.runs.files import COMMIT, DESCRIPTION, FILES, MODELS, RECORD, VERSION
from tfautolabel.runs.identity import check_whole, is_ours
from tfautolabel.runs.record import read_record


def check_places(out: Path, inputs: Sequence[Any]) -> None:
    """Refuses a results folder if a file of somebody else has the name of a result.

    Args:
        out: the folder.
        inputs: paths of data and labels; values that are not paths are ignored.

    Raises:
        ValueError: If there is such a file; the message names it.
    """
    if (out / RECORD).is_file():
        read_record(out)  # A damaged record, or one of another version, raises here.
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
    """Refuses a file at the place of a result if no run wrote it.

    Raises:
        ValueError: If no run wrote it.
    """
    if place.exists() and not is_ours(place):
        raise _not_ours(place)


def check_outputs(outputs: Iterable[Path | Place], inputs: Sequence[Any]) -> None:
    """Refuses outputs that are also inputs, under whatever name.

    Raises:
        ValueError: If an output is an input; the message names it.
    """
    given = [place_of(one) for one in inputs if isinstance(one, (str, os.PathLike))]
    for output in outputs:
        for one in given:
            if is_same(output, one):
                raise ValueError(
                    f"results must not replace an input. Received: {output}, which is {one}: write elsewhere"
                )


def is_same(one: Path | Place, other: Path | Place) -> bool:
    """Returns whether two paths lead to the same file, also through links."""
    if isinstance(one, Place) or isinstance(other, Place):
        return one == other
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
    """Refuses the model of an unfinished run, and a model that does not match the record beside it.

    A model that was copied elsewhere, or that no run made, is accepted.

    Args:
        model: a version folder, or the folder of a model.

    Raises:
        ValueError: If the model is refused; the message says what to do.
    """
    out = run_of_model(model)
    if out is None:
        return
    check_finished(out)
    if is_ours(out / DESCRIPTION) and (out / RECORD).is_file():
        record = read_record(out)
        check_whole(out, record, but=[name for name in record["files"] if name != DESCRIPTION])


def run_of_model(model: Path) -> Path | None:
    """Returns the folder of the run that a model at this place belongs to; None for any other place.

    Args:
        model: a version folder, or the folder of a model; links are followed.
    """
    version = (model / VERSION if (model / VERSION).is_dir() else model).resolve()
    return version.parent.parent if (version.parent.name, version.name) == (MODELS, VERSION) else None


def model_files(model: Path) -> list[Path]:
    """Returns the files beside a model that `check_model` reads; they need not exist."""
    out = run_of_model(model)
    return [] if out is None else [out / RECORD, out / COMMIT / RECORD]


def check_no_run(file: Path | Place) -> None:
    """Refuses a file that belongs to a run's folder.

    Raises:
        ValueError: If it belongs to one.
    """
    if file.name in FILES and (file.parent / RECORD).is_file():
        raise ValueError(
            f"{file.parent} holds a run, of which {file.name} is a part: write to another file or folder"
        )
