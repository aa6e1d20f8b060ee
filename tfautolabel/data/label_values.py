"""What the values of a label column mean: no label, one class in several spellings, several labels."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

MISSING = (
    "nan", "-nan", "none", "null", "nil", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "nat", "<none>",
    "\\n", "1.#ind", "1.#qnan", "-1.#ind", "-1.#qnan", "?", "unlabeled", "unlabelled", "not labeled",
    "not labelled", "no label", "no_label",
)  # fmt: skip
"""Values that say "no label", in any case."""

NEGATIVE = ("-1", "-100")
"""Numbers that say so beside ids that are not negative, unless a user lists the words himself."""

LABEL_VALUES = ("usual", "keep")
"""Whether values are read as people mean them, or each is a class as it is written."""

KEEP = "label_values='keep' (--label-values keep)"

SHOWN = 3
"""How many spellings a sentence names."""

# Zero-width space and no-break space, word joiner, soft hyphen, marks of direction: nobody sees them.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WHOLE = re.compile(r"([+-]?)(0|[1-9][0-9]*)(\.0*)?")
_ENDS = "\u200c\u200d"
_TRUTH = ("true", "false")


class Rules(NamedTuple):
    """How values are read.

    Attributes:
        missing: what says "no label", without regard to case.
        negative: numbers that say so beside ids that are not negative.
        keep: whether each value is a class as it is written.
    """

    missing: frozenset[str] = frozenset(MISSING)
    negative: frozenset[str] = frozenset(NEGATIVE)
    keep: bool = False


class Settled(NamedTuple):
    """What distinct values mean.

    Attributes:
        meaning: value to class name, or None where it says that there is no label.
        notes: what was understood, in sentences.
        warnings: what is most likely a mistake in the data, in sentences.
    """

    meaning: dict[str, str | None]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def label_rules(label_values: str = "usual", missing: Iterable[str] | None = None) -> Rules:
    """The rules that a user asked for.

    Args:
        label_values: one of `LABEL_VALUES`.
        missing: words for "no label" instead of `MISSING`; () for none.

    Raises:
        ValueError: If `label_values` is another.
        TypeError: If `missing` is a single str.
    """
    if label_values not in LABEL_VALUES:
        raise ValueError(f"label_values must be one of {LABEL_VALUES}. Received: {label_values!r}")
    if isinstance(missing, str):
        raise TypeError(f"missing must be a list of words. Received: missing={missing!r}")
    if missing is None:
        return Rules(keep=label_values == "keep")
    words = frozenset(str(word).strip().casefold() for word in missing)
    return Rules(words, frozenset(), label_values == "keep")


def label_text(value: Any) -> str | None:
    """A label of any type as text: 3 and 3.0 are "3"; None, NaN and an empty list are no label.

    Args:
        value: text, a number, a truth value, bytes; a list of one is that one; longer lists and dictionaries
            become JSON, which `settle_labels` refuses.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
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


def is_label(value: Any) -> bool:
    """Whether a value given in Python can be a label: text, a number, nothing, or a list of these."""
    if value is None or isinstance(value, (str, bytes, int, float)):
        return True
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_label, value))
    # NumPy's numbers and strings, and what pandas has for nothing.
    return hasattr(value, "dtype") or str(value) in ("<NA>", "NaT")


def class_name(value: str) -> str:
    """A class's name as it is shown: composed, without invisible characters, single spaces.

    Examples:
        >>> class_name(" cafe\u0301  noir ")
        'café noir'
    """
    if value.isascii() and value.isalnum():
        return value
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", value)).split()).strip(_ENDS)


def class_key(name: str) -> str:
    """What is equal for spellings of one class, as whole numbers and truth values have them."""
    name = class_name(name)
    whole = _WHOLE.fullmatch(name)
    if whole:
        return whole[2] if whole[1] in ("", "+") or whole[2] == "0" else f"-{whole[2]}"
    return name.casefold() if name.casefold() in _TRUTH else name


def settle_labels(counts: Mapping[str, int], source: str, rules: Rules) -> Settled:
    """Tells what each of some values means.

    Args:
        counts: value to how often it occurs; values have no space around them.
        source: the table's or file's name, for messages.
        rules: how values are read.

    Raises:
        ValueError: If values name several labels.
    """
    if rules.keep:
        return Settled({value: value.strip() or None for value in counts}, (), ())
    meaning: dict[str, str | None] = {}
    dropped: dict[str, int] = {}
    for value, count in counts.items():
        name = class_name(_of_list(value, count, source))
        is_word = name.casefold() in rules.missing
        meaning[value] = None if is_word or not name else name
        if is_word:
            dropped[name] = dropped.get(name, 0) + count
    notes = _drop_negative(meaning, counts, dropped, rules)
    if dropped:
        shown = _listed(dropped)
        notes.insert(
            0, f"rows labelled {shown} are taken for rows without a label; {KEEP} makes them classes"
        )
    totals = _totals(meaning, counts)
    _refuse_several(totals, source)
    notes += _merge(meaning, counts, totals)
    prefix = f"{source}: "
    return Settled(
        meaning,
        tuple(prefix + note for note in notes),
        tuple(prefix + warning for warning in _lookalikes(_totals(meaning, counts))),
    )


def _of_list(value: str, count: int, source: str) -> str:
    """A list of one written as text is that one, an empty list nothing."""
    bracketed = (value[:1], value[-1:]) in {("[", "]"), ("(", ")"), ("{", "}")}
    if not bracketed:
        return value
    if not value[1:-1].strip():
        return ""
    items = _items(value)
    if items is None:
        return value
    if len(items) > 1 or isinstance(items[0], (dict, list, tuple)):
        raise ValueError(_several(value, count, source))
    return label_text(items[0]) or ""


def _items(value: str) -> list[Any] | None:
    """What a list written as JSON or as Python or NumPy print it holds; None if it is no list."""
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
        f"{source}: each row has one label at most. Received: {value[:100]!r} ({_rows(count)}), which names "
        f"several; give each row one, or {KEEP} to take each such value for a class of its own"
    )


def _refuse_several(totals: Mapping[str, int], source: str) -> None:
    """Values that are several labels with a mark between.

    A bar does nothing else. Commas and semicolons stand in names too ("Paris, France"): there the parts must
    be labels themselves, or stand in other places elsewhere.
    """
    for name, count in totals.items():
        if "|" in name and len(_parts(name, "|")) > 1:
            raise ValueError(_several(name, count, source))
        for mark in (";", ",", "/", "+", "&"):
            parts = _parts(name, mark)
            if len(parts) > 1 and all(part in totals for part in parts):
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


def _parts(name: str, mark: str) -> list[str]:
    return [part.strip() for part in name.split(mark) if part.strip()] if mark in name else []


def _drop_negative(
    meaning: dict[str, str | None], counts: Mapping[str, int], dropped: dict[str, int], rules: Rules
) -> list[str]:
    """-1 beside ids says that there is no label; beside 1 alone or other negative numbers it does not."""
    keys = {class_key(name) for name in meaning.values() if name is not None}
    negative = sorted(keys & rules.negative)
    others = keys - set(negative)
    if not negative or not all(_WHOLE.fullmatch(key) for key in others):
        return []
    if any(key.startswith("-") for key in others) or others in (set(), {"1"}):
        return [f'the label {" and ".join(map(repr, negative))} is taken for a class, not for "no label"']
    for value, name in meaning.items():
        if name is not None and class_key(name) in negative:
            meaning[value] = None
            dropped[name] = dropped.get(name, 0) + counts[value]
    return []


def _merge(meaning: dict[str, str | None], counts: Mapping[str, int], totals: Mapping[str, int]) -> list[str]:
    """Gives the spellings of one class one name: a whole number's own, else the most frequent."""
    raw: dict[str, dict[str, int]] = defaultdict(dict)
    names: dict[str, dict[str, int]] = defaultdict(dict)
    for value, name in meaning.items():
        if name is not None:
            raw[class_key(name)][value.strip()] = raw[class_key(name)].get(value.strip(), 0) + counts[value]
            names[class_key(name)][name] = totals[name]
    notes = []
    chosen = {}
    for key, spellings in names.items():
        best = max(sorted(spellings), key=lambda name: spellings[name])
        chosen[key] = key if key in spellings and _WHOLE.fullmatch(key) else best
        if len(raw[key]) > 1:
            notes.append(
                f"{_listed(raw[key])} are spellings of one class, {chosen[key]!r}; {KEEP} keeps them apart"
            )
    for value, name in meaning.items():
        if name is not None:
            meaning[value] = chosen[class_key(name)]
    return notes


def _lookalikes(totals: Mapping[str, int]) -> list[str]:
    """Classes that differ in case, width or marks between words only."""
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for name, count in totals.items():
        folded = unicodedata.normalize("NFKC", name).casefold()
        folded = "".join(c for c in folded if c not in _ENDS)
        plain = re.sub(r"(?<=\w)[\s_\-.]+(?=\w)", " ", folded.replace("_", " ")).strip()
        groups[plain or folded][name] = count
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return []
    shown = "; ".join(_listed(group, 5) for group in alike[:SHOWN])
    more = f"; and {len(alike) - SHOWN} more such groups" if len(alike) > SHOWN else ""
    return [f"classes differ in case or spelling only, and are kept apart: {shown}{more}"]


def _totals(meaning: Mapping[str, str | None], counts: Mapping[str, int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for value, name in meaning.items():
        if name is not None:
            totals[name] = totals.get(name, 0) + counts[value]
    return totals


def _listed(counts: Mapping[str, int], shown: int = 8) -> str:
    """Spellings and how often each occurs; those that look the same are shown by their code points."""
    names: Collection[str] = list(counts)
    visible = {unicodedata.normalize("NFC", " ".join(_INVISIBLE.sub("", name).split())) for name in names}
    show = repr if len(visible) == len(names) else ascii
    parts = [f"{show(name)} ({_rows(count)})" for name, count in list(counts.items())[:shown]]
    return ", ".join(parts) + (f" and {len(counts) - shown} more" if len(counts) > shown else "")


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def resolve(
    values: Sequence[Any], source: str, rules: Rules
) -> tuple[list[str | None], tuple[str, ...], tuple[str, ...]]:
    """Class names of n values, None where there is no label; with notes and warnings.

    Raises:
        ValueError: If values name several labels.
    """
    texts = [(label_text(value) or "").strip() for value in values]
    counts: dict[str, int] = {}
    for text in texts:
        if text:
            counts[text] = counts.get(text, 0) + 1
    settled = settle_labels(counts, source, rules)
    return [settled.meaning.get(text) if text else None for text in texts], settled.notes, settled.warnings
