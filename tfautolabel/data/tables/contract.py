"""What every kind of table can do: name its columns, show some rows, and be gone through once."""

from __future__ import annotations

from array import array
from typing import NamedTuple, Protocol

import numpy as np

from tfautolabel.data.readers import Reader, ReadFailure
from tfautolabel.labels import ABSTAIN, Rejected


class Columns(NamedTuple):
    """Which columns mean what.

    Attributes:
        input: the column of texts, encoded files or paths.
        label: the column of labels, or None.
        id: the column of names, or None for the row numbers.
    """

    input: str
    label: str | None
    id: str | None


class Scan(NamedTuple):
    """What going through a table once gives, of the n rows that are usable.

    Attributes:
        reader: reads the inputs.
        ids: (n,) names, NumPy's `StringDType`.
        class_ids: (n,) int64, -1 where there is no label.
        classes: the labels that occur, sorted.
        rejected: rows that are not usable.
    """

    reader: Reader
    ids: np.ndarray
    class_ids: np.ndarray
    classes: tuple[str, ...]
    rejected: list[Rejected]


class Table(Protocol):
    """A table of any kind.

    Attributes:
        name: for messages: the path of a file, or what the frame is.
        columns: the names of the columns.
        row_word: what a row is called in messages, "line" for instance.
    """

    name: str
    columns: tuple[str, ...]

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """The values of the first rows, None where there is none."""

    def scan(self, columns: Columns) -> Scan:
        """Goes through the table once.

        Raises:
            ValueError: If two rows have one name, or no row is usable.
        """


class RowCollector:
    """Takes down names and labels of rows, in few bytes a row.

    Args:
        source: the table's name, for messages.
        named: whether the table has a column of names.
    """

    def __init__(self, source: str, named: bool) -> None:
        self.source = source
        self.rejected: list[Rejected] = []
        self._named = named
        self._names: list[np.ndarray] = []
        self._recent: list[str] = []
        self._numbers = array("q")
        self._class_ids = array("q")
        self._classes: dict[str, int] = {}

    def keep(self, row: int, label: str | None, name: str | None) -> None:
        """Takes down a usable row.

        Args:
            row: its number, counted from 0 over all rows.
            label: its label; None, empty or blank if it has none.
            name: its name if the table has names.
        """
        label = label.strip() if label else ""
        self._class_ids.append(self._classes.setdefault(label, len(self._classes)) if label else ABSTAIN)
        self._numbers.append(row)
        if self._named:
            self._recent.append(name or "")
            if len(self._recent) == 65_536:
                self._pack()

    def reject(self, row: int, name: str | None, reason: str) -> None:
        """Takes down a row that is not usable."""
        self.rejected.append(Rejected(name or str(row), reason))

    def finish(self, reader: Reader) -> Scan:
        """The scan, once every row has been looked at.

        Raises:
            ValueError: If two rows have one name, or no row is usable.
        """
        if not self._numbers:
            first = f", the first: {self.rejected[0].reason}" if self.rejected else ""
            raise ValueError(
                f"{self.source}: no row can be used. Received: {len(self.rejected)} rows set aside{first}"
            )
        numbers = np.frombuffer(self._numbers, np.int64)
        class_ids, classes = self._in_order()
        return Scan(reader, self._ids(numbers), class_ids, classes, self.rejected)

    def _in_order(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Class ids that count the sorted labels."""
        classes = tuple(sorted(self._classes))
        # One place more than there are labels: ABSTAIN (-1) reads the last, which holds ABSTAIN.
        new_ids = np.full(len(classes) + 1, ABSTAIN, np.int64)
        for position, label in enumerate(classes):
            new_ids[self._classes[label]] = position
        return new_ids[np.frombuffer(self._class_ids, np.int64)], classes

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
            raise ValueError(
                f"{self.source}: names must be unique. Received: {str(names[first])!r} in rows "
                f"{numbers[first]} and {numbers[second]} (counted from 0)"
            )
        return names


def label_text(value: object) -> str | None:
    """A label of any type as text: 3 and 3.0 are "3"; None and NaN are no label."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def checked(value: bytes | None) -> bytes:
    """The bytes of an input.

    Raises:
        ReadFailure: If there are none.
    """
    if value is None:
        raise ReadFailure("the row has no input")
    return value
