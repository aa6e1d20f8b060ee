"""What is known of each example of a run: the columns of its table, and its name, folder, size and length."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.data.addresses import place_of
from tfautolabel.data.label_values import Rules
from tfautolabel.data.names import NAMES, shorten
from tfautolabel.data.places import Place
from tfautolabel.data.readers import Reader, read_rows
from tfautolabel.data.row_names import RowNames
from tfautolabel.data.tables.columns import NO_NAMES
from tfautolabel.data.tables.contract import NoRowsError, Table
from tfautolabel.data.tables.frames import as_table
from tfautolabel.data.tables.load import LoadedTable, load_table
from tfautolabel.data.tables.open_table import open_table
from tfautolabel.data.tables.paths import PathReader
from tfautolabel.rules.contract import Rule
from tfautolabel.rules.functions import ROW
from tfautolabel.rules.kinds import TEXT
from tfautolabel.rules.known import KnownRow, names_known


class Fields:
    """Gives what is known of examples, for `apply_rules(fields=)`.

    Columns are read on demand: only the names of the rows stay in memory, once for each column.

    Args:
        source: where the examples come from: a table's path, a frame, or a folder or list, which have no
            columns.
        names: the columns that are wanted; all by default. Others are left out.
        input_column: as for `load_dataset` when the examples were loaded.
        label_column: the same.
        id_column: the same.
        encoding: the same.
        modality: the examples'; recognised by default.

    Call arguments:
        examples: p examples of this source, in any order.

    Returns:
        p mappings; an empty cell is None, all other cells are text. A column goes before a fact of the
        example that has the same name, such as "size".

    Attributes:
        columns: all columns of the table.

    Raises:
        ValueError: If a wanted column holds values that cannot be read as text.
        FileNotFoundError: If there is no such file.

    Examples:
        >>> import pyarrow
        >>> from tfautolabel import load_dataset
        >>> table = pyarrow.table({"text": ["fine", "late"], "stars": [5, None]})
        >>> rows = Fields(table, input_column="text")(load_dataset(table, input_column="text"))
        >>> [(row["text"], row["stars"], row["length"]) for row in rows]
        [('fine', '5', 4), ('late', None, 4)]
    """

    def __init__(
        self,
        source: object,
        names: Sequence[str] | None = None,
        *,
        input_column: str | None = None,
        label_column: str | None = None,
        id_column: str | None = None,
        encoding: str | None = None,
        modality: str | None = None,
    ) -> None:
        self._source = source
        given = [name for name in (input_column, label_column, id_column) if name is not None]
        table = _table_of(source, given, encoding)
        self.columns: tuple[str, ...] = () if table is None else table.columns
        self._name = "" if table is None else table.name
        self._wanted = [name for name in self.columns if names is None or name in names]
        self._options: dict[str, Any] = {
            "label_column": label_column, "id_column": id_column, "encoding": encoding
        }  # fmt: skip
        self._input, self._modality = input_column, modality
        self._found: dict[str, _Column] = {}
        self._alone = threading.Lock()
        unusable = [name for name in self._wanted if not _is_readable(getattr(table, "types", {}).get(name))]
        if names is None:
            self._wanted = [name for name in self._wanted if name not in unusable]
        elif unusable:
            kind = getattr(table, "types", {})[unusable[0]]
            raise ValueError(
                f"{self._name}: rules look at columns of texts and numbers; write others as text. "
                f"Received: column {unusable[0]!r} of type {kind}"
            )

    def __call__(self, examples: Dataset) -> list[KnownRow]:
        """See the class."""
        with self._alone:  # one column is read by one thread, in the order of the file
            cells = {name: self._column(name).read(examples.ids) for name in self._wanted}
        return [
            KnownRow(examples, row, {name: values[row] for name, values in cells.items()})
            for row in range(len(examples))
        ]

    def _column(self, name: str) -> _Column:
        if self._options["id_column"] is None:
            # What names the rows was guessed; another input column might lead to another guess.
            guessed = _loaded(self._source, self._input, self._options, self._modality).id_column
            self._options["id_column"] = guessed or NO_NAMES
        if name not in self._found:
            self._found[name] = _load(self._source, name, self._options)
        return self._found[name]


def fields_for(rules: Sequence[Rule], source: object, modality: str, **options: Any) -> Fields:
    """Makes the fields that some rules look at.

    Args:
        rules: of any kind.
        source: as for `Fields`.
        modality: of the examples.
        **options: as for `Fields`.

    Raises:
        ValueError: If a rule looks at a column that is not there; the message names the rule's line and the
            columns.
    """
    of_rows = any(getattr(rule, "on", "") == ROW for rule in rules)
    wanted = {getattr(rule, "field", TEXT) for rule in rules}
    fields = Fields(source, None if of_rows else tuple(wanted), modality=modality, **options)
    known = (TEXT, *names_known(modality))
    for rule in rules:
        field = getattr(rule, "field", TEXT)
        if field in fields.columns or field in known:
            continue
        line = getattr(rule, "line", None)
        there = f"the columns {shorten(fields.columns)}" if fields.columns else "no columns: it is no table"
        raise ValueError(
            f"{line.place if line else rule.name}: field must be one of {', '.join(known)}, or a column of "
            f"the data, which has {there}. Received: {field!r}"
        )
    return fields


class _Column:
    """The cells of a column by the names of the rows.

    Args:
        reader: reads the n cells that hold something; None if all cells are empty.
        ids: (n,) names of their rows.
        empty: names of the other rows.
        what: the column, for messages.
    """

    def __init__(
        self, reader: Reader | None, ids: np.ndarray | RowNames, empty: np.ndarray, what: str
    ) -> None:
        self._reader = reader
        self._ids = np.asarray(ids)
        self._order = np.argsort(self._ids, kind="stable")
        self._empty = np.sort(empty)
        self._what = what

    def lacks(self, names: np.ndarray) -> bool:
        """Returns whether one of some names is none of its rows."""
        if self._reader is None:
            return False
        return bool(((self._places(names) < 0) & ~_among(names, self._empty)).any())

    def read(self, names: np.ndarray) -> list[str | None]:
        """Returns the cells of some rows.

        Raises:
            ValueError: If there is no such row.
        """
        if self.lacks(names):
            raise ValueError(
                f"{self._what}: its rows must have the names of the examples. Received: an example that is "
                "none of its rows; the table has changed, or the names of rows were read in another way"
            )
        cells: list[str | None] = [None] * len(names)
        if self._reader is None:
            return cells
        places = self._places(names)
        rows = np.flatnonzero(places >= 0)
        found = read_rows(self._reader, places[rows].tolist())
        for row, value in zip(rows.tolist(), found, strict=True):
            if not isinstance(value, ReadFailure):
                cells[row] = value.decode("utf-8", "replace") or None
        return cells

    def _places(self, names: np.ndarray) -> np.ndarray:
        """Returns the row of each name, -1 where there is none."""
        if not len(self._ids):
            return np.full(len(names), -1)
        places = np.searchsorted(self._ids, names, sorter=self._order)
        rows = self._order[np.minimum(places, len(self._ids) - 1)]
        return np.where(self._ids[rows] == names, rows, -1)


def _among(names: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if not len(ordered):
        return np.zeros(len(names), bool)
    places = np.minimum(np.searchsorted(ordered, names), len(ordered) - 1)
    return np.asarray(ordered[places] == names)


def _load(source: object, name: str, options: dict[str, Any]) -> _Column:
    try:
        loaded = _loaded(source, name, options, "text")
    except NoRowsError:
        nothing = np.array([], NAMES)
        return _Column(None, nothing, nothing, f"column {name!r}")
    reader = loaded.scan.reader
    # A path is what the cell says, not the file that it leads to.
    reader = reader.names if isinstance(reader, PathReader) else reader
    empty = np.array([row.id for row in loaded.scan.unreadable], NAMES)
    return _Column(reader, loaded.scan.ids, empty, f"column {name!r}")


def _loaded(
    source: object, input_column: str | None, options: dict[str, Any], modality: str | None
) -> LoadedTable:
    return load_table(
        source,
        input_column=input_column,
        modality=modality,
        labels_wanted=False,
        rules=Rules(keep=True),
        **options,
    )


def _table_of(source: object, wanted: Sequence[str], encoding: str | None) -> Table | None:
    """Opens a table; None if the source is none."""
    if isinstance(source, (str, os.PathLike)):
        place = place_of(source)
        file = place if isinstance(place, Place) else str(place)
        return None if place.is_dir() else open_table(file, wanted, encoding)
    return None if isinstance(source, (list, tuple)) else as_table(source)


def _is_readable(kind: Any) -> bool:
    """Returns whether values of an Arrow type are read as texts; other tables hold texts."""
    if kind is None:
        return True
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    numbers = (types.is_integer, types.is_floating, types.is_null)
    return any(is_of(kind) for is_of in (*texts, *numbers)) or str(kind) in ("string_view", "binary_view")
