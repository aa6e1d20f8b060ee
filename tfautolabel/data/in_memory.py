"""Inputs that are in memory: texts, encoded files, or paths of files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from tfautolabel.data.located_files import LocatedFiles, NamedFiles
from tfautolabel.data.modality import MODALITIES, SAMPLE, recognise_modality, telling_part
from tfautolabel.data.path_search import LOOKED_AT, find_place
from tfautolabel.data.picture_files import note_of_range
from tfautolabel.data.readers import MemoryReader, Reader, ReadFailure, read_rows
from tfautolabel.data.written_paths import MAX_PATH, PathSearch, is_base64

KINDS = "texts (str), encoded files (bytes) or paths (str or pathlib.Path)"


class HeldInputs(NamedTuple):
    """Inputs in memory and what they are.

    Attributes:
        reader: gives the bytes of each input.
        modality: "image", "text" or "audio".
        notes: sentences that say what was understood.
    """

    reader: Reader
    modality: str
    notes: tuple[str, ...]


def listed_inputs(inputs: object) -> Sequence[Any]:
    """Returns inputs that have an order as a list or tuple.

    Raises:
        TypeError: If it is a single text or file, has no order, or is a table.
    """
    if isinstance(inputs, (list, tuple)):
        return inputs
    table = hasattr(inputs, "columns")
    if table or isinstance(inputs, (str, bytes, bytearray, Mapping, Set)) or not hasattr(inputs, "__iter__"):
        more = "; load_dataset takes tables" if table else ""
        raise TypeError(f"inputs must be a list of {KINDS}{more}. Received: one {type(inputs).__name__}")
    return list(inputs)


def held_inputs(inputs: Sequence[Any], modality: str | None) -> HeldInputs:
    """Tells whether inputs are texts, encoded files or paths.

    Args:
        inputs: n values of one of `KINDS`. With "text", each str is a text.
        modality: None to recognise it.

    Raises:
        TypeError: If a value has another type, or files and texts are mixed; the message names the row.
        ValueError: If strings look like paths but lead to no file, or the modality does not exist.
    """
    if modality is not None and modality not in MODALITIES:
        raise ValueError(f"modality must be one of {MODALITIES}. Received: modality={modality!r}")
    kinds = [_kind(value) for value in inputs]
    for row, kind in enumerate(kinds):
        if kind is None:
            raise TypeError(f"inputs must be {KINDS}. Received: {_shown(inputs[row])} in row {row}")
    found = sorted({kind for kind in kinds if kind is not None})
    if len(found) > 1 and not (modality == "text" and found == ["bytes", "str"]):
        first = ", ".join(f"{kind} in row {kinds.index(kind)}" for kind in found)
        raise TypeError(f"inputs must be of one kind: {KINDS}. Received: {first}")
    if found == ["bytes"] or not found:
        known = modality or _of_files(inputs[:SAMPLE])
        return HeldInputs(
            MemoryReader(inputs), known, _range_said(inputs[:SAMPLE]) if known == "image" else ()
        )
    if found == ["path"]:
        return _of_paths([os.fspath(value) for value in inputs], modality)
    place = None
    if modality != "text":
        if sum(map(is_base64, inputs[:SAMPLE])) * 2 > len(inputs[:SAMPLE]):
            raise ValueError(
                f"inputs must be {KINDS}. Received: base64, {inputs[0][:30]!r} in row 0; decode it to bytes "
                f"first"
            )
        rows = np.unique(np.linspace(0, len(inputs) - 1, LOOKED_AT, dtype=int)).tolist()
        place = find_place([inputs[row] for row in rows], "the list of inputs", None)
        if place is None and modality is not None:
            raise TypeError(
                f"inputs must be encoded files as bytes, or paths. Received: the text {inputs[0][:40]!r} in "
                f"row 0 "
                f"with modality={modality!r}"
            )
    if place is not None:
        return _of_paths(inputs, modality, place)
    # A lone surrogate is no character; the replacement character takes its place.
    texts = [value.encode("utf-8", "replace") if isinstance(value, str) else value for value in inputs]
    return HeldInputs(MemoryReader(texts), "text", ())


class ListedFiles(LocatedFiles):
    """The files that a list names.

    Args:
        place: where to look for them.
        paths: n paths as written.
    """

    def __init__(self, place: NamedFiles, paths: Sequence[str]) -> None:
        super().__init__(place)
        self._paths = tuple(paths)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def names(self) -> MemoryReader:
        """Returns a reader of the paths as they are written."""
        return MemoryReader([path.encode("utf-8", "surrogateescape") for path in self._paths])

    def located(self, row: int) -> str:
        """See `LocatedFiles`."""
        written = self._paths[row][: MAX_PATH + 1]
        found, _ = self.place.locate(written)
        if found is None:
            raise ReadFailure(f"there is no file {self.place.shown(written)[:200]!r}")
        return found


def _of_paths(paths: Sequence[str], modality: str | None, place: NamedFiles | None = None) -> HeldInputs:
    rows = np.unique(np.linspace(0, len(paths) - 1, LOOKED_AT, dtype=int)).tolist()
    place = place or find_place([paths[row] for row in rows], "the list of inputs", None, named=True)
    reader = ListedFiles(place or PathSearch("in full", os.path.realpath(os.curdir), free=True), paths)
    read = read_rows(reader, rows[: 2 * SAMPLE], telling_part)
    some = [value for value in read if isinstance(value, bytes)]
    modality = modality or recognise_modality(some) or "image"
    what = {"image": "pictures", "text": "texts", "audio": "sound clips"}[modality]
    where = place.words if place is not None else "as written"
    said = (f"{len(paths):,} {what} in the files that the list names, {where}",)
    return HeldInputs(reader, modality, said + (_range_said(some) if modality == "image" else ()))


def _range_said(samples: Sequence[bytes]) -> tuple[str, ...]:
    note = note_of_range(samples)
    return () if note is None else (note,)


def _of_files(some: Sequence[bytes]) -> str:
    """Returns what some encoded files are: pictures, unless they are sound or text."""
    found = recognise_modality(some) or "image"
    sentences = sum(len(value.split()) > 1 for value in some)
    return "image" if found == "text" and sentences * 2 <= len(some) else found


def _kind(value: object) -> str | None:
    if isinstance(value, str):
        return "str"
    if isinstance(value, bytes):
        return "bytes"
    return "path" if isinstance(value, os.PathLike) else None


def _shown(value: object) -> str:
    return "None" if value is None else type(value).__name__
