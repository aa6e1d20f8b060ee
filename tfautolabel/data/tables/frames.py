"""Frames that people have in Python, recognised by what they can do: their packages are not imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfautolabel.data.tables.arrow import FrameTable

HOLDERS = "a pandas or Polars DataFrame, a Hugging Face Dataset, an Arrow table or a tf.data.Dataset"


def as_table(frame: Any) -> FrameTable | None:
    """An object as a table, or None if it is none of the kinds that are known.

    Args:
        frame: one of `HOLDERS`.

    Raises:
        TypeError: If the elements of a `tf.data.Dataset` are not inputs, pairs or dictionaries.
    """
    import pyarrow as pa

    kind = f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
    if hasattr(frame, "features") and hasattr(frame, "with_format"):
        # Arrow gives files as they are stored; the default format would decode every picture.
        return FrameTable(frame.with_format("arrow")[:], kind, _class_names(frame.features))
    if isinstance(frame, pa.Table):
        return FrameTable(frame, kind)
    if hasattr(frame, "as_numpy_iterator"):
        return FrameTable(_elements(frame.as_numpy_iterator()), kind)
    if hasattr(frame, "columns") and hasattr(frame, "to_arrow"):
        return FrameTable(frame.to_arrow(), kind)
    if hasattr(frame, "columns") and hasattr(frame, "iloc"):
        return FrameTable(pa.Table.from_pandas(frame, preserve_index=False), kind)
    return None


def _class_names(features: Any) -> dict[str, list[str]]:
    return {column: list(kind.names) for column, kind in features.items() if hasattr(kind, "names")}


def _elements(elements: Iterable[Any]) -> Any:
    """The elements of a `tf.data.Dataset` as an Arrow table; they are in memory as a whole."""
    import pyarrow as pa

    rows = []
    for element in elements:
        if isinstance(element, dict):
            rows.append({name: _plain(value) for name, value in element.items()})
        elif isinstance(element, tuple) and len(element) == 2:
            rows.append({"input": _plain(element[0]), "label": _plain(element[1])})
        elif isinstance(element, bytes):
            rows.append({"input": element})
        else:
            raise TypeError(
                "elements of a tf.data.Dataset must be strings, pairs of input and label, or dictionaries. "
                f"Received: {type(element).__name__}"
            )
    return pa.Table.from_pylist(rows)


def _plain(value: Any) -> Any:
    """A NumPy value as Python's own; a label of the type bytes is text."""
    return value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
