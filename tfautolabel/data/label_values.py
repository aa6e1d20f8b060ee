"""What the values of a label column mean: no label, one class in several spellings, several labels."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tfautolabel.data.label_lookalikes import INVISIBLE, JOINERS, KEEP, TRUTH, listed, lookalikes
from tfautolabel.data.label_texts import label_text
from tfautolabel.data.several_labels import of_list, refuse_several

MISSING = (
    "nan", "-nan", "none", "null", "nil", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "nat", "<none>",
    "\\n", "1.#ind", "1.#qnan", "-1.#ind", "-1.#qnan", "?", "unlabeled", "unlabelled", "not labeled",
    "not labelled", "no label", "to label", "not annotated", "unannotated", "todo", "tbd", "unsup", "none.",
    "n.a.", "n.a", "na.", "-", "--", "---", "\u2013", "\u2014", "??", "???", "(null)", "(none)", "(blank)",
    "(empty)", "<null>", "<blank>", "<empty>", "#null!", "#ref!", "#value!", "#div/0!", "#name?", "#num!",
    "#spill!",
)  # fmt: skip
"""Values that say "no label", in any case, with any mark between the words; also what spreadsheets write for
errors. A dash beside a plus is a class."""

NEGATIVE = ("-1", "-100", "-99", "-999", "-9999")
"""Numbers that say so beside ids that are not negative, unless a user lists the words himself."""

LABEL_VALUES = ("usual", "keep")
"""Whether values are read as people mean them, or each is a class as it is written."""

DOUBTFUL = frozenset((
    "missing", "undefined", "unknown", "blank", "empty", "skip", "skipped", "unsure", "not sure",
    "unassigned", "not applicable", "pending", "inf", "-inf",
))  # fmt: skip
"""Words that may say so, and are classes; that is said."""

DASHES = frozenset(("-", "--", "---", "\u2013", "\u2014"))

_MARKS = re.compile(r"(?<=[^\W\d_])[\s_\-]+(?=[^\W\d_])")
_STYLE = re.compile("[\ufe0e\ufe0f]")
"""What says that a sign is shown in colours or not."""

_WHOLE = re.compile(r"([+-]?)(0|[1-9][0-9]*)(\.0*)?")


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


def is_label(value: object) -> bool:
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
    return " ".join(INVISIBLE.sub("", unicodedata.normalize("NFC", value)).split()).strip(JOINERS)


def class_key(name: str) -> str:
    """What is equal for spellings of one class, as whole numbers and truth values have them."""
    name = _STYLE.sub("", class_name(name))
    whole = _WHOLE.fullmatch(name)
    if whole:
        return whole[2] if whole[1] in ("", "+") or whole[2] == "0" else f"-{whole[2]}"
    return name.casefold() if name.casefold() in TRUTH else name


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
    pluses = any(value.strip() and not value.strip(" +") for value in counts)
    for value, count in counts.items():
        name = class_name(of_list(value, count, source))
        is_word = bool(rules.missing & {name.casefold(), _MARKS.sub(" ", name.casefold())})
        if is_word and name in DASHES and pluses:
            is_word = False
        meaning[value] = None if is_word or not name else name
        if is_word:
            dropped[name] = dropped.get(name, 0) + count
    notes = _drop_negative(meaning, counts, dropped, rules)
    doubtful = sorted({name for name in meaning.values() if name and name.casefold() in DOUBTFUL})
    if doubtful:
        notes.append(_a_class(doubtful))
    if dropped:
        shown = listed(dropped)
        notes.insert(
            0, f"rows labelled {shown} are taken for rows without a label; {KEEP} makes them classes"
        )
    totals = _totals(meaning, counts)
    refuse_several(totals, counts, source)
    notes += _merge(meaning, counts, totals)
    prefix = f"{source}: "
    return Settled(
        meaning,
        tuple(prefix + note for note in notes),
        tuple(prefix + warning for warning in lookalikes(_totals(meaning, counts))),
    )


def _a_class(names: Sequence[str]) -> str:
    return f'the label {" and ".join(map(repr, names))} is taken for a class, not for "no label"'


def _drop_negative(
    meaning: dict[str, str | None], counts: Mapping[str, int], dropped: dict[str, int], rules: Rules
) -> list[str]:
    """-1 beside ids says that there is no label; beside 1 alone or other negative numbers it does not."""
    keys = {class_key(name) for name in meaning.values() if name is not None}
    negative = sorted(keys & rules.negative)
    others = keys - set(negative)
    if not negative:
        return []
    if (
        not all(map(_WHOLE.fullmatch, others))
        or any(key.startswith("-") for key in others)
        or others in (set(), {"1"})
    ):
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
                f"{listed(raw[key])} are spellings of one class, {chosen[key]!r}; {KEEP} keeps them apart"
            )
    for value, name in meaning.items():
        if name is not None:
            meaning[value] = chosen[class_key(name)]
    return notes


def _totals(meaning: Mapping[str, str | None], counts: Mapping[str, int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for value, name in meaning.items():
        if name is not None:
            totals[name] = totals.get(name, 0) + counts[value]
    return totals


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
