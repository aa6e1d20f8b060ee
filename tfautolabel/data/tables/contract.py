"""What every kind of table can do: name its columns, show some rows, and be gone through once."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from tfautolabel.data.label_values import Rules, Settled, settle_labels
from tfautolabel.data.readers import Reader, ReadFailure
from tfautolabel.labels import ABSTAIN, Rejected


class Columns(NamedTuple):
    """Which columns mean what.

    Attributes:
        input: the column of texts, encoded files or paths.
        label: the column of labels, or None.
        id: the column of names, or None for the row numbers.
        id_guessed: whether nobody asked for that column of names.
        rules: how the labels are read.
    """

    input: str
    label: str | None
    id: str | None
    id_guessed: bool = False
    rules: Rules = Rules()


class Record(NamedTuple):
    """One row as it stands in a file.

    Attributes:
        place: where it stands, "line 3" for instance.
        values: what it holds, by column; None if it cannot be used.
        reason: why not.
    """

    place: str
    values: dict[str, Any] | None
    reason: str | None


class NoNamesError(ValueError):
    """A guessed column of names does not name every row by itself; the message says why."""


class Scan(NamedTuple):
    """What going through a table once gives, of the n rows that are usable.

    Attributes:
        reader: reads the inputs.
        ids: (n,) names, NumPy's `StringDType`.
        class_ids: (n,) int64, -1 where there is no label.
        classes: the labels that occur, sorted.
        rejected: rows that are not usable.
        notes: what was understood of the labels, in sentences.
        warnings: what is most likely a mistake in them, in sentences.
    """

    reader: Reader
    ids: np.ndarray
    class_ids: np.ndarray
    classes: tuple[str, ...]
    rejected: list[Rejected]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Table(Protocol):
    """A table of any kind.

    Attributes:
        name: for messages: the path of a file, or what the frame is.
        columns: the names of the columns.
        unnamed: whether nothing in it names its columns, so that they have numbers.
        notes: what was understood of how it is written, in sentences.
        id_hint: the column that names the rows if no other does, or None.
    """

    name: str
    columns: tuple[str, ...]
    unnamed: bool
    notes: tuple[str, ...]
    id_hint: str | None

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """The values of the first rows, None where there is none."""

    def records(self) -> Iterator[Record]:
        """Each row's values, or why it has none; they are in memory one at a time."""

    def scan(self, columns: Columns) -> Scan:
        """Goes through the table once.

        Raises:
            NoNamesError: If a guessed column of names repeats or is empty somewhere.
            ValueError: If two rows have one name, a row has several labels, or no row is usable.
        """


class RowCollector:
    """Takes down names and labels of rows, in few bytes a row.

    Args:
        source: the table's name, for messages.
        columns: which columns mean what.
    """

    def __init__(self, source: str, columns: Columns) -> None:
        self.source = source
        self.rejected: list[Rejected] = []
        self._columns = columns
        self._named = columns.id is not None
        self._names: list[np.ndarray] = []
        self._recent: list[str] = []
        self._numbers = array("q")
        self._value_ids = array("q")
        self._values: dict[str, int] = {}

    def keep(self, row: int, label: str | None, name: str | None) -> None:
        """Takes down a usable row.

        Args:
            row: its number, counted from 0 over all rows.
            label: its label; None, empty or blank if it has none.
            name: its name if the table has names.
        """
        label = label.strip() if label else ""
        self._value_ids.append(self._values.setdefault(label, len(self._values)) if label else ABSTAIN)
        self._numbers.append(row)
        if self._named:
            self._recent.append(name or "")
            if len(self._recent) == 65_536:
                self._pack()

    def reject(self, row: int, name: str | None, reason: str) -> None:
        """Takes down a row that is not usable."""
        self.rejected.append(Rejected(name or str(row), reason))

    def reject_nameless(self, row: int, place: str) -> None:
        """Takes down a row without a name.

        Raises:
            NoNamesError: If nobody asked for names.
        """
        if self._columns.id_guessed:
            raise NoNamesError(f"column {self._columns.id!r} is empty in {place}")
        self.reject(row, None, f"{place}: column {self._columns.id!r} is empty")

    def finish(self, reader: Reader) -> Scan:
        """The scan, once every row has been looked at.

        Raises:
            NoNamesError: If two rows have one name and nobody asked for names.
            ValueError: If two rows have one name, a row has several labels, or no row is usable.
        """
        if not self._numbers:
            first = f", the first: {self.rejected[0].reason}" if self.rejected else ""
            raise ValueError(
                f"{self.source}: no row can be used. Received: {len(self.rejected)} rows set aside{first}"
            )
        numbers = np.frombuffer(self._numbers, np.int64)
        ids = self._ids(numbers)
        value_ids = np.frombuffer(self._value_ids, np.int64)
        counts = np.bincount(value_ids[value_ids != ABSTAIN], minlength=len(self._values))
        by_value = dict(zip(self._values, counts.tolist(), strict=True))
        settled = settle_labels(by_value, self.source, self._columns.rules)
        class_ids, classes = self._in_order(value_ids, settled)
        return Scan(reader, ids, class_ids, classes, self.rejected, settled.notes, settled.warnings)

    def _in_order(self, value_ids: np.ndarray, settled: Settled) -> tuple[np.ndarray, tuple[str, ...]]:
        """Class ids that count the sorted labels."""
        classes = tuple(sorted({name for name in settled.meaning.values() if name is not None}))
        position = {name: class_id for class_id, name in enumerate(classes)}
        # One place more than there are values: ABSTAIN (-1) reads the last, which holds ABSTAIN.
        new_ids = np.full(len(self._values) + 1, ABSTAIN, np.int64)
        for value, value_id in self._values.items():
            new_ids[value_id] = position.get(settled.meaning[value] or "", ABSTAIN)
        return new_ids[value_ids], classes

    def _pack(self) -> None:
        self._names.append(np.array(self._recent, np.dtypes.StringDType()))
        self._recent = []

    def _ids(self, numbers: np.ndarray) -> np.ndarray:
        if not self._named:
            return numbers.astype(np.dtypes.StringDType())
        self._pack()
        names = np.concatenate(self._names)
        order = np.argsort(names, kind="stable")
        same = np.flatnonzero(names[order][1:] == names[order][:-1])
        if len(same):
            first, second = order[same[0]], order[same[0] + 1]
            found = f"{str(names[first])!r} in rows {numbers[first]} and {numbers[second]} (counted from 0)"
            if self._columns.id_guessed:
                raise NoNamesError(f"column {self._columns.id!r} repeats: {found}")
            raise ValueError(f"{self.source}: names must be unique. Received: {found}")
        return names


def checked(value: bytes | None) -> bytes:
    """The bytes of an input.

    Raises:
        ReadFailure: If there are none.
    """
    if value is None:
        raise ReadFailure("the row has no input")
    return value
