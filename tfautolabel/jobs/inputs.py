"""What a run is given: the labelled examples, the pool, and what was set aside while they were listed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel.data import Dataset, Rejected, load_dataset

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """Where a run's data is; see `run` for each of these.

    Attributes:
        data: a folder, a file that holds a row for each example, or a frame.
        labels: a CSV file of labels, or None.
        labelled: a folder or file of labelled examples, or None.
        input_column: the column of texts or paths.
        label_column: the column of labels.
        id_column: the column of names.
        modality: "image", "text" or "audio"; None to recognise it.
    """

    data: Any
    labels: Place | None = None
    labelled: Place | None = None
    input_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    modality: str | None = None

    @property
    def path(self) -> Path | None:
        """Where `data` is; None for a frame, which is in memory."""
        return Path(self.data) if isinstance(self.data, (str, os.PathLike)) else None

    @property
    def name(self) -> str:
        """What `data` is called in messages and records."""
        return type(self.data).__name__ if self.path is None else os.fspath(self.data)

    @property
    def is_folder(self) -> bool:
        """Whether `data` is a folder."""
        return self.path is not None and self.path.is_dir()


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was found there.

    Attributes:
        examples: the labelled ones.
        pool: those to label.
        rejected: what was set aside.
        notes: what was guessed about the data, in sentences.
    """

    examples: Dataset
    pool: Dataset
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]


def read_inputs(source: Source, out: Path) -> Inputs:
    """Lists the labelled examples and the pool.

    Args:
        source: where they are.
        out: the folder of results, which is left out of the data.

    Raises:
        ValueError: If the input is not usable, with what was received and what is valid.
        FileNotFoundError: If a folder or file is not there.
    """
    _check_given(source)
    _check_places(source, out)
    inputs = _read_labelled_apart(source, out) if source.labelled is not None else _read_whole(source, out)
    if len(inputs.examples.classes) < 2:
        found = ", ".join(inputs.examples.classes) or "none"
        raise ValueError(f"labels of at least two classes are needed. Received: {found}")
    if len(inputs.pool) == 0:
        what = "file" if source.is_folder else "row"
        raise ValueError(
            f"there must be something to label. Received: {source.name}, in which every {what} has a label"
        )
    return inputs


def named_below(labelled: Place | None, rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
    """With the labelled folder's name in front: files below the other folder may have the same ids."""
    if labelled is None:
        return tuple(rejected)
    name = os.path.basename(os.path.realpath(labelled))
    return tuple(Rejected(f"{name}/{file_id}", reason) for file_id, reason in rejected)


def _check_given(source: Source) -> None:
    if source.labels is not None and source.labelled is not None:
        raise ValueError(
            "give either --labels, a CSV file with the columns path and label, or --labelled, a folder that "
            "has a folder per class or a table with a label column. Received: both"
        )
    if source.labels is None and source.labelled is None and source.is_folder:
        raise ValueError(
            "give either --labels, a CSV file with the columns path and label, or --labelled, a folder that "
            "has a folder per class. Received: neither"
        )


def make_folder(out: Path) -> None:
    """Makes a folder for results if there is none.

    Raises:
        ValueError: If it is a file.
        OSError: If it cannot be made or written to.
    """
    _check_is_no_file(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OSError(
            f"out must be a folder that can be written. Received: {out} ({error.strerror})"
        ) from error


def _check_is_no_file(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"out must be a folder, or new. Received: {out}, which is a file")


def _check_places(source: Source, out: Path) -> None:
    """Refuses folders that would make one thing be taken for another."""
    _check_is_no_file(out)
    data = source.path
    if data is None:
        return
    if _is_within(data, out) and _is_within(out, data):
        raise ValueError(f"out must be another folder than the one to label. Received: {out} for both")
    if source.labelled is not None and _is_within(data, Path(source.labelled)):
        raise ValueError(
            "the folder to label must not be the labelled folder or lie in it, where its own folder would be "
            f"a class. Received: {data} and {os.fspath(source.labelled)}"
        )


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _read_whole(source: Source, out: Path) -> Inputs:
    everything = _load(source, source.data, source.labels or "auto", [out])
    return Inputs(everything.labelled, everything.unlabelled, everything.rejected, everything.notes)


def _read_labelled_apart(source: Source, out: Path) -> Inputs:
    train = Path(source.labelled or "")
    examples = _load(source, train, "folder" if train.is_dir() else "auto", [out])
    modality = source.modality or examples.modality
    pool = load_dataset(
        source.data,
        None,
        input_column=source.input_column,
        id_column=source.id_column,
        exclude=[out, train],
        modality=modality,
    )
    rejected = (*named_below(source.labelled, examples.rejected), *pool.rejected)
    return Inputs(examples.labelled, pool, rejected, tuple(dict.fromkeys((*examples.notes, *pool.notes))))


def _load(source: Source, data: Any, labels: Place, exclude: Sequence[Path]) -> Dataset:
    return load_dataset(
        data,
        labels,
        input_column=source.input_column,
        label_column=source.label_column,
        id_column=source.id_column,
        exclude=exclude,
        modality=source.modality,
    )
