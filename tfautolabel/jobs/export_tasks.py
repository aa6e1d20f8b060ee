"""Writes a run's examples as tasks of Label Studio, with what the model says about each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.addresses import is_remote
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.tables.label_studio import OWN_ID, OWN_UNCERTAINTY
from tfautolabel.data.tables.paths import PathReader
from tfautolabel.labels import ABSTAIN
from tfautolabel.runs.commit import check_finished
from tfautolabel.runs.files import PREDICTIONS_PARQUET
from tfautolabel.runs.inputs import Place, Source, load_by
from tfautolabel.runs.label_config import LabelConfig, make_label_config, model_version
from tfautolabel.runs.outputs import check_no_run
from tfautolabel.runs.predictions import read_predictions
from tfautolabel.runs.record import read_record

FORMATS = ("label-studio",)
CONFIG = "label_config.xml"
LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves files below its LOCAL_FILES_DOCUMENT_ROOT."""

_AT_ONCE = 512


@dataclass(frozen=True)
class ExportedTasks:
    """What was written.

    Attributes:
        file: the tasks, a JSON array to import.
        config: the label config beside it.
        asked: how many tasks have a prediction and no label, the least sure first.
        known: how many tasks with a label that was there before follow.
        left_out: how many examples could not be read.
        source: the data and settings of the run.
        root: the folder that Label Studio must serve as local files; None for texts, and with a prefix.
    """

    file: Path
    config: Path
    asked: int
    known: int
    left_out: int
    source: Source
    root: Path | None


def export_tasks(
    out: Place,
    file: Place | None = None,
    *,
    to: str = "label-studio",
    n: int | None = None,
    root: Place | None = None,
    prefix: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ExportedTasks:
    """Writes tasks with predictions, the least sure first, and the label config beside them.

    Each task holds the example's id in `data.tal_id`, which comes back in every export, and 1 - confidence in
    `data.tal_uncertainty`, to sort by. The labels that the run learnt from follow as annotated tasks, so that
    an export holds all labels and can be handed to `run` as its labels.

    Args:
        out: the folder of a run.
        file: the JSON file to write; by default label_studio.json in the working directory.
        to: the tool, "label-studio".
        n: how many tasks without a label are written; by default all.
        root: for pictures and sounds: the folder that Label Studio serves as local files (its
            LOCAL_FILES_DOCUMENT_ROOT); by default the folder of the data.
        prefix: for pictures and sounds elsewhere: an address that the path below `root` is added to, such as
            "https://media.example.org/".
        say: is called with what was recognised.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists that would be written.
        FileNotFoundError: If there is no run, or its data are gone.
        ValueError: If an argument is not valid, or a picture or sound is not a file below `root`.
        OSError: If a file cannot be written.
    """
    if to not in FORMATS:
        raise ValueError(f"tasks are written to {' or '.join(FORMATS)}. Received: to={to!r}")
    if n is not None and n < 1:
        raise ValueError(f"one task at least is written. Received: n={n}")
    if prefix is not None and not prefix.lower().startswith(("http://", "https://", "s3://", "gs://", "/")):
        raise ValueError(
            f"prefix must be an address, such as https://media.example.org/. Received: {prefix!r}"
        )
    out, file = Path(out), Path("label_studio.json" if file is None else file)
    config_file = file.with_name(CONFIG)
    for one in (file, config_file):
        check_no_run(one)
        if one.exists():
            raise FileExistsError(f"{one} exists and is never overwritten: name another place (--output)")
    record = read_record(out)
    check_finished(out)
    source = Source.from_record(record)
    if is_remote(source.data):
        raise ValueError(
            f"tasks name files on this machine. Received: {out}, a run of {source.name}: copy the data here"
        )
    if not os.path.exists(source.data):
        raise FileNotFoundError(
            f"the data of a run must still be where it was. Received: {out}, whose data was {source.data}"
        )
    everything = read_all(source, [out])
    for note in everything.notes:
        say(note)
    if everything.modality == "text" and (root is not None or prefix is not None):
        raise ValueError("texts are written into the tasks and need no root and no prefix. Received: one")
    base = Path(os.path.realpath(root if root is not None else _folder_of(source)))
    classes = tuple(record["counts"]["classes"])
    config, xml = make_label_config(everything.modality, classes)
    content = _Content(everything, source, base, LOCAL_FILES if prefix is None else prefix)
    writer = _Writer(config, model_version(record["id"]), content)
    predictions = read_predictions(out / PREDICTIONS_PARQUET, classes)
    order = np.argsort(predictions.confidence, kind="stable")[:n]
    asked = writer.asked(
        predictions.names(order),
        predictions.confidence[order],
        [classes[i] for i in predictions.class_ids[order]],
    )
    with atomic_write(file) as stream, atomic_write(config_file) as config_stream:
        config_stream.write(xml)
        for number, task in enumerate(writer.both(asked)):
            stream.write(("[\n" if number == 0 else ",\n") + json.dumps(task, ensure_ascii=False))
        stream.write("\n]\n" if writer.written else "[]\n")
    needs_root = everything.modality != "text" and prefix is None
    return ExportedTasks(
        file, config_file, writer.written - writer.known, writer.known, writer.left_out, source,
        base if needs_root else None,
    )  # fmt: skip


def read_all(source: Source, exclude: list[Path]) -> Dataset:
    """Lists all examples of a run's data, with the labels that lie in or beside it.

    Raises:
        ValueError: If the data cannot be used.
        FileNotFoundError: If it does not exist.
    """
    settings = source.settings
    if source.labelled is None:
        # Without a list of labels, the folders of a tree may have any meaning.
        return load_by(
            settings, source.data, source.labels or (None if source.is_folder else "auto"), exclude
        )
    exclude = [*exclude, Path(source.labelled)]
    return load_by(replace(settings, label_column=None), source.data, None, exclude)


def _folder_of(source: Source) -> Path:
    path = Path(source.data)
    return path if path.is_dir() else path.parent


class _Content:
    """Gives what the data of a task holds: a text, or the address of a picture or sound."""

    def __init__(self, dataset: Dataset, source: Source, base: Path, prefix: str) -> None:
        self.dataset = dataset
        self._base = base
        self._prefix = prefix
        self._folder = Path(source.data) if source.is_folder else None
        reader = dataset.reader
        self._table = reader if isinstance(reader, PathReader) else None
        if dataset.modality != "text" and self._folder is None and self._table is None:
            raise ValueError(
                "pictures and sounds must be files, which Label Studio can show. "
                f"Received: {source.name}, which holds them itself"
            )

    def of(self, rows: list[int]) -> list[str | None]:
        """Returns the content of some rows; None where it cannot be read."""
        if self.dataset.modality == "text":
            return [
                None if isinstance(value, ReadFailure) else value.decode("utf-8", "replace")
                for value in self.dataset.read(rows)
            ]
        return [self._address(row) for row in rows]

    def _address(self, row: int) -> str | None:
        if self._table is not None:
            written = self._table.names.read(row).decode("utf-8", "replace")
            place = self._table.place.locate(written)[0]
            file = None if place is None else Path(place)
        else:
            # The folder may be a link; the files below it are named as they were listed.
            file = Path(os.path.realpath(self._folder or ""), str(self.dataset.ids[row]))
        if file is None:
            return None
        if not file.is_relative_to(self._base):
            raise ValueError(
                f"root must be a folder around all of the data. Received: root={str(self._base)!r}, and the "
                f"file {str(file)!r}"
            )
        return self._prefix + quote(file.relative_to(self._base).as_posix(), errors="surrogateescape")


class _Writer:
    """Makes the tasks, and counts them."""

    def __init__(self, config: LabelConfig, version: str, content: _Content) -> None:
        self.written = self.known = self.left_out = 0
        self._config = config
        self._version = version
        self._content = content

    def asked(self, names: list[str], confidence: np.ndarray, labels: list[str]) -> Iterator[dict[str, Any]]:
        """Yields tasks with predictions."""
        # Names are written in UTF-8, as the predictions are.
        ids = self._content.dataset.ids.tolist()
        rows = {str(name).encode("utf-8", "backslashreplace"): row for row, name in enumerate(ids)}
        for start in range(0, len(names), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            wanted = [rows.get(name.encode("utf-8", "backslashreplace")) for name in names[some]]
            there = [row for row in wanted if row is not None]
            content = dict(zip(there, self._content.of(there), strict=True))
            for name, row, score, label in zip(
                names[some], wanted, confidence[some].tolist(), labels[some], strict=True
            ):
                value = None if row is None else content[row]
                if value is None:
                    self.left_out += 1
                    continue
                data = {self._config.key: value, OWN_ID: name, OWN_UNCERTAINTY: round(1.0 - score, 4)}
                self.written += 1
                yield {"data": data, "predictions": [self._config.prediction(label, score, self._version)]}

    def both(self, asked: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yields these tasks, then those that have a label."""
        yield from asked
        dataset = self._content.dataset
        known = np.flatnonzero(dataset.class_ids != ABSTAIN)
        for start in range(0, len(known), _AT_ONCE):
            rows = known[start : start + _AT_ONCE].tolist()
            for row, value in zip(rows, self._content.of(rows), strict=True):
                if value is None:
                    self.left_out += 1
                    continue
                label = dataset.classes[dataset.class_ids[row]]
                answer = self._config.prediction(label, 1.0, self._version)["result"]
                self.written += 1
                self.known += 1
                yield {
                    "data": {self._config.key: value, OWN_ID: str(dataset.ids[row]), OWN_UNCERTAINTY: 0.0},
                    "annotations": [{"result": answer, "ground_truth": True}],
                }
