"""Guesses what each column of a table holds: first by well-known names, then by contents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tfautolabel.data.addresses import shown
from tfautolabel.data.label_values import Rules
from tfautolabel.data.plain_words import without_accents
from tfautolabel.data.tables.column_words import LABEL_WORDS, PLACE_WORDS, TEXT_WORDS
from tfautolabel.data.tables.contract import Columns
from tfautolabel.data.written_paths import looks_like_path

INPUTS = (
    "text", "sentence", "review", "content", "message", "body", "document", "tweet", "utterance", "question",
    "image/encoded", "audio/encoded", "image", "img", "picture", "photo", "audio", "sound", "clip", "wav",
    "file", "filename", "file_name", "path", "filepath", "file_path", "image_path", "img_path", "audio_path",
    "image_name", "input", "inputs", *TEXT_WORDS, *PLACE_WORDS,
)  # fmt: skip
"""Names of input columns, the surest first."""

LABELS = (
    "label", "labels", "class", "category", "target", "sentiment", "intent", "image/class/text",
    "image/class/label", "topic", "tag", "class_name", "classname", "class_label", "label_name", "label_text",
    "gold_label", "gold", "ground_truth", "choice", "classes", "categories", "y", "y_true", "category_name",
    "classlabel", "classification", "annotation", *LABEL_WORDS,
)  # fmt: skip
NAMES = ("id", "uid", "guid", "uuid", "key", "example_id", "row_id", "index")

NO_NAMES = "none"
"""The value that a user gives instead of a name column to use row numbers."""

FILE_WORDS = frozenset((
    "image", "img", "picture", "photo", "audio", "sound", "clip", "wav", "file", "filename", "path",
    "filepath", "imagename", "imagepath", *PLACE_WORDS,
))  # fmt: skip
"""If a column name has one of these words, its values of a few words are file names."""

_INPUT_WORDS = FILE_WORDS | {
    "text", "texts", "sentence", "review", "content", "message", "body", "document", "tweet", "utterance",
    "question",
}  # fmt: skip
_ABOUT_WORDS = frozenset((
    "id", "ids", "date", "time", "url", "link", "count", "length", "len", "lang", "language", "score",
    "rating", "author", "user", "label", "labels", "class", "width", "height", "size", "type", "format",
    "hash", "num", "number", "source", "split", "annotator", "comment", "name", "encoding",
))  # fmt: skip
"""Words of columns that are no inputs, such as "review_date" or "image_width"."""

_TEXT_WORDS = frozenset((
    "text", "texts", "sentence", "review", "content", "message", "body", "tweet", "utterance", "question",
))  # fmt: skip
"""Last words of input names, whatever stands before them: "user_text", "link_text"."""

_FACTS = frozenset((
    "id", "ids", "date", "time", "timestamp", "created", "updated", "at", "count", "length", "len", "lang",
    "language", "score", "rating", "width", "height", "size", "hash", "num", "number", "split", "encoding",
    "annotator", "author", "user", "username",
))  # fmt: skip
"""Words of columns that are inputs only if nothing else is."""

_REMARKS = frozenset(["comment", "comments", "note", "notes", "remark", "remarks"])
_DATE = re.compile(
    rb"\s*(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.{0,30})?|"
    rb"[A-Z][a-z]{2},? .{2,14} \d{1,2}:\d{2}(:\d{2})?.{0,15})\s*"
)
_INDEX = re.compile(r"(Unnamed: 0|column 1|__index_level_0__)")
"""Names of a frame's index after `to_csv` and `to_parquet`."""

_ADDRESSES = frozenset(["url", "link", "href", "uri", "urls", "links"])
_LABEL_ENDS = frozenset(["label", "class", "category", "sentiment", "target"])

_LABEL_STUDIO = frozenset((
    "annotation_id", "annotator", "created_at", "updated_at", "lead_time", "id", "agreement",
))  # fmt: skip
"""Columns that Label Studio exports beside the data and the labels; the user names the label column."""

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
    rules: Rules = Rules(),  # noqa: B008 - an immutable tuple
    unnamed: bool = False,
    id_hint: str | None = None,
) -> Columns:
    """Returns the columns that a user named, and guesses for the others.

    Args:
        source: the table's name, for messages.
        columns: the names of all columns.
        sample: values of the first rows.
        input_column: the name that the user gave, or None to guess.
        label_column: the same for labels.
        id_column: the same for names; `NO_NAMES` for none, unless a column has that name.
        labels_wanted: whether the labels of the table itself are wanted.
        rules: how to read labels.
        unnamed: whether columns have only numbers; then the contents show which one holds labels.
        id_hint: the column that names the rows if no other column does.

    Raises:
        ValueError: If a named column does not exist, or the input column cannot be guessed.
    """
    nameless = id_column == NO_NAMES and NO_NAMES not in columns
    if nameless:
        id_column = None
    id_hint = id_hint or (None if unnamed else _written_index(columns, sample))
    for option, name in (("input", input_column), ("label", label_column), ("id", id_column)):
        if name is not None and name not in columns:
            raise ValueError(
                f"{source}: {option}_column must be one of its columns {list(columns)}. Received: {name!r}"
                f"{first_row(sample)}"
            )
    taken = {name for name in (input_column, label_column, id_column) if name is not None}
    label = label_column
    if label is None:
        find = (lambda some: _repeating(some, sample)) if unnamed else find_label
        some = [name for name in columns if name not in (*taken, id_hint)]
        label = find(some)
        if label is None and {"annotator", "lead_time"} <= set(columns):
            label = _repeating([name for name in some if name not in _LABEL_STUDIO], sample)
    free = [name for name in columns if name not in (*taken, id_hint) and name != label]
    chosen_id = id_column if id_column or nameless else _unique_id(free, sample) or id_hint
    if chosen_id in (input_column, label_column) and id_column is None:
        chosen_id = None
    chosen = input_column or _input([name for name in free if name != chosen_id], sample)
    if chosen is None and not labels_wanted:
        chosen = _input([name for name in columns if name not in (*taken, chosen_id, id_hint)], sample)
    if chosen is None and id_column is None and chosen_id is not None and _name_files(chosen_id, sample):
        chosen, chosen_id = chosen_id, None
    if (
        chosen is None
        and id_column is None
        and chosen_id is not None
        and first_known(NAMES, [chosen_id]) is None
    ):
        chosen, chosen_id = (chosen_id, None) if chosen_id != id_hint else (None, chosen_id)
    if chosen is None:
        raise ValueError(
            f"{source}: it cannot be told which column holds the inputs: name it with input_column. "
            f"Received: the columns {list(columns)}{first_row(sample)}"
        )
    if label is None and labels_wanted and input_column is None and _are_labels(chosen, sample):
        raise ValueError(
            f"{source}: it cannot be told which column holds the inputs: name it with input_column. "
            f"Received: the columns {list(columns)}, of which {chosen!r} seems to hold labels"
            f"{first_row(sample)}"
        )
    guessed = chosen_id is not None and id_column is None
    return Columns(chosen, label if labels_wanted else None, chosen_id, guessed, rules)


def first_row(sample: Sample) -> str:
    """Shows the first row, for the end of a message."""
    if not sample:
        return ""
    values = [(value or b"")[:4096].decode("utf-8", "replace") for value in list(sample[0].values())[:10]]
    return f"; the first row is {[shown(value)[:40] for value in values]}"


def words_of(name: str) -> list[str]:
    """Returns the words of a column name: "reviewText" and "Review text" are "review" and "text"."""
    plain = without_accents(name)
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_A-Za-z]+", plain)]


def first_known(known: Sequence[str], columns: Sequence[str]) -> str | None:
    """Returns the column whose name comes first in a list of known names."""
    lower = {plain_name(name): name for name in reversed(columns)} | {name: name for name in columns}
    return next((lower[name] for name in known if name in lower), None)


def plain_name(name: str) -> str:
    """Returns a name in the form of `INPUTS`: "File Name" is "file_name", "Text (English)" is "text"."""
    plain = re.sub(r"\s*[(\[].*[)\]]$", "", name.strip()) or name.strip()
    return re.sub(r"[\s\-]+", "_", without_accents(plain).lower())


def find_label(columns: Sequence[str]) -> str | None:
    """Finds the label column by its name; else the only one that ends in a word for it ("true_label")."""
    name = first_known(LABELS, columns)
    if name is not None:
        return name
    ending = [column for column in columns if (words_of(column) or [""])[-1] in _LABEL_ENDS]
    return ending[0] if len(ending) == 1 else None


def _repeating(columns: Sequence[str], sample: Sample) -> str | None:
    """Finds the column of few short values that is not the input, if exactly one fits best."""
    found = []
    for name in columns:
        values = [value for row in sample if (value := row.get(name))]
        if len(set(values)) > 1 and max(map(len, values)) <= 40 and len(set(values)) * 2 <= len(sample) + 2:
            found.append((len(set(values)), name))
    longest = _input(columns, sample)
    found = sorted((count, name) for count, name in found if name != longest)
    return found[0][1] if found and (len(found) == 1 or found[0][0] < found[1][0]) else None


def _are_labels(column: str, sample: Sample) -> bool:
    """Returns whether a column without an input's name repeats a few short values."""
    values = [value for row in sample if (value := row.get(column))]
    called = first_known(INPUTS, [column]) is not None or bool(_INPUT_WORDS & set(words_of(column)))
    few = len(set(values)) * 3 <= len(values) and max(map(len, values), default=99) <= 40
    return not called and few and len(values) >= 6


def _unique_id(columns: Sequence[str], sample: Sample) -> str | None:
    name = first_known(NAMES, columns)
    if name is None:
        # "review_id" counts only if it is the only such column; otherwise it may name something else.
        own = [column for column in columns if len(words_of(column)) == 2 and words_of(column)[-1] == "id"]
        of_files = len(own) == 1 and words_of(own[0])[0] in FILE_WORDS  # "image_id" may name the file itself
        name = own[0] if len(own) == 1 and not of_files else None
    values = [row.get(name) for row in sample] if name is not None else []
    return name if values and None not in values and len(set(values)) == len(values) else None


def _written_index(columns: Sequence[str], sample: Sample) -> str | None:
    """Finds the unnamed index of a frame, written as the first or last column."""
    for name in (columns[0], columns[-1]) if columns else ():
        values = [(row.get(name) or b"").strip() for row in sample]
        named = _INDEX.fullmatch(name)
        if named and (name.startswith("__") or all(value.isdigit() for value in values)):
            return name
    return None


def unused_names(columns: Columns, available: Sequence[str], sample: Sample) -> str | None:
    """Says why a column named like an id column does not name the rows; None if there is no such column."""
    name = first_known(NAMES, [column for column in available if column not in columns[:2]])
    if name is None or columns.id is not None:
        return None
    first: dict[bytes, int] = {}
    for row, record in enumerate(sample):
        value = record.get(name)
        if value is None:
            return f"column {name!r} is empty in row {row} (counted from 0)"
        if value in first:
            shown = value[:80].decode("utf-8", "replace")
            return f"column {name!r} repeats: {shown!r} in rows {first[value]} and {row} (counted from 0)"
        first[value] = row
    return None


def _name_files(column: str, sample: Sample) -> bool:
    """Returns whether a name column holds file names: these are the inputs if nothing else is."""
    values = [(row.get(column) or b"").decode("utf-8", "replace") for row in sample]
    return sum(map(looks_like_path, values)) * 2 > len(values)


def _input(columns: Sequence[str], sample: Sample) -> str | None:
    """Finds the input column: by its name, by a word in it, else by the longest values except numbers.

    A column that is mostly empty is the last choice, whatever its name.
    """
    lengths = {name: sum(len(row.get(name) or b"") for row in sample) for name in columns}
    filled = {name: sum(bool(row.get(name)) for row in sample) for name in columns}
    full = [name for name in columns if filled[name] * 2 >= len(sample)]
    for some in (full, [name for name in columns if filled[name]], list(columns)):
        name = first_known(INPUTS, some)
        if name is not None:
            return name
        worded = [
            name for name in some
            if _INPUT_WORDS & set(words_of(name)) and not _ABOUT_WORDS & set(words_of(name))
        ] or [
            name for name in some
            if len(words_of(name)) > 1 and words_of(name)[-1] in _TEXT_WORDS
            and not {"label", "class", "annotator"} & set(words_of(name))
        ]  # fmt: skip
        texts = [name for name in some if not all(_is_number(row.get(name)) for row in sample)]
        others = [name for name in texts if not _ADDRESSES & set(words_of(name))]
        telling = [name for name in others if not _about_others(name) and not _dates(name, sample)]
        best = [name for name in worded if name in texts] or telling or others or texts
        if best:
            return max(best, key=lambda column: lengths[column])
    return None


def _about_others(column: str) -> bool:
    """Returns whether a column describes an input ("created_at", "agent_comment"); "image_id" does not."""
    words = words_of(column)
    if not words or words[0] in FILE_WORDS:
        return False
    return bool(_FACTS & set(words)) or (len(words) > 1 and words[-1] in _REMARKS)


def _dates(column: str, sample: Sample) -> bool:
    """Returns whether a column holds only dates."""
    values = [value for row in sample if (value := row.get(column))]
    return bool(values) and all(map(_DATE.fullmatch, values))


def _is_number(value: bytes | None) -> bool:
    try:
        return value is None or bool(float(value) or True)
    except ValueError:
        return False
