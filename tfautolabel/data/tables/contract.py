"""The interface of every kind of table: column names, sample rows, and one pass over all rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from tfautolabel.data.class_ids import ClassIds, FewLabels, dense_ids
from tfautolabel.data.label_values import Rules, Settled, settle_labels
from tfautolabel.data.readers import Reader, ReadFailure
from tfautolabel.data.row_names import RowNames
from tfautolabel.data.row_runs import LONG, RowRuns, RunCollector
from tfautolabel.labels import ABSTAIN, Unreadable


class Columns(NamedTuple):
    """The roles of the columns.

    Attributes:
        input: the column of texts, encoded files or paths.
        label: the column of labels, or None.
        id: the column of names, or None for the row numbers.
        id_guessed: whether the column of names was guessed.
        rules: how to read the labels.
    """

    input: str
    label: str | None
    id: str | None
    id_guessed: bool = False
    rules: Rules = Rules()


class Record(NamedTuple):
    """One row as a file holds it.

    Attributes:
        place: its position, such as "line 3".
        values: its values by column; None if the row cannot be used.
        reason: why it cannot be used.
    """

    place: str
    values: dict[str, Any] | None
    reason: str | None


class NoNamesError(ValueError):
    """A guessed column of names does not give every row its own name; the message says why."""


class NoRowsError(ValueError):
    """No row of a table can be used; the message shows why."""


class Scan(NamedTuple):
    """The result of one pass over a table, for the n usable rows.

    Attributes:
        reader: reads the inputs.
        ids: (n,) names, NumPy's `StringDType`, or `RowNames`.
        class_ids: (n,) int64, -1 where there is no label; or the same as `FewLabels`.
        classes: the labels that occur, sorted.
        unreadable: the rows that are not usable.
        notes: sentences that say how the labels were understood.
        warnings: sentences about likely mistakes in the labels.
    """

    reader: Reader
    ids: np.ndarray | RowNames
    class_ids: ClassIds
    classes: tuple[str, ...]
    unreadable: list[Unreadable]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Table(Protocol):
    """A table of any kind.

    Attributes:
        name: a file's path or a frame's description, for messages.
        columns: the names of the columns.
        unnamed: whether the table has no column names, so that numbers take their place.
        notes: sentences that say how the format was understood.
        id_hint: the column that names the rows if no other column does, or None.
    """

    name: str
    columns: tuple[str, ...]
    unnamed: bool
    notes: tuple[str, ...]
    id_hint: str | None

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """Returns the values of the first rows, None for a missing value."""

    def records(self) -> Iterator[Record]:
        """Yields each row's values, or why it has none; only one row is in memory at a time."""

    def scan(self, columns: Columns) -> Scan:
        """Passes over the table once.

        Raises:
            NoNamesError: If a guessed column of names has repeated or empty values.
            ValueError: If two rows have the same name, a row has several labels, or no row is usable.
        """


class RowCollector:
    """Collects names and labels of rows, in few bytes per row.

    Args:
        source: the table's name, for messages.
        columns: the roles of the columns.
    """

    def __init__(self, source: str, columns: Columns) -> None:
        self.source = source
        self.unreadable: list[Unreadable] = []
        self._columns = columns
        self._named = columns.id is not None
        self._names: list[np.ndarray] = []
        self._recent: list[str] = []
        self._rows = RunCollector()
        self._count = 0
        self._labelled = array("q")
        self._value_ids = array("q")
        self._values: dict[str, int] = {}

    def keep(self, row: int, label: str | None, name: str | None) -> None:
        """Adds a usable row.

        Args:
            row: its number, counting all rows from 0.
            label: its label; None, empty or blank if it has none.
            name: its name, if the table has names.
        """
        label = label.strip() if label else ""
        if label:
            self._labelled.append(self._count)
            self._value_ids.append(self._values.setdefault(label, len(self._values)))
        self._rows.add(row)
        self._count += 1
        if self._named:
            self._recent.append(name or "")
            if len(self._recent) == 65_536:
                self._pack()

    def keep_unnamed(self, row: int, count: int) -> None:
        """Adds consecutive usable rows that have neither label nor name."""
        self._rows.add(row, count)
        self._count += count

    def set_aside(self, row: int, name: str | None, reason: str) -> None:
        """Adds a row that is not usable."""
        self.unreadable.append(Unreadable(name or str(row), reason))

    def set_nameless_aside(self, row: int, place: str) -> None:
        """Adds a row without a name.

        Raises:
            NoNamesError: If the column of names was guessed.
        """
        if self._columns.id_guessed:
            raise NoNamesError(f"column {self._columns.id!r} is empty in {place}")
        self.set_aside(row, None, f"{place}: column {self._columns.id!r} is empty")

    def finish(self, reader: Reader) -> Scan:
        """Returns the scan after all rows were added.

        Raises:
            NoNamesError: If two rows have the same name and the column of names was guessed.
            ValueError: If two rows have the same name, a row has several labels, or no row is usable.
        """
        if not self._count:
            first = f", the first: {self.unreadable[0].reason}" if self.unreadable else ""
            raise NoRowsError(
                f"{self.source}: no row can be used. Received: {len(self.unreadable)} rows set aside{first}"
            )
        ids = self._ids(self.rows)
        if isinstance(ids, np.ndarray):
            ids.flags.writeable = False
        value_ids = np.array(self._value_ids, np.int64)
        counts = np.bincount(value_ids, minlength=len(self._values))
        by_value = dict(zip(self._values, counts.tolist(), strict=True))
        settled = settle_labels(by_value, self.source, self._columns.rules)
        class_ids, classes = self._in_order(value_ids, settled)
        return Scan(reader, ids, class_ids, classes, self.unreadable, settled.notes, settled.warnings)

    @property
    def rows(self) -> RowRuns:
        """The numbers of the rows that were added so far."""
        return self._rows.finish()

    def _in_order(self, value_ids: np.ndarray, settled: Settled) -> tuple[ClassIds, tuple[str, ...]]:
        """Returns class ids that index into the sorted labels."""
        classes = tuple(sorted({name for name in settled.meaning.values() if name is not None}))
        position = {name: class_id for class_id, name in enumerate(classes)}
        new_ids = np.full(len(self._values), ABSTAIN, np.int64)
        for value, value_id in self._values.items():
            new_ids[value_id] = position.get(settled.meaning[value] or "", ABSTAIN)
        found = new_ids[value_ids]
        kept = found != ABSTAIN
        few = FewLabels(self._count, np.array(self._labelled, np.int64)[kept], found[kept])
        # Of a table of which most rows have labels, the dense form is the smaller one.
        return (few if self._count > max(LONG, 2 * len(few.rows)) else dense_ids(few)), classes

    def _pack(self) -> None:
        self._names.append(np.array(self._recent, np.dtypes.StringDType()))
        self._recent = []

    def _ids(self, numbers: RowRuns) -> np.ndarray | RowNames:
        if not self._named:
            lazy = RowNames(numbers)
            return lazy if self._count > LONG else np.asarray(lazy)
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
    """Returns the bytes of an input, if there are any.

    Raises:
        ReadFailure: If the row has no input.
    """
    if value is None:
        raise ReadFailure("the row has no input")
    return value
