"""Which column holds what, when nobody says: well-known names first, then contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfautolabel.data.tables.contract import Columns

INPUTS = (
    "text", "sentence", "review", "content", "message", "body", "document", "comment", "tweet", "utterance",
    "question", "title", "description", "image/encoded", "audio/encoded", "image", "img", "picture", "photo",
    "audio", "sound", "clip", "wav", "file", "filename", "file_name", "path", "filepath", "input", "inputs",
)  # fmt: skip
LABELS = (
    "label", "labels", "class", "category", "target", "sentiment", "intent", "image/class/text",
    "image/class/label", "topic", "tag", "y",
)  # fmt: skip
NAMES = ("id", "uid", "guid", "uuid", "key", "example_id", "row_id", "index")

Sample = Sequence[Mapping[str, bytes | None]]


def choose_columns(
    source: str,
    columns: Sequence[str],
    sample: Sample,
    *,
    input_column: str | None,
    label_column: str | None,
    id_column: str | None,
    labels_wanted: bool,
) -> Columns:
    """The columns that a user named, and guesses for the others.

    Args:
        source: the table's name, for messages.
        columns: the columns there are.
        sample: values of the first rows.
        input_column: as named by the user, or None to guess.
        label_column: likewise.
        id_column: likewise.
        labels_wanted: whether the table's own labels are wanted.

    Raises:
        ValueError: If a column is not there, or the inputs' cannot be guessed.
    """
    for option, name in (("input", input_column), ("label", label_column), ("id", id_column)):
        if name is not None and name not in columns:
            raise ValueError(
                f"{source}: {option}_column must be one of its columns {list(columns)}. Received: {name!r}"
            )
    taken = {name for name in (input_column, label_column, id_column) if name is not None}
    label = label_column
    if labels_wanted and label is None:
        label = _by_name(LABELS, [name for name in columns if name not in taken])
    free = [name for name in columns if name not in taken and name != label]
    chosen_id = id_column or _unique_id(free, sample)
    chosen = input_column or _input([name for name in free if name != chosen_id], sample)
    if chosen is None:
        raise ValueError(
            f"{source}: it cannot be told which column holds the inputs: name it with input_column "
            f"(--input-column). Received: the columns {list(columns)}"
        )
    return Columns(chosen, label if labels_wanted else None, chosen_id)


def _by_name(known: Sequence[str], columns: Sequence[str]) -> str | None:
    lower = {name.lower(): name for name in reversed(columns)}
    return next((lower[name] for name in known if name in lower), None)


def _unique_id(columns: Sequence[str], sample: Sample) -> str | None:
    name = _by_name(NAMES, columns)
    values = [row.get(name) for row in sample] if name is not None else []
    return name if values and None not in values and len(set(values)) == len(values) else None


def _input(columns: Sequence[str], sample: Sample) -> str | None:
    """By name; else the column with the longest values, if they are not numbers."""
    name = _by_name(INPUTS, columns)
    if name is not None:
        return name
    lengths = {
        column: sum(len(row.get(column) or b"") for row in sample)
        for column in columns
        if not all(_is_number(row.get(column)) for row in sample)
    }
    return max(lengths, key=lambda column: lengths[column]) if lengths else None


def _is_number(value: bytes | None) -> bool:
    try:
        return value is None or bool(float(value) or True)
    except ValueError:
        return False
