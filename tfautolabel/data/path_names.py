"""Finds listed files by their names, in the many ways in which people write them."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfautolabel.data.addresses import is_remote
from tfautolabel.data.label_texts import SHOWN
from tfautolabel.data.written_paths import spellings

_TWICE = ""


class PathFinder:
    """Finds the ids that written names mean.

    Args:
        ids: all ids: paths below a folder, or names of rows.
        root: the folder; None for rows, whose names are not paths.
        list_folder: the folder of the list that names them, if it is a file.
    """

    def __init__(
        self, ids: Iterable[str], root: str | os.PathLike[str] | None, list_folder: str | None = None
    ) -> None:
        self.ids = set(ids)
        # macOS stores "é" as two characters; most editors write one.
        self.composed = {unicodedata.normalize("NFC", file_id): file_id for file_id in self.ids}
        self.of_files = root is not None
        self.stripped: dict[str, str] = {}
        if root is None:
            for file_id in self.ids:
                known = self.stripped.setdefault(file_id.strip(), file_id)
                if known != file_id:
                    self.stripped[file_id.strip()] = _TWICE
        self.prefixes: list[str] = []
        self.bases: list[str] = []
        if root is not None:
            # Addresses are compared as the paths that normpath makes of them, here and below.
            remote = is_remote(root)
            roots = [os.fspath(root)] if remote else sorted({os.path.abspath(root), os.path.realpath(root)})
            self.prefixes = [posixpath.normpath(Path(path).as_posix()) + "/" for path in roots]
            self.prefixes += [Path(path).name + "/" for path in roots]
            bases = [base for base in (list_folder, None if remote else os.curdir) if base is not None]
            self.bases = [
                posixpath.normpath(base) if is_remote(base) else os.path.realpath(base) for base in bases
            ]
        self._by_part: dict[str, str] | None = None
        self._guessed: Counter[str] = Counter()
        self._shown: list[str] = []

    def find(self, path: str) -> str | None:
        """Returns the id that a written path means, or None."""
        for written in self._spellings(path):
            if written in self.ids:
                return written
            composed = self.composed.get(unicodedata.normalize("NFC", written))
            if composed is not None:
                return composed
        return self._by_the_end(path) if self.of_files else None

    def notes(self) -> tuple[str, ...]:
        """Sentences that say what was guessed."""
        if not self._guessed:
            return ()
        count = sum(self._guessed.values())
        noun = "path was" if count == 1 else "paths were"
        how = " or ".join(self._guessed)
        return (f"{count:,} {noun} found by {how}, which only one file has: {', '.join(self._shown)}",)

    def _spellings(self, path: str) -> Iterator[str]:
        yield path
        if not self.of_files:
            yield path.strip()
            yield self.stripped.get(path.strip(), path)
            if path.strip().isdecimal():
                yield str(int(path))
                yield path.strip().zfill(len(next(iter(self.ids), "")))
            return
        for written in spellings(path):
            plain = posixpath.normpath(written.replace("\\", "/"))
            yield plain
            for prefix in self.prefixes:
                if plain.startswith(prefix):
                    yield plain[len(prefix) :]
            for base in self.bases:
                full = posixpath.normpath(posixpath.join(base, plain))
                for prefix in self.prefixes[: len(self.prefixes) // 2]:
                    if full.startswith(prefix):
                        yield full[len(prefix) :]

    def _by_the_end(self, path: str) -> str | None:
        """Finds the only file whose name matches, with or without the ending, in any case."""
        if self._by_part is None:
            self._by_part = {}
            for file_id in self.ids:
                for key in _keys(file_id):
                    known = self._by_part.setdefault(key, file_id)
                    if known != file_id:
                        self._by_part[key] = _TWICE
        for written in dict.fromkeys(spellings(path)):
            name = _folded(posixpath.normpath(written.replace("\\", "/").partition("?")[0])).rpartition("/")[
                2
            ]
            for key, how in ((name, "their name alone"), (f"{name}.", "their name without its ending")):
                found = self._by_part.get(key)
                if found and (how != "their name alone" or _ends_agree(found, written)):
                    self._guessed[how] += 1
                    if len(self._shown) < SHOWN:
                        self._shown.append(repr(path))
                    return found
        return None


def _keys(file_id: str) -> Iterator[str]:
    name = _folded(file_id).rpartition("/")[2]
    yield name
    stem = name.rpartition(".")[0]
    if stem:
        yield f"{stem}."


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _ends_agree(file_id: str, written: str) -> bool:
    """Returns whether the folders of two paths agree from the end: "cat/1.jpg" is not "dog/1.jpg"."""
    ours = _folded(file_id).split("/")[:-1]
    theirs = [part for part in _folded(written.replace("\\", "/")).split("/")[:-1] if part not in ("", ".")]
    length = min(len(ours), len(theirs))
    return not length or ours[-length:] == theirs[-length:]
