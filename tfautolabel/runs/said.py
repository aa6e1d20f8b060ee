"""What a list of labels says besides: how examples were chosen, and which ones people gave no class.

A review writes two more columns into its labels.csv. `asked` is "random" for examples of its random sample
and "chosen" for the others; chosen ones say nothing about accuracy. `answer` is "none_of_these" or
"cannot_tell" for examples without a label that a person has looked at; what a model says about these is not
accepted.

A list that a person fills in must not tell which examples are random. Digests of their ids lie beside it, in
a hidden file.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfautolabel.data.addresses import place_of
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.label_file import LabelList, LabelRow, match_labels, read_label_file
from tfautolabel.data.label_texts import label_text
from tfautolabel.data.places import Place
from tfautolabel.data.tables.open_table import open_table
from tfautolabel.runs.inputs import Source

ASKED, ANSWER = "asked", "answer"
RANDOM, CHOSEN, GIVEN = "random", "chosen", "given"
"""Drawn at random, chosen by a strategy, and given before anybody was asked; the last ones count too."""
NO_CLASS = ("none_of_these", "cannot_tell")


@dataclass(frozen=True)
class Said:
    """What a list says beside the labels.

    Attributes:
        drawn: ids of the examples that were drawn at random; None if nothing is said about it.
        no_class: ids of examples that people gave no class, with "none_of_these" or "cannot_tell".
    """

    drawn: frozenset[str] | None = None
    no_class: dict[str, str] = field(default_factory=dict)


def read_said(source: Source, ids: Sequence[str]) -> Said:
    """Reads both columns of a source's list of labels, if it has them.

    Args:
        source: where the data and the list are.
        ids: the ids of all examples.
    """
    if source.labels is None:
        return Said()
    labels, encoding = place_of(source.labels), source.settings.encoding
    table = open_table(labels if isinstance(labels, Place) else str(labels), (), encoding)
    columns = {name.strip().lower(): name for name in table.columns}
    rows: list[tuple[LabelRow, Mapping[str, bytes | None]]] = []
    if columns.keys() & {ASKED, ANSWER}:
        records = [values for _, values, _ in table.records() if values is not None]
        rows = list(zip(read_label_file(labels, encoding).rows, records, strict=True))

    def by_id(name: str) -> dict[str, str]:
        if name not in columns:
            return {}
        given = [row._replace(label=_text(values.get(columns[name]))) for row, values in rows]
        around = labels.parent if isinstance(labels, Place) else labels.resolve().parent
        found = LabelList(given, (), str(labels), str(around))
        root = str(source.path) if source.is_folder else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reading the labels has told of names that do not exist
            values = match_labels(found, ids, root, numbered=False).labels
        return {one: value for one, value in zip(ids, values, strict=True) if value}

    asked, drawn = by_id(ASKED), None
    if {*asked.values()} and {*asked.values()} <= {RANDOM, CHOSEN, GIVEN}:
        drawn = frozenset(name for name, how in asked.items() if how != CHOSEN)
    elif (digests := _drawn_beside(labels)) is not None:
        drawn = frozenset(name for name in ids if _digest(name) in digests)
    return Said(drawn, {name: said for name, said in by_id(ANSWER).items() if said in NO_CLASS})


def write_drawn(labels: Path, drawn: Iterable[str]) -> None:
    """Remembers beside a list which of its examples tell how good the labels of the others are.

    Args:
        labels: the list that a person fills in.
        drawn: their ids: drawn at random, or given before anybody was asked.

    Raises:
        OSError: If it cannot be written.
    """
    with atomic_write(labels.with_name(_name_beside(labels))) as stream:
        json.dump({"drawn": sorted(map(_digest, drawn))}, stream)


def _name_beside(labels: Path | Place) -> str:
    return f".{labels.name}.drawn"


def _drawn_beside(labels: Path | Place) -> frozenset[str] | None:
    try:
        return frozenset(
            json.loads(labels.with_name(_name_beside(labels)).read_text(encoding="utf-8"))["drawn"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        missing = isinstance(error, FileNotFoundError) or not isinstance(error, OSError)
        if isinstance(labels, Place) and not missing:
            raise  # a network that fails does not say that there is no such list
        return None


def _digest(name: str) -> str:
    return hashlib.sha256(f"drawn {name}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _text(cell: bytes | None) -> str:
    return (label_text(cell) or "").strip()
