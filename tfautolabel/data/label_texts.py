"""Turns labels of any type into text."""

from __future__ import annotations

import json
from collections.abc import Mapping

SHOWN = 3
"""How many spellings, names or paths a sentence shows."""


def label_text(value: object) -> str | None:
    """Returns a label as text: 3 and 3.0 are "3"; None, NaN and an empty list are no label.

    Args:
        value: text, a number, a truth value or bytes. A list with one item counts as that item. Longer lists
            and dictionaries become JSON, which `settle_labels` refuses.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if hasattr(value, "numpy") and hasattr(value, "dtype"):  # a tensor
        value = value.numpy()
        if isinstance(value, bytes):
            return label_text(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
        if not isinstance(value, (int, float, list)):
            return label_text(value)
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        values = sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)
        if len(values) <= 1:
            return label_text(values[0]) if values else None
        return json.dumps([label_text(item) for item in values], ensure_ascii=False)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    return None if text in ("<NA>", "NaT") else text
