"""Finds the files that a column or a list names, and refuses paths that lead nowhere."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from tfautolabel.data.endings import IMAGES, SOUNDS, TEXTS
from tfautolabel.data.named_objects import NamedObjects, find_objects
from tfautolabel.data.places import Place
from tfautolabel.data.written_paths import (
    MAX_PATH,
    PathSearch,
    is_address,
    looks_like_path,
    shown_path,
    spellings,
    with_ending,
)

LOOKED_AT = 200
"""How many values are checked, taken from all over a table."""

MAX_FOLDERS = 2000
"""How many folders below the table's folder are searched for bare names."""

_ADDED = frozenset((*IMAGES, *SOUNDS, *TEXTS))
"""Endings that may be missing after a name such as "ISIC_0024306"."""

_AS_TEXTS = 'if they are the texts themselves, say modality="text" (--modality text)'


def find_place(
    values: Sequence[str], what: str, folder: str | Place | None, *, named: bool = False, refuse: bool = True
) -> PathSearch | NamedObjects | None:
    """Finds the place of the files that some values name; None if the values are not paths.

    It tries these places in order: beside the table; the working directory; absolute paths; the same with an
    ending added; the last parts of paths that were written on another machine; all of this in the folder
    above the table's; and for bare names one folder below the table's, or all of them.

    Args:
        values: some values, from all over the table or list.
        what: what the values are, for messages: "t.csv: column 'image'".
        folder: the table's folder, perhaps in a store; None for values in memory.
        named: whether the column is called "image", "path" or the like.
        refuse: whether values that look like paths but lead nowhere are an error.

    Raises:
        ValueError: If most values look like paths or addresses, and none of them leads to a file.
    """
    in_store = folder if isinstance(folder, Place) else None
    if (found := find_objects(values, what, in_store, named=named, refuse=refuse)) is not None:
        return found
    if isinstance(folder, Place):
        return None
    values = [value for value in values if value.strip()]
    named = named or _share_a_folder(values)
    alike = [value for value in values if looks_like_path(value, named)]
    mostly = len(alike) * 2 > len(values)
    short = [value for value in values if len(value) <= MAX_PATH and "\n" not in value]
    if not values or (not mostly and len(short) * 2 <= len(values)):
        return None
    here = os.path.realpath(os.curdir)
    bases = [] if folder is None else [PathSearch(f"beside the table ({folder!r})", os.path.realpath(folder))]
    if not bases or bases[0].folder != here:
        bases.append(PathSearch(f"in the working directory ({here!r})", here))
    best: tuple[int, PathSearch] | None = None
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
        # This comes last: files beside the table are meant, if there are any.
        above = os.path.dirname(bases[0].folder)
        bases.append(PathSearch(f"in the folder above the table ({above!r})", above))
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
    """Returns whether all values are single words below the same folder, such as "train/0001"."""
    words = [value.strip().replace("\\", "/") for value in values]
    if len(words) < 3 or any("/" not in word.strip("/") or len(word.split()) > 1 for word in words):
        return False
    return len({word.split("/", 1)[0] for word in words}) == 1


def _places(bases: Sequence[PathSearch], values: Sequence[str], mostly: bool) -> Iterator[PathSearch]:
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


def _with_endings(place: PathSearch, values: Sequence[str]) -> Iterator[PathSearch]:
    """Yields the place with the file endings that some values lack or write in another case."""
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
        # Text files with the same names may lie beside pictures and sounds, so their ending comes last.
        order = sorted(found, key=lambda end: (end.lower() in TEXTS, -found[end], end))
        words = f"{place.words}, with the ending {' or '.join(order)}"
        yield place._replace(words=words, endings=tuple(order))


def _endings_in(folder: str) -> dict[str, list[str]]:
    """Returns the stems of media and text files in a folder, each with the endings that occur."""
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


def _folder_below(
    folder: str, values: Sequence[str], what: str, refuse: bool
) -> tuple[PathSearch | None, int]:
    """Finds the one subfolder that holds most of some bare names; also returns how many were searched."""
    names = [path for value in values[:50] for path in list(spellings(value))[:1]]
    if any("/" in name for name in names):
        return None, 0
    found: list[PathSearch] = []
    everywhere: dict[str, list[str]] = {}
    searched = 0
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "@")))
        if path != folder:
            searched += 1
            there = set(files)
            for name in files:
                if os.path.splitext(name)[1].lower() in _ADDED:
                    everywhere.setdefault(name, []).append(os.path.relpath(os.path.join(path, name), folder))
            words = f"in the folder {os.path.relpath(path, folder)!r} below the table"
            place = PathSearch(words, path)
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
    # With too many folders, nobody knows whether a name is there twice.
    if searched < MAX_FOLDERS and not (found and all(found[0].locate(name)[0] for name in names)):
        spread = _in_all_folders(folder, values, everywhere, what, refuse)
        return spread or (found[0] if found else None), searched
    return (found[0] if found else None), searched


def _in_all_folders(
    folder: str, values: Sequence[str], everywhere: Mapping[str, Sequence[str]], what: str, refuse: bool
) -> PathSearch | None:
    """Finds bare names in all folders below the table's, if each lies in only one of them."""
    names = [path for value in values for path in list(spellings(value))[:1]]
    held = [name for name in names if name in everywhere]
    if len(held) * 2 <= len(names):
        return None
    for name in held:
        if len(everywhere[name]) > 1:
            if not refuse:
                return None
            one, other = sorted(everywhere[name])[:2]
            raise ValueError(
                f"{what} holds names that several folders below the table have. Received: {name!r}, which "
                f"may be {one!r} or {other!r}; write the paths with their folder"
            )
    return PathSearch("in the folders below the table", folder, below=everywhere)


def _is_in(name: str, place: PathSearch, there: Container[str]) -> bool:
    return any(with_ending(name, ending) in there for ending in place.endings)


def _refusal(values: Sequence[str], what: str, bases: Sequence[PathSearch], searched: int) -> str:
    shown = ", ".join(repr(shown_path(value.strip())[:120]) for value in values[:3])
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
