"""Lists a tree of files: what can be read, and what is set aside and why."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tfautolabel.data.addresses import is_remote
from tfautolabel.data.endings import IMAGES, SOUNDS
from tfautolabel.data.places import Place
from tfautolabel.labels import Unreadable

SYSTEM_FILES = frozenset((
    "thumbs.db", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "thumbs.db:encryptable", "picasa.ini",
    "zbthumbnail.info", "pspbrwse.jbf", "icon\r",
))  # fmt: skip
"""Files that systems and viewers leave in folders of pictures; nobody wants to label them."""

SYSTEM_FOLDERS = frozenset((
    "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@sharebin", "__macosx",
    "$recycle.bin", "system volume information", "lost+found", "__pycache__", "@__thumb",
))  # fmt: skip
"""Folders that servers and systems create: thumbnails, deleted files, unpacked files."""

THUMBNAILS = frozenset(("thumbnails", "thumbnail", "thumbs", "_thumbs", "_thumbnails", "_thumb"))
"""Folders of small copies of the pictures; they are left out where there are other files."""

LEADS_OUT = "a link that leads out of the folder"


class FolderListing(NamedTuple):
    """What was found below a folder.

    Attributes:
        root: the folder, without links.
        paths: (n,) the files relative to `root`, with `/`, as `os.fsdecode` spells them, so that they can be
            opened. For a link, this is the file that it leads to.
        ids: (n,) the paths as they were found, as readable text, unique and sorted.
        unreadable: what was set aside, sorted by id.
        base: the folder that `paths` are relative to.
        notes: sentences that say what was left out.
        sizes: the bytes of each path, where the listing of a store told them.
    """

    root: str
    paths: list[str]
    ids: list[str]
    unreadable: list[Unreadable]
    base: str | Place
    notes: tuple[str, ...]
    sizes: Mapping[str, int] = MappingProxyType({})


def list_folder(
    root: str | os.PathLike[str],
    exclude: Iterable[str | os.PathLike[str]] = (),
    *,
    follow_links: bool = False,
) -> FolderListing:
    """Lists every regular file below a folder; what it is depends on its content, not on its name.

    Hidden names (a leading dot) and files that systems write are left out silently. Folders of thumbnails and
    of deleted files are left out with a note. A link counts as the file that it leads to, if that file is
    below the folder too. Links to directories are not followed.

    Args:
        root: an existing folder.
        exclude: files and directories to leave out silently; they need not exist.
        follow_links: whether links that lead out of the folder, and links to directories, are followed.

    Returns:
        The files and what was set aside.

    Raises:
        ValueError: If `root` itself cannot be listed.
    """
    local = frozenset(os.path.realpath(path) for path in exclude if not is_remote(path))
    walk = _Walk(os.path.realpath(root), local, follow_links)
    walk.run()
    return walk.listing()


def readable_path(path: str) -> str:
    r"""Returns a path as text that any file can hold; bytes that are not UTF-8 become escapes.

    Args:
        path: as `os.fsdecode` spells it.

    Examples:
        >>> readable_path(os.fsdecode(b"caf\xe9.jpg")), readable_path("café.jpg")
        ('caf\\xe9.jpg', 'café.jpg')
    """
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def is_left_out(name: str) -> bool:
    """Returns whether a file or folder is left out silently: hidden, or written by a system or a viewer."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM_FILES


def folder_aside(name: str) -> str | None:
    """Returns why a folder is listed among what was set aside: it is called like a file; else None."""
    if name.lower().endswith(IMAGES):
        return "a directory, not an image file"
    return "a directory, not a sound file" if name.lower().endswith(SOUNDS) else None


def left_out_note(root: str, left_out: Mapping[str, int]) -> str:
    """Says which folders were left out.

    Args:
        root: the folder around them.
        left_out: their names, with counts.
    """
    names = ", ".join(f"{name!r} ({count:,})" for name, count in sorted(left_out.items())[:5])
    return f"{root}: folders of thumbnails or of a system were left out: {names}"


class _Walk:
    """One pass over a tree. `root` and `excluded` contain no links, so paths can be compared as text."""

    def __init__(self, root: str, excluded: frozenset[str], follow_links: bool = False):
        self.root = root
        self.inside = os.path.join(root, "")
        # Paths outside the folder have no names here; a link to one leads out, which must be said.
        self.excluded = frozenset(path for path in excluded if path.startswith(self.inside))
        self.paths: list[str] = []
        self.targets: dict[str, str] = {}
        self.unreadable: list[Unreadable] = []
        self.directories = [""]
        self.thumbnails: list[str] = []
        self.follow_links = follow_links
        self.seen = {root}
        self.left_out: dict[str, int] = {}

    def run(self) -> None:
        self.visit_all()
        if self.paths:
            for path in self.thumbnails:
                self.leave_out(os.path.basename(path))
        else:
            self.directories, self.thumbnails = self.thumbnails, []
            self.visit_all()

    def visit_all(self) -> None:
        while self.directories:
            directory = self.directories.pop()
            try:
                with os.scandir(os.path.join(self.root, directory)) as entries:
                    for entry in entries:
                        self.visit(entry, f"{directory}/{entry.name}" if directory else entry.name)
            except OSError as error:
                if not directory:
                    raise ValueError(
                        f"the folder cannot be listed: {error.strerror}. Received: path={self.root!r}"
                    ) from error
                self.set_aside(directory, f"a directory that cannot be listed: {error.strerror}")

    def visit(self, entry: os.DirEntry[str], path: str) -> None:
        if is_left_out(entry.name):
            return
        if self.excluded and os.path.join(self.root, path) in self.excluded:
            return
        try:
            if entry.is_symlink():
                self.visit_link(path)
            elif entry.is_dir(follow_symlinks=False):
                if entry.name.lower() in SYSTEM_FOLDERS:
                    self.leave_out(entry.name)
                    return
                if entry.name.lower() in THUMBNAILS:
                    self.thumbnails.append(path)
                    return
                self.directories.append(path)
                if (reason := folder_aside(entry.name)) is not None:
                    self.set_aside(path, reason)
            elif entry.is_file(follow_symlinks=False):
                self.paths.append(path)
            else:
                self.set_aside(path, "not a regular file")
        except OSError as error:
            self.set_aside(path, f"cannot be looked at: {error.strerror}")

    def visit_link(self, path: str) -> None:
        try:
            target = os.path.realpath(os.path.join(self.root, path), strict=True)
            mode = os.stat(target).st_mode
        except OSError as error:
            self.set_aside(path, _link_reason(error))
            return
        if self.is_excluded(target):
            return
        if self.follow_links and stat.S_ISDIR(mode):
            # Each folder is visited once; otherwise links that lead back would never end.
            if target not in self.seen and not self.inside.startswith(os.path.join(target, "")):
                self.seen.add(target)
                self.directories.append(path)
        elif not self.follow_links and target != self.root and not target.startswith(self.inside):
            self.set_aside(path, LEADS_OUT)
        elif stat.S_ISDIR(mode):
            self.set_aside(path, "a link to a directory, which is not followed")
        elif not stat.S_ISREG(mode):
            self.set_aside(path, "a link to something that is not a regular file")
        else:
            self.paths.append(path)
            self.targets[path] = target.removeprefix(self.inside)

    def leave_out(self, name: str) -> None:
        self.left_out[name] = self.left_out.get(name, 0) + 1

    def is_excluded(self, target: str) -> bool:
        return any(target == path or target.startswith(os.path.join(path, "")) for path in self.excluded)

    def set_aside(self, path: str, reason: str) -> None:
        self.unreadable.append(Unreadable(readable_path(path), reason))

    def listing(self) -> FolderListing:
        by_id: dict[str, str] = {}
        # In the order of the raw paths, so that always the same one of two equal ids wins.
        for path in sorted(self.paths):
            file_id = readable_path(path)
            if by_id.setdefault(file_id, path) != path:
                self.set_aside(path, "its name, made readable, equals another file's")
        ids = sorted(by_id)
        paths = [self.targets.get(by_id[file_id], by_id[file_id]) for file_id in ids]
        base = self.root
        if self.follow_links:
            # The paths that are read must contain no link.
            base = os.path.join(os.path.splitdrive(self.root)[0], os.sep)
            paths = [
                os.path.realpath(os.path.join(self.root, by_id[name])).removeprefix(base) for name in ids
            ]
        return FolderListing(self.root, paths, ids, sorted(self.unreadable), base, tuple(self.notes()))

    def notes(self) -> Iterator[str]:
        if self.left_out:
            yield left_out_note(self.root, self.left_out)
        out = sum(item.reason == LEADS_OUT for item in self.unreadable)
        if out:
            noun = "link leads" if out == 1 else "links lead"
            how = "follow_links=True (--follow-links)"
            yield f"{self.root}: {out:,} {noun} out of the folder; {how} reads what they lead to"


def _link_reason(error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "a broken link"
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    return f"a link that cannot be followed: {error.strerror}"
