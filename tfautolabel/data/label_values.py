"""Decides what label values mean: no label, one class in several spellings, or several labels."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tfautolabel.data.label_lookalikes import INVISIBLE, JOINERS, KEEP, TRUTH, listed, lookalikes
from tfautolabel.data.label_texts import label_text
from tfautolabel.data.plain_words import without_accents
from tfautolabel.data.several_labels import of_list, refuse_several

MISSING = (
    "nan", "-nan", "none", "null", "nil", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "nat", "<none>",
    "\\n", "1.#ind", "1.#qnan", "-1.#ind", "-1.#qnan", "?", "unlabeled", "unlabelled", "not labeled",
    "not labelled", "no label", "to label", "not annotated", "unannotated", "todo", "tbd", "unsup", "none.",
    "n.a.", "n.a", "na.", "-", "--", "---", "\u2013", "\u2014", "??", "???", "(null)", "(none)", "(blank)",
    "(empty)", "<null>", "<blank>", "<empty>", "#null!", "#ref!", "#value!", "#div/0!", "#name?", "#num!",
    "#spill!", "not yet labeled", "not yet labelled", "not labeled yet", "not labelled yet", "none yet",
    "not annotated yet", "not yet annotated", "to be labeled", "to be labelled", "to be annotated", "to do",
    "to annotate", "no annotation", "no labels", "untagged", "not tagged",
    "not available", "not set", "no value", "brak etykiety", "brak danych",
    "nicht gelabelt", "ungelabelt", "nicht annotiert", "ohne label", "kein label", "sin etiquetar",
    "sin etiqueta", "no etiquetado", "non etiquete", "sans etiquette", "non annote", "sem rotulo",
    "sem etiqueta", "nao rotulado", "senza etichetta", "non etichettato", "niet gelabeld", "geen label",
    "bez etykiety", "не размечено", "неразмечено", "без метки", "未标注", "未标记", "未標註", "无标签",
    "無標籤", "ラベルなし", "未ラベル", "레이블 없음", "라벨 없음",
)  # fmt: skip
"""Values that mean "no label", in any case, with any mark between or around the words.

Errors of spreadsheets are among them. Accents do not count. A dash beside a plus is a class."""

NEGATIVE = ("-1", "-100", "-99", "-999", "-9999")
"""Negative numbers that mean "no label" beside ids from 0 on, unless a user lists the words."""

LABEL_VALUES = ("usual", "keep")
"""Ways to read values: as people usually mean them, or each value as a class of its own."""

DOUBTFUL = frozenset((
    "missing", "undefined", "unknown", "blank", "empty", "skip", "skipped", "unsure", "not sure",
    "unassigned", "not applicable", "pending", "inf", "-inf", "unk", "unclassified", "not classified", "n/d",
    "n.d.", "n.d", "no data", "no info", "brak", "ei tietoa", "ingen", "uden", "neznámé", "bilinmiyor",
    "unbekannt", "keine angabe", "k.a.", "desconocido", "desconhecido", "inconnu", "sconosciuto", "onbekend",
    "неизвестно", "未知", "未分类", "未分類", "不明", "미분류",
))  # fmt: skip
"""Words that may mean "no label" but are kept as classes; a note says so."""

DASHES = frozenset(("-", "--", "---", "\u2013", "\u2014"))

_MARKS = re.compile(r"(?<=[^\W\d_])[\s_\-]+(?=[^\W\d_])")
_SLASHES = re.compile(r"\s*/\s*")
_STYLE = re.compile("[\ufe0e\ufe0f]")
"""Selectors that ask for a coloured or a plain form of a sign."""

_WHOLE = re.compile(r"([+-]?)(0|[1-9][0-9]*)(\.0*)?")


class Rules(NamedTuple):
    """How values are read.

    Attributes:
        missing: the words for "no label", compared without case.
        negative: numbers that mean "no label" beside ids that are not negative.
        keep: whether each value is a class as it is written.
        loose: whether brackets, a full stop or accents around and in these words do not count.
    """

    missing: frozenset[str] = frozenset(MISSING)
    negative: frozenset[str] = frozenset(NEGATIVE)
    keep: bool = False
    loose: bool = True


class Settled(NamedTuple):
    """What the distinct values mean.

    Attributes:
        meaning: value to class name, or None if the value means "no label".
        notes: sentences that say what was understood.
        warnings: sentences about likely mistakes in the data.
    """

    meaning: dict[str, str | None]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def label_rules(label_values: str = "usual", missing: Iterable[str] | None = None) -> Rules:
    """Returns the rules that a user asked for.

    Args:
        label_values: one of `LABEL_VALUES`.
        missing: words for "no label" instead of `MISSING`; () for none.

    Raises:
        ValueError: If `label_values` has another value.
        TypeError: If `missing` is a single str.
    """
    if label_values not in LABEL_VALUES:
        raise ValueError(f"label_values must be one of {LABEL_VALUES}. Received: {label_values!r}")
    if isinstance(missing, str):
        raise TypeError(f"missing must be a list of words. Received: missing={missing!r}")
    if missing is None:
        return Rules(keep=label_values == "keep")
    words = frozenset(str(word).strip().casefold() for word in missing)
    return Rules(words, frozenset(), label_values == "keep", loose=False)


def is_label(value: object) -> bool:
    """Returns whether a Python value can be a label: text, a number, an empty value, or a list of these."""
    if value is None or isinstance(value, (str, bytes, int, float)):
        return True
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_label, value))
    # NumPy's numbers and strings, and the missing values of pandas.
    return hasattr(value, "dtype") or str(value) in ("<NA>", "NaT")


def class_name(value: str) -> str:
    """Returns a class name as it is shown: composed, no invisible characters, single spaces.

    Examples:
        >>> class_name(" cafe\u0301  noir ")
        'café noir'
    """
    if value.isascii() and value.isalnum():
        return value
    return " ".join(INVISIBLE.sub("", unicodedata.normalize("NFC", value)).split()).strip(JOINERS)


def class_key(name: str) -> str:
    """Returns a key that is equal for all spellings of one class: 1 and 1.0, True and true."""
    name = _STYLE.sub("", class_name(name)).replace("\u2212", "-")
    whole = _WHOLE.fullmatch(name)
    if whole:
        return whole[2] if whole[1] in ("", "+") or whole[2] == "0" else f"-{whole[2]}"
    return name.casefold() if name.casefold() in TRUTH else name


def settle_labels(counts: Mapping[str, int], source: str, rules: Rules) -> Settled:
    """Decides what each of some values means.

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
        is_word = bool(rules.missing & _spellings(name, rules.loose))
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


def _spellings(name: str, loose: bool) -> set[str]:
    """Returns the forms in which a value is looked for among the words for "no label"."""
    folded = name.casefold()
    found = {folded, _MARKS.sub(" ", folded)}
    if loose and any(map(str.isalpha, folded)):
        bare = _SLASHES.sub("/", folded.strip("()[]<>{}_*\"'«»“”„‘’` "))
        bare = without_accents(_MARKS.sub(" ", bare)).strip()
        found |= {bare, bare.removesuffix(".")}
    return found


def _a_class(names: Sequence[str]) -> str:
    return f'the label {" and ".join(map(repr, names))} is taken for a class, not for "no label"'


def _drop_negative(
    meaning: dict[str, str | None], counts: Mapping[str, int], dropped: dict[str, int], rules: Rules
) -> list[str]:
    """Drops -1 as "no label" if it stands beside ids, but not beside 1 alone or other negative numbers."""
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
    """Gives all spellings of one class one name: the plain form of a number, else the most frequent."""
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
    """Returns class names of n values (None for no label), with notes and warnings.

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
