"""What people mean by a tree of files: which of them are examples, and which folders are classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

IMAGES = frozenset((
    ".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif",
    ".dcm",
))  # fmt: skip
SOUNDS = frozenset((
    ".wav", ".wave", ".bwf", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mpga", ".aif",
    ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".sph", ".voc", ".m4a", ".m4b", ".aac", ".amr", ".3ga",
    ".wma", ".mka", ".weba", ".wv", ".ape", ".ac3", ".mpc", ".tta", ".dsf",
))  # fmt: skip
VIDEOS = frozenset((
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".wmv", ".mpg", ".mpeg", ".3gp", ".3g2", ".flv",
    ".ogv",
))  # fmt: skip
"""Endings of films, which telephones put among photographs; they say what is meant only where alone."""

SIDECARS = frozenset((
    ".json", ".xml", ".txt", ".textgrid", ".csv", ".tsv", ".md", ".rst", ".yaml", ".yml", ".html", ".htm",
    ".pdf", ".log", ".ini", ".cfg", ".toml", ".lab", ".eaf", ".cue", ".srt", ".vtt", ".npy", ".npz", ".pkl",
    ".db", ".py", ".ipynb", ".sh", ".docx", ".xlsx", ".xmp", ".aae", ".jsonl", ".names", ".data", ".sha256",
    ".md5", ".bib", ".cff", ".phn", ".trans", ".parquet",
))  # fmt: skip
"""Endings of what lies beside pictures and sounds and is neither."""

SPLITS = frozenset((
    "train", "training", "train_set", "trainset", "val", "valid", "validation", "valid_set", "dev", "test",
    "testing", "test_set", "testset", "eval", "evaluation", "holdout", "held_out",
))  # fmt: skip
"""What the parts of a data set are called."""

_DOCUMENT = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|authors|contributors|citation|changelog|changes|about|"
    r"description|dataset[-_ ]?card|index|classes|labels|metadata|info|credits|attribution|sources?|manifest|"
    r"makefile)"
    r"([-_. ].*)?$",
    re.IGNORECASE,
)
_DOCUMENT_ENDINGS = frozenset((
    "", ".txt", ".md", ".rst", ".html", ".htm", ".pdf", ".json", ".jsonl", ".csv", ".tsv", ".xlsx", ".yaml",
    ".yml", ".xml", ".cff", ".bib", ".names", ".data", ".parquet",
))  # fmt: skip


class Media(NamedTuple):
    """Which files of a listing are pictures or sounds by their names.

    Attributes:
        kind: "image" or "audio": what most media files are; None if there are none or most files are texts.
        rows: which they are.
        beside: which files lie beside them and are neither.
    """

    kind: str | None
    rows: list[int]
    beside: list[int]


class ClassFolders(NamedTuple):
    """Which folders are classes.

    Attributes:
        level: how many folders lie around those of the classes.
        labels: (n,) the class of each file; None if it lies in none.
        notes: what was understood, in sentences.
    """

    level: int
    labels: list[str | None]
    notes: tuple[str, ...]


def find_media(ids: Sequence[str]) -> Media:
    """Tells media from what lies beside them, by the endings.

    Texts with the name of a picture or sound belong to it. Where more texts than media are left, the texts
    are what is meant.

    Args:
        ids: n paths with `/`.
    """
    counts: Counter[str] = Counter()
    rows: list[int] = []
    others: list[int] = []
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
    if films and not counts:
        counts["audio"] = films
    if not rows or not others:
        return Media(counts.most_common(1)[0][0] if counts else None, rows, [])
    names = {_stem(ids[row]) for row in rows} | {ids[row].rpartition("/")[2].casefold() for row in rows}
    texts = sum(
        ending_of(ids[row]) == ".txt" and _stem(ids[row]) not in names and not is_document(ids[row])
        for row in others
    )
    kind = counts.most_common(1)[0][0] if texts <= len(rows) else None
    return Media(kind, rows, others)


def ending_of(path: str) -> str:
    """The ending of a file's name, in small letters: "" if it has none."""
    name = path.rpartition("/")[2]
    place = name.rfind(".")
    return name[place:].lower() if place > 0 else ""


def is_document(path: str) -> bool:
    """Whether a file is about the data and no example: a README, a licence, a list of labels."""
    name = path.rpartition("/")[2]
    return _DOCUMENT.match(name) is not None and ending_of(path) in _DOCUMENT_ENDINGS


def find_classes(ids: Sequence[str]) -> ClassFolders | None:
    """The folders that are classes, if there are two or more and no example beside them.

    One folder around all others is passed through, and so are folders that are called as the parts of a data
    set are ("train", "val", "test").

    Args:
        ids: n paths with `/`, of what may be examples.
    """
    notes: list[str] = []
    level = 0
    apart: str | None = None
    while True:
        parts = [path.split("/") for path in ids]
        inside = [names for names in parts if len(names) > level + 1]
        tops = {names[level] for names in inside}
        beside = [path for path, names in zip(ids, parts, strict=True)
                  if len(names) <= level + 1 and not is_document(path)]  # fmt: skip
        are_splits = bool(tops) and all(name.casefold() in SPLITS for name in tops)
        deeper = {names[level + 1] for names in inside if len(names) > level + 2}
        if not apart and are_splits and not beside and len(deeper) >= 2:
            apart = ", ".join(sorted(tops))
            notes.append(
                f"the folders {apart} are taken for parts of one data set, and the folders below them for "
                f"classes; "
                f"all parts are read: give one of them alone to leave the others out"
            )
            level += 1
            break
        if len(tops) == 1 and not beside and len(deeper) >= 1 and not _holds_files(inside, level + 1):
            notes.append(f"the folder {next(iter(tops))!r} lies around all others and is passed through")
            level += 1
            continue
        if len(tops) < 2 or beside or are_splits:
            return None
        break
    labels = [names[level] if len(names) > level + 1 else None for names in parts]
    return ClassFolders(level, labels, tuple(notes))


def only_parts(ids: Sequence[str]) -> bool:
    """Whether all files lie in folders that are called as the parts of a data set."""
    return all("/" in path and path.split("/", 1)[0].casefold() in SPLITS for path in ids)


def _holds_files(parts: Sequence[Sequence[str]], level: int) -> bool:
    """Whether examples lie directly in the one folder at a level."""
    return any(len(names) == level + 1 and not is_document(names[-1]) for names in parts)


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0].casefold()
