"""Decides which files of a tree are examples and which folders are classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tfautolabel.data.endings import ARCHIVES, IMAGES, PROSE, SIDECARS, SOUNDS, VIDEOS, ending_of
from tfautolabel.data.plain_words import without_accents

_ROLES = re.compile(
    r"(?P<before>\w[-\w. ]*[-_. ])??(?P<role>train(?:ing)?s?|valid(?:ation|ierung)?s?|val|dev(?:elopment)?|"
    r"test(?:ing)?s?|eval(?:uation)?|label+ed|annotated|h[eo]ld[-_ ]?out|trn|tst|"
    r"entrenamiento|prueba|validacion|trein(?:o|amento)|testes?|validacao|apprentissage|entrainement|"
    r"validazione|addestramento|trenink|validace|egitim|dogrulama|(?:zbior[-_ ])?(?:treningowy|testowy|"
    r"walidacyjny)|traening|validering|koulutus|обучение|тренировка|тест|валидация|"
    r"(?:训练|訓練|学习|学習|验证|驗證|検証|测试|測試|テスト|학습|훈련|검증|테스트)(?:集|セット|데이터|세트)?|"
    r"(?:fold|split)(?=[-_ ]?\d))"
    r"(?:[-_. ]?(?:data|daten|images|imgs|pics|files|samples|examples|clips|audio|texts|part|"
    r"clean|other))?"
    r"(?:[-_. ]?(?:set|split|data|folder))?(?P<number>[-_. ]?v?\d+)?",
    re.IGNORECASE,
)
"""Usual names for the parts of a data set."""

_NO_LABELS = re.compile(
    r"(un[-_ ]?label+ed|un[-_ ]?annotated|unsup|pred(ict(ion|ions)?)?|pool|extra|infer(ence)?|submission)"
    r"(?:[-_. ]?(?:data|set|images|\d+))*",
    re.IGNORECASE,
)
"""Usual names for a part whose files have no labels."""

_MASK = r"(?:masks?|seg(?:mentation)?s?|ground[-_ ]?truth|gt|overlay|heat[-_ ]?map)"
_MASK_NAME = re.compile(rf"(.+?)[-_. ]+{_MASK}(?:[-_. ]?\d+)?", re.IGNORECASE)
_MASK_FOLDER = re.compile(rf"{_MASK}(?:class|object)?", re.IGNORECASE)
"""Usual names for pictures that mark where things are in other pictures, and for their folders."""

_DOCUMENT = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|authors|contributors|citation|changelog|changes|about|"
    r"description|dataset[-_ ]?card|index|classes|labels|metadata|info|credits|attribution|sources?|manifest|"
    r"makefile|lies[-_ ]?mich|lisez[-_ ]?moi|leeme|leggimi|leiame|lizenz|licencia|"
    r"data[-_ ]?sheet|summary|terms|(sha\d+|md5|check)[-_ ]?sums?|dicomdir)"
    r"([-_. ].*)?$",
    re.IGNORECASE,
)
_DOCUMENT_ENDINGS = frozenset((
    "", ".txt", ".md", ".rst", ".html", ".htm", ".pdf", ".json", ".jsonl", ".csv", ".tsv", ".xlsx", ".yaml",
    ".yml", ".xml", ".cff", ".bib", ".names", ".data", ".parquet", ".rtf", ".doc", ".docx", ".odt",
))  # fmt: skip


class Media(NamedTuple):
    """Which files of a listing are pictures or sounds by their names.

    Attributes:
        kind: "image" or "audio", the kind of most media files; None if there are none or most files are
            texts.
        rows: the indices of the media files.
        beside: the indices of the files beside them that are not media; if no name is that of a medium, the
            files whose names say that they are something else.
    """

    kind: str | None
    rows: list[int]
    beside: list[int]


def _role(name: str) -> re.Match[str] | None:
    """Returns the role that a folder's name says, whatever its accents."""
    return _ROLES.fullmatch(without_accents(name))


class ClassFolders(NamedTuple):
    """Which folders are classes.

    Attributes:
        level: how many folders lie above the class folders.
        labels: (n,) the class of each file; None for a file outside the class folders.
        notes: sentences that say what was understood.
    """

    level: int
    labels: list[str | None]
    notes: tuple[str, ...]


def find_media(ids: Sequence[str]) -> Media:
    """Separates media from the files beside them by their endings.

    A file belongs to a picture or sound if it has the same name with another ending, or with more text behind
    it ("1.jpg.txt", "1_caption.txt"). If more texts than media remain, the texts are the examples.

    Args:
        ids: n paths with `/`.
    """
    counts: Counter[str] = Counter()
    rows: list[int] = []
    others: list[int] = []
    unknown: list[int] = []
    films = 0
    for row, path in enumerate(ids):
        ending = ending_of(path)
        if ending in IMAGES or ending in SOUNDS:
            counts["image" if ending in IMAGES else "audio"] += 1
            rows.append(row)
        elif ending in VIDEOS:
            films += 1
            rows.append(row)
        elif ending in SIDECARS or is_document(path):
            others.append(row)
        elif ending:
            unknown.append(row)
    if films and not counts:
        counts["audio"] = films
    owners = {_place(ids[row]) for row in rows}
    others = sorted([*others, *(row for row in unknown if _place(ids[row]) in owners)])
    if not rows or not others:
        return Media(counts.most_common(1)[0][0] if counts else None, rows, [] if rows else others)
    names = {_stem(ids[row]) for row in rows} | {ids[row].rpartition("/")[2].casefold() for row in rows}
    texts = sum(
        ending_of(ids[row]) in PROSE and not _belongs(_stem(ids[row]), names) and not is_document(ids[row])
        for row in others
    )
    kind = counts.most_common(1)[0][0] if texts <= len(rows) else None
    return Media(kind, rows, others)


def is_document(path: str) -> bool:
    """Returns whether a file describes the data and is no example: a README, a label list, an archive."""
    name = path.rpartition("/")[2]
    ending = ending_of(path)
    if ending in ARCHIVES or name.endswith("~"):
        return True
    return _DOCUMENT.match(name) is not None and ending in _DOCUMENT_ENDINGS


def find_classes(ids: Sequence[str]) -> ClassFolders | None:
    """Returns the folders that are classes, if there are at least two and no example beside them.

    A single folder around all others is skipped. So are folders with usual names for the parts of a data set
    ("train", "val", "test").

    Args:
        ids: n paths with `/` of possible examples.
    """
    notes: list[str] = []
    level = 0
    while True:
        parts = [path.split("/") for path in ids]
        inside = [names for names in parts if len(names) > level + 1]
        tops = {names[level] for names in inside}
        beside = [path for path, names in zip(ids, parts, strict=True)
                  if len(names) <= level + 1 and not is_document(path)]  # fmt: skip
        below = [names[level:] for names in inside]
        within = _parts_among(tops, below)
        deeper = {names[level + 1] for names in inside if len(names) > level + 2}
        if within and not beside and (depth := _depth_of_classes(below, within)):
            notes.append(
                f"the folders {', '.join(sorted(tops))} are taken for parts of one data set, and the folders "
                f"below them for classes; all parts are read: give one of them alone to leave the others out"
            )
            flat = _without_classes(below, within, depth)
            if flat:
                notes.append(f"the files of {', '.join(flat)} lie in no class folder and have no label")
            labels = [
                names[level + depth]
                if len(names) > level + depth + 1 and names[level] in within - set(flat)
                else None
                for names in parts
            ]
            return ClassFolders(level + depth, labels, tuple(notes))
        if len(tops) == 1 and not beside and len(deeper) >= 1 and not _holds_files(inside, level + 1):
            notes.append(f"the folder {next(iter(tops))!r} lies around all others and is passed through")
            level += 1
            continue
        if len(tops) < 2 or beside or _are_parts(tops):
            return None
        break
    inner = [{names[level + 1] for names in inside if names[level] == top and len(names) > level + 2}
             for top in sorted(tops)] if len(tops) <= 10 else []  # fmt: skip
    if inner and len(inner[0]) >= 2 and all(some == inner[0] for some in inner):
        notes.append(
            f"the folders {', '.join(sorted(tops))} are taken for classes, although each holds the folders "
            f"{', '.join(sorted(inner[0])[:5])}; if these are the classes, give one outer folder alone"
        )
    labels = [names[level] if len(names) > level + 1 else None for names in parts]
    return ClassFolders(level, labels, tuple(notes))


def find_masks(ids: Sequence[str]) -> list[str]:
    """Returns the pictures that seem to be masks of other pictures, by their names.

    A mask has the name of a picture beside it with a word behind it ("1_mask.png"), or the name of a picture
    elsewhere and lies in a folder with such a name ("masks/1.png").

    Args:
        ids: n paths with `/` of possible examples.
    """
    places = {_place(path) for path in ids}
    stems = Counter(_stem(path) for path in ids)
    found = []
    for path in ids:
        named = _MASK_NAME.fullmatch(_place(path).rpartition("/")[2])
        folder = path.rpartition("/")[0]
        beside = named is not None and f"{folder}/{named[1]}".lstrip("/").casefold() in places
        within = any(_MASK_FOLDER.fullmatch(part) for part in folder.split("/"))
        if ending_of(path) in IMAGES and (beside or (within and stems[_stem(path)] > 1)):
            found.append(path)
    return found


def only_parts(ids: Sequence[str]) -> bool:
    """Returns whether all files lie in folders named like the parts of a data set."""
    return all("/" in path for path in ids) and _are_parts({path.split("/", 1)[0] for path in ids})


def _are_parts(names: Collection[str]) -> bool:
    """Returns whether folders are parts of a data set ("train", "val_set"), perhaps with a common prefix.

    A prefix ("seg_train") and numbers ("val2017") count only if at least two different roles occur:
    "steam_train" and "bullet_train" are classes, and so are "test1" and "test2".
    """
    found = [_role(name) for name in names if not _NO_LABELS.fullmatch(name)]
    matches = [match for match in found if match is not None]
    if not matches or len(matches) < len(found):
        return False
    begins = {re.sub(r"\d+", "", match["before"] or "").strip("-_. ") for match in matches}
    roles = {match["role"][:3].lower() for match in matches}
    plain = begins == {""} and (roles <= {"fol", "spl"} or not any(match["number"] for match in matches))
    return plain or (len(begins) == 1 and len(roles) > 1)


def _parts_among(names: Collection[str], below: Sequence[Sequence[str]]) -> set[str]:
    """Returns the folders that are labelled parts: all, or two or more that share subfolders.

    Args:
        names: the folders.
        below: the paths of their contents.
    """
    some = {name for name in names if _role(name) and not _NO_LABELS.fullmatch(name)}
    if _are_parts(names):
        return some
    if len(some) < 2 or not _are_parts(some) or len({name[:2].lower() for name in some}) < 2:
        return set()
    folders = [{path[1] for path in below if path[0] == name and len(path) > 2} for name in some]
    return some if len(set.intersection(*folders)) >= 2 else set()


def _depth_of_classes(below: Sequence[Sequence[str]], within: Collection[str]) -> int:
    """Returns how deep the class folders lie: 1 directly in the parts, more if folders lie between.

    Returns:
        0 if there are no two classes.
    """
    depth = 1
    while True:
        folders: dict[str, set[str]] = {}
        for path in below:
            if path[0] in within and len(path) > depth + 1:
                folders.setdefault(path[0], set()).add(path[depth])
        names = set().union(*folders.values())
        around = all(len(some) == 1 for some in folders.values()) and not any(
            len(path) == depth + 2 and path[0] in within for path in below
        )
        if not folders or not around or not (len(names) == 1 or _are_parts(names)):
            return depth if len(names) >= 2 else 0
        depth += 1


def _without_classes(below: Sequence[Sequence[str]], within: Collection[str], depth: int) -> list[str]:
    """Returns the parts whose one folder is no class of the others: "images" in "val/images"."""
    folders: dict[str, set[str]] = {}
    for path in below:
        if path[0] in within and len(path) > depth + 1:
            folders.setdefault(path[0], set()).add(path[depth])
    several = set().union(*(some for some in folders.values() if len(some) > 1))
    return sorted(part for part, some in folders.items() if len(several) > 1 and len(some) == 1
                  and not some & several)  # fmt: skip


def _holds_files(parts: Sequence[Sequence[str]], level: int) -> bool:
    """Returns whether the one folder at a level directly holds examples."""
    return any(len(names) == level + 1 and not is_document(names[-1]) for names in parts)


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0].casefold()


def _place(path: str) -> str:
    """Returns a file's folder and its name without the ending."""
    return path[: len(path) - len(ending_of(path))].casefold()


def _belongs(stem: str, names: Collection[str]) -> bool:
    """Returns whether a name is that of a picture or sound, alone or followed by a mark and more text."""
    ends = (match.start() for match in re.finditer(r"[-_. ]", stem))
    return stem in names or any(stem[:end] in names for end in ends)
