"""Finds where the files lie that a column or a list names, and refuses paths that lead nowhere."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Container, Iterator, Sequence

from tfautolabel.data.endings import IMAGES, SOUNDS, TEXTS
from tfautolabel.data.written_paths import (
    MAX_PATH,
    Place,
    is_address,
    looks_like_path,
    spellings,
    with_ending,
)

LOOKED_AT = 200
"""How many values are looked at, from all over a table."""

MAX_FOLDERS = 2000
"""How many folders below a table's are searched for bare names."""

_ADDED = frozenset((*IMAGES, *SOUNDS, *TEXTS))
"""What may be missing at the end of a name such as "ISIC_0024306"."""

_AS_TEXTS = 'if they are the texts themselves, say modality="text" (--modality text)'


def find_place(
    values: Sequence[str], what: str, folder: str | None, *, named: bool = False, refuse: bool = True
) -> Place | None:
    """Where the files are that some values name; None if the values are no paths.

    Places are tried in order: beside the table, the working directory, paths in full, the same with an ending
    put behind, the last parts of paths that were written elsewhere, all this in the folder above the table's,
    and for bare names one folder below.

    Args:
        values: some values, from all over the table or list.
        what: what they are, for messages: "t.csv: column 'image'".
        folder: the table's own; None for what is in memory.
        named: whether the column is called "image", "path" or the like.
        refuse: whether values that are written as paths but lead nowhere are an error.

    Raises:
        ValueError: If most values are written as paths or addresses, and none of them leads to a file.
    """
    values = [value for value in values if value.strip()]
    named = named or _share_a_folder(values)
    alike = [value for value in values if looks_like_path(value, named)]
    mostly = len(alike) * 2 > len(values)
    short = [value for value in values if len(value) <= MAX_PATH and "\n" not in value]
    if not values or (not mostly and len(short) * 2 <= len(values)):
        return None
    here = os.path.realpath(os.curdir)
    bases = [] if folder is None else [Place(f"beside the table ({folder!r})", os.path.realpath(folder))]
    if not bases or bases[0].folder != here:
        bases.append(Place(f"in the working directory ({here!r})", here))
    best: tuple[int, Place] | None = None
    for place in _places(bases, short, mostly):
        count = sum(place.locate(value)[0] is not None for value in short)
        if count * 2 > len(values):
            return place
        if count and (best is None or count > best[0]):
            best = count, place
    if not mostly:
        return None
    if best is not None:
        return best[1]
    if folder is not None and os.path.dirname(bases[0].folder) not in (here, bases[0].folder):
        # Last: what lies beside the table is meant, if anything there is.
        above = os.path.dirname(bases[0].folder)
        bases.append(Place(f"in the folder above the table ({above!r})", above))
        for place in _places(bases[-1:], short, mostly):
            if sum(place.locate(value)[0] is not None for value in short) * 2 > len(values):
                return place
    below, searched = (
        (None, 0) if folder is None else _folder_below(os.path.realpath(folder), alike, what, refuse)
    )
    if below is not None:
        return below
    if refuse:
        raise ValueError(_refusal(alike, what, bases, searched))
    return None


def _share_a_folder(values: Sequence[str]) -> bool:
    """Whether all are single words below one folder, as "train/0001" is."""
    words = [value.strip().replace("\\", "/") for value in values]
    if len(words) < 3 or any("/" not in word.strip("/") or len(word.split()) > 1 for word in words):
        return False
    return len({word.split("/", 1)[0] for word in words}) == 1


def _places(bases: Sequence[Place], values: Sequence[str], mostly: bool) -> Iterator[Place]:
    yield from bases
    if not mostly:
        return
    for base in bases:
        yield base._replace(words="paths in full or out of the folder", free=True)
    for base in bases:
        yield from _with_endings(base._replace(free=True), values[:20])
    for base in bases:
        drops: Counter[int] = Counter()
        for value in values[:20]:
            for path in spellings(value):
                parts = path.split("/")
                for drop in range(1, min(len(parts), 40)):
                    inside = posixpath.normpath("/".join(parts[drop:]))
                    if not inside.startswith("..") and os.path.isfile(os.path.join(base.folder, inside)):
                        drops[drop] += 1
                        break
        for drop, _ in drops.most_common(3):
            words = f"{base.words}, without the first {drop} parts of each path"
            yield base._replace(words=words, drop=drop)


def _with_endings(place: Place, values: Sequence[str]) -> Iterator[Place]:
    """The place with the endings that files there have and some values lack, or have in other letters."""
    found: Counter[str] = Counter()
    listed: dict[str, dict[str, list[str]]] = {}
    for value in values:
        for path in spellings(value):
            folder, name = os.path.split(os.path.join(place.folder, path))
            if folder not in listed:
                listed[folder] = _endings_in(folder)
            endings = listed[folder].get(name) or listed[folder].get(os.path.splitext(name)[0], [])
            written = os.path.splitext(name)[1].lower()
            fitting = [end for end in endings if name in listed[folder] or end.lower() == written]
            found.update(fitting)
            if fitting:
                break
    if found:
        # Files of texts with the same name lie beside pictures and sounds.
        order = sorted(found, key=lambda end: (end.lower() in TEXTS, -found[end], end))
        words = f"{place.words}, with the ending {' or '.join(order)}"
        yield place._replace(words=words, endings=tuple(order))


def _endings_in(folder: str) -> dict[str, list[str]]:
    """The names of media and texts in a folder without their endings, and which endings each has."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        return found
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending.lower() in _ADDED:
            found.setdefault(stem, []).append(ending)
    return found


def _folder_below(folder: str, values: Sequence[str], what: str, refuse: bool) -> tuple[Place | None, int]:
    """The one folder below that holds most of some bare names, and how many folders were looked into."""
    names = [path for value in values[:50] for path in list(spellings(value))[:1]]
    if any("/" in name for name in names):
        return None, 0
    found: list[Place] = []
    searched = 0
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "@")))
        if path != folder:
            searched += 1
            there = set(files)
            words = f"in the folder {os.path.relpath(path, folder)!r} below the table"
            place = Place(words, path)
            if sum(name in there for name in names) * 2 > len(names):
                found.append(place)
            else:
                found += [
                    more
                    for more in _with_endings(place, names)
                    if sum(_is_in(name, more, there) for name in names) * 2 > len(names)
                ]
        if searched >= MAX_FOLDERS:
            break
    if len(found) > 1 and not refuse:
        return None, searched
    if len(found) > 1:
        shown = ", ".join(repr(os.path.relpath(place.folder, folder)) for place in found[:3])
        raise ValueError(
            f"{what} holds names that several folders below the table have. Received: {names[0]!r}, which "
            f"is in {shown}; write the paths with their folder"
        )
    return (found[0] if found else None), searched


def _is_in(name: str, place: Place, there: Container[str]) -> bool:
    return any(with_ending(name, ending) in there for ending in place.endings)


def _refusal(values: Sequence[str], what: str, bases: Sequence[Place], searched: int) -> str:
    shown = ", ".join(repr(value.strip()[:120]) for value in values[:3])
    if sum(map(is_address, values)) * 2 > len(values):
        return (
            f"{what} holds addresses, which are not fetched. Received: {shown}; download the files and name "
            f"them by path, or {_AS_TEXTS}"
        )
    places = [base.words for base in bases]
    if searched:
        places.append(f"in the {searched:,} folders below the table's")
    if any(value.strip().replace("\\", "/").startswith("../") for value in values):
        places.append("above it, as they say")
    where = places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}"
    return (
        f"{what} looks like paths, but none of the {len(values):,} that were looked at leads to a file. "
        f"Received: {shown}; they were looked for {where}; {_AS_TEXTS}"
    )
