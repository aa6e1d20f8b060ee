"""Finds the examples that labels belong to by their texts, where a list of labels has no other names."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.label_file import LabelList, Matched
from tfautolabel.data.readers import ReadFailure

_AT_ONCE = 4096


def match_texts(given: LabelList, dataset: Dataset) -> Matched:
    """Gives each example the label that the list has for its text; equal texts get the same one.

    Texts are equal if they differ only in line ends and surrounding space.

    Args:
        given: labels as given; the paths are texts.
        dataset: the n examples, which must be texts.

    Raises:
        ValueError: If the examples are no texts, one text has two labels, or no label belongs to an example.
    """
    if dataset.modality != "text":
        raise ValueError(
            f"{given.source}: a list that names no files is for texts. Received: data of another kind"
        )
    wanted: dict[bytes, tuple[str, str]] = {}
    for row in given.rows:
        label, place = wanted.setdefault(_key(row.path), (row.label, row.place))
        if row.label and not label:
            wanted[_key(row.path)] = (row.label, row.place)
        elif row.label and row.label != label:
            raise ValueError(
                f"{given.source}: one text has two labels. Received: {row.path[:60]!r} is {label!r} in "
                f"{place} and {row.label!r} in {row.place}"
            )
    labels: list[str | None] = [None] * len(dataset)
    found: dict[bytes, int] = defaultdict(int)
    for start in range(0, len(dataset), _AT_ONCE):
        rows = list(range(start, min(start + _AT_ONCE, len(dataset))))
        for position, value in zip(rows, dataset.read(rows), strict=True):
            key = None if isinstance(value, ReadFailure) else _key(value.decode("utf-8", "replace"))
            if key is not None and key in wanted:
                found[key] += 1
                labels[position] = wanted[key][0] or None
    if not found:
        raise ValueError(
            f"{given.source}: none of its {len(given.rows)} texts is an example. "
            f"Received: {given.rows[0].path[:60]!r}"
        )
    missing = len(wanted) - len(found)
    note = f"{given.source}: its tasks have no ids of ours, so the texts name the examples"
    note += f"; {missing:,} of {len(wanted):,} texts are no example" if missing else ""
    return Matched(labels, (note,))


def _key(text: str) -> bytes:
    """Returns a digest, so that a million texts need little memory."""
    plain = text.replace("\r\n", "\n").strip()
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()[:16]
