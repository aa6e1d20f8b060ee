"""The inputs of a run: labelled examples, the pool, and what was set aside while they were listed.

The record names the inputs; code that needs the examples again also reads them here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfautolabel.data import Dataset, Unreadable, load_dataset
from tfautolabel.data.addresses import in_full, is_within, local_folder, place_of
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.data.places import Place as Remote
from tfautolabel.runs.described_classes import Known, with_descriptions, with_rules
from tfautolabel.runs.record import settings_of
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.rules.contract import Rule
    from tfautolabel.rules.fields import Fields

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """The location of a run's data.

    Attributes:
        data: a folder, a file that holds a row for each example, or a frame.
        labels: a CSV file of labels, or None.
        labelled: a folder or file of labelled examples, or None.
        settings: the run's settings; used here are the columns, the modality and how labels and texts are
            read.
        rules: a file of rules, or None.
        descriptions: what each class is, in words, or None.
    """

    data: Any
    labels: Place | None = None
    labelled: Place | None = None
    settings: RunSettings = field(default_factory=RunSettings)
    rules: Place | None = None
    descriptions: ClassDescriptions | None = None

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Source:
        """Returns the source that a run's record names."""
        inputs = record["inputs"]
        settings = replace(settings_of(record), modality=inputs.get("modality"))
        told = ClassDescriptions.from_record(inputs.get("descriptions"))
        return cls(
            inputs["data"], inputs.get("labels"), inputs.get("labelled"), settings, inputs.get("rules"), told
        )

    @classmethod
    def with_backbone_of(cls, record: dict[str, Any]) -> Source:
        """Returns the source that a record names, with the backbone that was used."""
        source = cls.from_record(record)
        handle = record["backbone"].get("handle")
        return replace(source, settings=replace(source.settings, backbone=handle))

    def described(self, modality: str, labelled_digest: str, pool_digest: str) -> dict[str, Any]:
        """Returns the inputs as run.json stores them."""
        labels, labelled, rules = self.labels, self.labelled, self.rules
        return {
            "data": self.name if self.path is None else in_full(self.path),
            "modality": modality,
            "labels": None if labels is None else in_full(labels),
            "labels_sha256": _sha256(labels),
            "labelled": None if labelled is None else in_full(labelled),
            "labelled_contents_sha256": labelled_digest,
            "pool_contents_sha256": pool_digest,
            "rules": None if rules is None else os.path.abspath(rules),
            "rules_sha256": _sha256(rules),
            "descriptions": None if self.descriptions is None else self.descriptions.to_record(),
        }

    @property
    def path(self) -> Path | Remote | None:
        """The path of `data`, or its place in a store; None for a frame, which is in memory."""
        return place_of(self.data) if isinstance(self.data, (str, os.PathLike)) else None

    @property
    def name(self) -> str:
        """The name of `data` in messages and records."""
        return type(self.data).__name__ if self.path is None else str(self.path)

    @property
    def knows_classes(self) -> bool:
        """Whether rules or descriptions name classes, so that labels are not needed."""
        return self.rules is not None or self.descriptions is not None

    @property
    def is_folder(self) -> bool:
        """Whether `data` is a folder."""
        return self.path is not None and self.path.is_dir()


@dataclass(frozen=True, eq=False)
class Inputs:
    """The examples that a source gave.

    Attributes:
        examples: the labelled examples.
        pool: the examples to label.
        unreadable: what was set aside.
        notes: sentences that say what was guessed about the data.
        rules: the rules of the source's file; none without one.
    """

    examples: Dataset
    pool: Dataset
    unreadable: tuple[Unreadable, ...]
    notes: tuple[str, ...]
    rules: tuple[Rule, ...] = ()


def _sha256(file: Place | None) -> str | None:
    return None if file is None else hashlib.sha256(place_of(file).read_bytes()).hexdigest()


def check_source(source: Source, out: Path) -> None:
    """Refuses places that could be confused with each other, before anything is read.

    Raises:
        ValueError: If there are such places; the message says what was received and what is valid.
    """
    _check_given(source)
    _check_places(source, out)


def read_inputs(source: Source, out: Path, say: Callable[[str], None] = lambda _: None) -> Inputs:
    """Lists the labelled examples and the pool.

    Args:
        source: the location of the data.
        out: the folder of results, which is left out of the data.
        say: is called with every guess, even if the input is refused afterwards.

    Raises:
        ValueError: If the input cannot be used; the message says what was received and what is valid.
        FileNotFoundError: If a folder or file does not exist.
    """
    inputs = _read_labelled_apart(source, out) if source.labelled is not None else _read_whole(source, out)
    for note in inputs.notes:
        say(note)
    known = Known(inputs.examples, inputs.pool, inputs.notes, inputs.rules)
    if source.descriptions is not None:
        known = with_descriptions(known, source.descriptions)
    if source.rules is not None:
        known = with_rules(known, source.rules, say)
    for note in known.notes[len(inputs.notes) :]:
        say(note)
    inputs = replace(inputs, **known._asdict())
    check_classes(inputs.examples.classes, inputs.notes, source.rules is not None)
    if len(inputs.pool) == 0:
        what = "file" if source.is_folder else "row"
        raise ValueError(
            f"there must be something to label. Received: {source.name}, in which every {what} has a label"
        )
    return inputs


def fields_of(source: Source, rules: Sequence[Rule], modality: str) -> Fields:
    """Makes what rules may look at besides the input of an example; see `tfautolabel.rules.fields`.

    Args:
        source: the location of the data.
        rules: any rules.
        modality: of the data.

    Raises:
        ValueError: If a rule looks at a column that is not there.
    """
    from tfautolabel.rules.fields import fields_for

    settings = source.settings
    return fields_for(
        rules,
        source.data,
        modality,
        input_column=settings.input_column,
        label_column=settings.label_column,
        id_column=settings.id_column,
        encoding=settings.encoding,
    )


def read_examples(source: Source, out: Path | None = None) -> Dataset:
    """Lists only the labelled examples; if the labels are in or beside the data, lists all of the data.

    Args:
        source: the location of the data.
        out: the folder of results, which is left out of the data.

    Raises:
        ValueError: If the input cannot be used; the message says what was received and what is valid.
        FileNotFoundError: If a folder or file does not exist.
    """
    if source.labels is not None:
        _check_given(source)
    if source.labelled is None:
        exclude = [] if out is None else [out]
        return load_by(source.settings, source.data, source.labels or "auto", exclude)
    if source.path is not None and not source.path.exists():
        raise FileNotFoundError(f"there is no folder or file {source.name!r}")
    return _read_labelled(source, out)


def read_again(source: Source, out: Path) -> tuple[Dataset | None, Dataset]:
    """Lists the labelled examples and the pool of a run again, to look at some of them.

    Labels that were corrected or added since the run change nothing here.

    Returns:
        The labelled examples (None if they cannot be read) and the pool. If the labelled ones are in the
        pool, both are the same data set.

    Raises:
        ValueError: If the data have changed; the message says what was received and what is valid.
        FileNotFoundError: If the data no longer exist.
    """
    if source.labelled is None:
        # A table holds its own labels; with a file of labels, the data can be read without that file.
        in_rows = source.labels is None and not source.is_folder
        whole = (
            load_by(source.settings, source.data, "auto", [out])
            if in_rows
            else _read_pool(source, out, source.settings.modality)
        )
        return whole, whole
    pool = _read_pool(source, out, source.settings.modality)
    with contextlib.suppress(OSError, ValueError):
        return _read_labelled(source, out), pool
    return None, pool


def check_classes(classes: Sequence[str], notes: Sequence[str], by_rules: bool = False) -> None:
    """Refuses fewer than two classes; the message says how the data was understood.

    Args:
        classes: their names.
        notes: how the data was understood.
        by_rules: whether rules name classes too.

    Raises:
        ValueError: If there are fewer than two.
    """
    if len(classes) < 2:
        understood = "; ".join(notes)
        of_rules = ", or rules for them" if by_rules else ""
        raise ValueError(
            f"labels of at least two classes are needed{of_rules}. Received: {', '.join(classes) or 'none'}"
            + (f"; understood was: {understood}; another column is named by --label-column" if notes else "")
        )


def named_below(labelled: Place | None, unreadable: Sequence[Unreadable]) -> tuple[Unreadable, ...]:
    """Puts the labelled folder's name before ids: files below the other folder may have the same ids."""
    if labelled is None:
        return tuple(unreadable)
    place = place_of(labelled)
    name = place.name if isinstance(place, Remote) else os.path.basename(os.path.realpath(place))
    return tuple(Unreadable(f"{name}/{file_id}", reason) for file_id, reason in unreadable)


def _check_given(source: Source) -> None:
    if source.labels is not None and source.labelled is not None:
        raise ValueError(
            "give either --labels, a CSV file with the columns path and label, or --labelled, a folder that "
            "has a folder per class or a table with a label column. Received: both"
        )
    if source.labels is None and source.labelled is None and not source.knows_classes and source.is_folder:
        raise ValueError(
            "give either --labels, a CSV file with the columns path and label, or --labelled, a folder that "
            "has a folder per class; or --rules, a file of rules, or --describe, what each class is. "
            "Received: neither"
        )


def make_folder(out: Path) -> None:
    """Makes a folder for results if it does not exist.

    Raises:
        ValueError: If a file has its name, or it is an address.
        OSError: If the folder cannot be made or written to.
    """
    _check_is_no_file(local_folder(out))
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
    """Refuses folders that could be confused with each other."""
    _check_is_no_file(out)
    data = source.path
    if data is None:
        return
    if is_within(data, out) and is_within(out, data):
        raise ValueError(f"out must be another folder than the one to label. Received: {out} for both")
    if source.labelled is not None and is_within(data, source.labelled):
        raise ValueError(
            "the folder to label must not be the labelled folder or lie in it, where its own folder would be "
            f"a class. Received: {data} and {os.fspath(source.labelled)}"
        )


def _read_whole(source: Source, out: Path) -> Inputs:
    # The folders below a folder are no labels where rules or descriptions give them.
    usual = None if source.knows_classes and source.is_folder else "auto"
    everything = load_by(source.settings, source.data, source.labels or usual, [out, *_files(source)])
    return Inputs(everything.labelled, everything.unlabelled, everything.unreadable, everything.notes)


def _read_labelled_apart(source: Source, out: Path) -> Inputs:
    examples = _read_labelled(source, out)
    pool = _read_pool(source, out, source.settings.modality or examples.modality)
    unreadable = (*named_below(source.labelled, examples.unreadable), *pool.unreadable)
    return Inputs(examples.labelled, pool, unreadable, tuple(dict.fromkeys((*examples.notes, *pool.notes))))


def _files(source: Source) -> list[Path]:
    """Returns files of the source that are no examples."""
    described = None if source.descriptions is None else source.descriptions.file
    return [Path(place) for place in (source.rules, described) if place is not None]


def _read_labelled(source: Source, out: Path | None) -> Dataset:
    train, exclude = place_of(source.labelled or ""), [] if out is None else [out]
    return load_by(source.settings, train, "folder" if train.is_dir() else "auto", exclude)


def _read_pool(source: Source, out: Path, modality: str | None) -> Dataset:
    others = [place_of(place) for place in (out, source.labels, source.labelled) if place is not None]
    others += _files(source)
    # The labels are elsewhere, and so their column may be missing here.
    return load_by(replace(source.settings, modality=modality, label_column=None), source.data, None, others)


def load_by(
    settings: RunSettings, data: object, labels: Place | None, exclude: Sequence[Path | Remote]
) -> Dataset:
    """Loads a data set as the settings say.

    Args:
        settings: the run's settings; used here are the columns, the modality, the frame and how labels and
            texts are read.
        data: as for `load_dataset`.
        labels: as for `load_dataset`.
        exclude: folders and files that are not data.

    Raises:
        ValueError: As for `load_dataset`.
        FileNotFoundError: As for `load_dataset`.
    """
    return load_dataset(
        data,
        labels,
        input_column=settings.input_column,
        label_column=settings.label_column,
        id_column=settings.id_column,
        exclude=exclude,
        modality=settings.modality,
        label_values=settings.label_values,
        encoding=settings.encoding,
        follow_links=settings.follow_links,
    ).with_frame(settings.frame)
