"""Refuses values that name several labels: each row has one label."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from tfautolabel.data.label_lookalikes import KEEP, rows
from tfautolabel.data.label_texts import label_text

_ARRAY = re.compile(r"(?:np\.|numpy\.)?array\((\[.*\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_EMPTY = frozenset(("set()", "frozenset()", "list()", "tuple()", "dict()", "array([])"))
_NO_LABEL = re.compile(r"\[\s*(?:nan|None|null|NaN)\s*\]|\{\s*(?:nan|None)\s*\}|\(\s*(?:nan|None)\s*,\s*\)")
_NAMES = frozenset(
    ("name", "label", "class", "category", "value", "text", "choice", "choices", "labels", "id")
)
_MARKS = ("##", "#", "::", "->", ">", ";", ",", "/", "\\", "+", "&", "\n", "\t", "、", "，", "；", "／", "・")


def of_list(value: str, count: int, source: str) -> str:
    """Returns the one item of a list that is written as text, or the one name in an object; "" for none.

    Args:
        value: a label without surrounding space.
        count: how many rows have it.
        source: the table's name, for the message.

    Raises:
        ValueError: If the list is longer.
    """
    array = _ARRAY.fullmatch(value)
    value = array[1] if array else value
    bracketed = (value[:1], value[-1:]) in {("[", "]"), ("(", ")"), ("{", "}")}
    if value in _EMPTY or (bracketed and (not value[1:-1].strip() or _NO_LABEL.fullmatch(value))):
        return ""
    items = _items(value) if bracketed else None
    if items is None:
        return value
    if len(items) == 1 and isinstance(items[0], dict) and len(items[0]) == 1:
        ((key, inner),) = items[0].items()
        if str(key).casefold() in _NAMES:
            items = list(inner) if isinstance(inner, list) else [inner]
    if len(items) > 1 or (items and isinstance(items[0], (dict, list, tuple))):
        raise ValueError(_several(value, count, source))
    return (label_text(items[0]) or "") if items else ""


def _items(value: str) -> list[Any] | None:
    """Returns the items of a list written as JSON, Python or NumPy print it; None if it is no list."""
    if re.fullmatch(r"\[\s*('[^']*'|\"[^\"]*\"|[-+.\d]+)(\s+('[^']*'|\"[^\"]*\"|[-+.\d]+))+\s*\]", value):
        return value[1:-1].split()
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, dict):
            return [found]
        return list(found) if isinstance(found, (list, tuple, set)) else None
    return None


def _several(value: str, count: int, source: str) -> str:
    return (
        f"{source}: each row has one label at most. Received: {value[:100]!r} ({rows(count)}), which names "
        f"several; give each row one, or {KEEP} to take each such value for a class of its own"
    )


def refuse_several(totals: Mapping[str, int], counts: Mapping[str, int], source: str) -> None:
    """Refuses values that are several labels separated by a mark.

    A vertical bar always separates labels. Other marks occur in names too ("Paris, France"). A name with such
    a mark is refused only if all its parts are labels themselves (one part is enough for semicolons, which
    are rare in names); for commas and semicolons also if a part is the first one in one name and a later one
    in another. For names in brackets, labels in brackets count too.

    Args:
        totals: class to its number of rows.
        counts: the same for the values as they are written.
        source: the table's name, for the message.

    Raises:
        ValueError: If there is such a value.
    """
    known = {*totals, *(_bare(name) for name in totals)}
    for name, count in {**counts, **totals}.items():
        if "|" in name and len(_parts(name, "|")) > 1 and name in totals:
            raise ValueError(_several(name, count, source))
        for mark in _MARKS:
            parts = _parts(_bare(name), mark)
            enough = any if mark == ";" else all
            if len(parts) > 1 and enough(part in known for part in parts):
                raise ValueError(_several(name, count, source))
    for mark in (";", ","):
        first: dict[str, str] = {}
        later: set[str] = set()
        for name in totals:
            parts = _parts(name, mark)
            if len(parts) > 1:
                first.setdefault(parts[0], name)
                later.update(parts[1:])
        both = sorted(set(first) & later)
        if both:
            name = first[both[0]]
            raise ValueError(_several(name, totals[name], source))


def _bare(name: str) -> str:
    """Returns a name without the brackets around it."""
    return name[1:-1].strip() if (name[:1], name[-1:]) in {("[", "]"), ("{", "}")} else name


def _parts(name: str, mark: str) -> list[str]:
    return [part.strip() for part in name.split(mark) if part.strip()] if mark in name else []
