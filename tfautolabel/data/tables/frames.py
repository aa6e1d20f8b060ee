"""Recognises frames in Python by their methods, without importing their packages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from tfautolabel.data.label_texts import label_text
from tfautolabel.data.tables.arrow import FrameTable
from tfautolabel.data.tables.written_index import written_index

HOLDERS = (
    "a pandas or Polars DataFrame, a Hugging Face Dataset, an Arrow table, a tf.data.Dataset, or a list of "
    "texts, "
    "encoded files or paths"
)
INDEX = "index"
"""The column name of a frame's index that has no name."""


def as_table(frame: object) -> FrameTable | None:
    """Turns an object into a table; None if its kind is unknown.

    Args:
        frame: one of `HOLDERS`.

    Raises:
        TypeError: If it is a stream or several data sets, or if the elements of a `tf.data.Dataset` are not
            inputs, pairs or dictionaries.
        ValueError: If two columns have the same name, or a `tf.data.Dataset` never ends.
    """
    import pyarrow as pa

    kind = f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
    if isinstance(frame, dict):
        if frame and all(hasattr(part, "features") for part in frame.values()):
            raise TypeError(
                f"data must be one Hugging Face Dataset. Received: a {type(frame).__name__} of "
                f"{list(frame)}; give "
                f"one of them, such as data[{next(iter(frame))!r}]"
            )
        return None
    if hasattr(frame, "features") and hasattr(frame, "with_format"):
        kinds = {base.__name__ for base in type(frame).__mro__}
        if "IterableDataset" in kinds or not hasattr(frame, "__getitem__"):
            raise TypeError(
                f"data must be a Hugging Face Dataset with a length. Received: a stream, "
                f"{type(frame).__name__}; "
                f"take some of it, such as datasets.Dataset.from_list(list(data.take(10_000)))"
            )
        # Arrow gives files as they are stored; the default format would decode every picture.
        return FrameTable(frame.with_format("arrow")[:], kind, _class_names(frame.features))
    if isinstance(frame, pa.Table):
        index = written_index(frame.schema.metadata, frame.column_names, frame.num_rows)
        if index is not None and index.numbers is not None:
            frame = frame.append_column(index.name, pa.array(index.numbers, pa.int64()))
        return FrameTable(frame, kind, id_hint=None if index is None else index.name)
    if hasattr(frame, "as_numpy_iterator"):
        if hasattr(frame, "cardinality") and int(frame.cardinality()) == -1:
            raise ValueError(
                "data must end. Received: a tf.data.Dataset that repeats for ever; take(n) of it ends"
            )
        return FrameTable(_elements(frame.as_numpy_iterator()), kind)
    if hasattr(frame, "columns") and hasattr(frame, "to_arrow"):
        return _of_polars(frame, kind)
    if hasattr(frame, "columns") and hasattr(frame, "iloc"):
        return _of_pandas(frame, kind)
    return None


def index_names(frame: object) -> list[str | None] | None:
    """Returns the index of a pandas frame or column as names; None if it only counts rows from 0."""
    index = getattr(frame, "index", None)
    if index is None or not hasattr(frame, "iloc"):
        return None
    values = index.tolist()
    if all(type(value) is int for value in values) and values == list(range(len(values))):
        return None
    return [
        "/".join(label_text(part) or "" for part in value) if isinstance(value, tuple) else label_text(value)
        for value in values
    ]


def in_order_of(data: Any, labels: Any) -> Any:
    """Puts labels into the order of the data: pandas columns are matched by index if both have one.

    Args:
        data: the data that the labels belong to.
        labels: of any kind; only pandas columns are reordered.

    Raises:
        ValueError: If both have an index and the indexes name different rows.
        TypeError: If the labels are a single text.
    """
    if isinstance(labels, (str, bytes)):
        raise TypeError(f"labels must be a list with a label for each row. Received: {labels!r}")
    if not (hasattr(labels, "iloc") and hasattr(labels, "index") and hasattr(data, "iloc")):
        return labels
    if len(labels) != len(data) or data.index.equals(labels.index):
        return labels
    if not (data.index.is_unique and labels.index.is_unique and set(data.index) == set(labels.index)):
        raise ValueError(
            f"labels must have the index of the data. Received: labels of {labels.index[:3].tolist()}, … for "
            f"rows "
            f"{data.index[:3].tolist()}, …; labels.tolist() takes them in their order"
        )
    return labels.reindex(data.index)


def _of_pandas(frame: Any, kind: str) -> FrameTable:
    import pyarrow as pa

    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{kind}: columns must have different names. Received twice: {repeated}")
    arrays, unusable = {}, {}
    for place, name in enumerate(names):
        column = frame.iloc[:, place]
        try:
            arrays[name] = pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            values = column.tolist()
            given = [value for value in values if not _is_nothing(value)]
            if given and all(isinstance(value, os.PathLike) for value in given):
                arrays[name] = pa.array(
                    [None if _is_nothing(v) else os.fspath(v) for v in values], pa.string()
                )
            else:
                arrays[name] = pa.nulls(len(values))
                unusable[name] = _kinds(values)
    index = index_names(frame)
    hint = None
    if index is not None:
        hint = str(getattr(frame.index, "name", None) or INDEX)
        while hint in arrays:
            hint += " of the frame"
        arrays[hint] = pa.array(index, pa.string())
    return FrameTable(pa.table(arrays), kind, unusable=unusable, id_hint=hint)


def _of_polars(frame: Any, kind: str) -> FrameTable:
    import pyarrow as pa

    # Otherwise Arrow would get the addresses of Python objects.
    schema = getattr(frame, "schema", {})
    unusable = {name: _kinds(frame[name].to_list()) for name in schema if str(schema[name]) == "Object"}
    if not unusable:
        return FrameTable(frame.to_arrow(), kind)
    arrays = {
        name: pa.nulls(len(frame)) if name in unusable else frame[name].to_arrow() for name in frame.columns
    }
    return FrameTable(pa.table(arrays), kind, unusable=unusable)


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value) or str(value) in ("<NA>", "NaT")


def _kinds(values: list[Any]) -> str:
    """Describes the types of values that cannot form a column, and their rows."""
    first: dict[str, int] = {}
    for row, value in enumerate(values):
        if not _is_nothing(value):
            first.setdefault(type(value).__name__, row)
    shown = ", ".join(f"{kind} in row {row}" for kind, row in list(first.items())[:4])
    if len(first) > 1:
        return f"holds values of several kinds: {shown}; make them one, with astype(str) for instance"
    return f"holds what is no text, number, bytes or path: {shown}"


def _class_names(features: Any) -> dict[str, list[str]]:
    return {column: list(kind.names) for column, kind in features.items() if hasattr(kind, "names")}


def _elements(elements: Iterable[Any]) -> Any:
    """Collects the elements of a `tf.data.Dataset` into an Arrow table in memory."""
    import pyarrow as pa

    rows = []
    for element in _unbatched(elements):
        if isinstance(element, dict):
            rows.append({name: _plain(value) for name, value in element.items()})
        elif isinstance(element, tuple):
            rows.append({"input": _plain(element[0]), "label": _plain(element[1])})
        else:
            rows.append({"input": element})
    return pa.Table.from_pylist(rows)


def _unbatched(elements: Iterable[Any]) -> Iterator[Any]:
    """Yields each example, also from batches, which are arrays with one string per example."""
    sizes: set[int] = set()
    for element in elements:
        parts = _parts(element)
        arrays = [part for part in parts if getattr(part, "ndim", 0) >= 1]
        if (
            len(arrays) == len(parts)
            and len({len(part) for part in arrays}) == 1
            and _holds_strings(parts[0])
        ):
            sizes.add(len(parts[0]))
            if len(sizes) > 2 or len(parts[0]) > min(sizes):
                raise TypeError(
                    f"elements of a tf.data.Dataset must be examples, or batches of one size. Received: "
                    f"elements of {sorted(sizes)} strings"
                )
            rows: Any = zip(*(element.values() if isinstance(element, dict) else parts), strict=True)
            if isinstance(element, dict):
                yield from _unbatched(dict(zip(element, row, strict=True)) for row in rows)
            else:
                yield from _unbatched(row if isinstance(element, tuple) else row[0] for row in rows)
        else:
            yield element


def _parts(element: object) -> list[Any]:
    if isinstance(element, dict) and element:
        return sorted(element.values(), key=lambda value: not _holds_strings(value))
    if isinstance(element, tuple) and len(element) == 2 and _holds_strings(element[0]):
        return list(element)
    if _holds_strings(element):
        return [element]
    first = element[0] if isinstance(element, tuple) and element else element
    shape = f" of shape {first.shape}" if hasattr(first, "shape") else ""
    kind = getattr(first, "dtype", None) or type(first).__name__
    raise TypeError(
        "elements of a tf.data.Dataset must be strings (texts or encoded files), pairs of such an input and "
        "a "
        f"label, or dictionaries. Received: {type(element).__name__} that begins with {kind}{shape}"
    )


def _holds_strings(value: object) -> bool:
    return isinstance(value, (str, bytes)) or getattr(getattr(value, "dtype", None), "kind", "") in (
        "O",
        "S",
        "U",
    )


def _plain(value: object) -> Any:
    """Turns a NumPy value into a Python value; labels of type bytes become text."""
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        return value.item()
    return value.tolist() if hasattr(value, "tolist") else value
