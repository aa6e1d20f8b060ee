"""Makes a data set of the files below a folder; its subfolders can be the classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.endings import IMAGES, SOUNDS, ending_of
from tfautolabel.data.folder import LEADS_OUT, FolderListing, list_folder
from tfautolabel.data.folder_layout import (
    ClassFolders,
    Media,
    find_classes,
    find_masks,
    find_media,
    is_document,
    only_parts,
)
from tfautolabel.data.label_texts import SHOWN
from tfautolabel.data.modality import PLURALS, SAMPLE, modality_of, recognise_modality, telling_part
from tfautolabel.data.objects import ObjectReader, list_objects
from tfautolabel.data.picture_files import note_of_range
from tfautolabel.data.places import Place
from tfautolabel.data.readers import FileReader, Reader, read_rows
from tfautolabel.labels import Unreadable

IN_NO_CLASS = "directly in the folder, not in the folder of a class"
FOLLOW = "follow_links=True (--follow-links)"

_AT_ONCE = 64
"""Files beside media that are looked into at a time."""


class LoadedFolder(NamedTuple):
    """What `load_folder` returns.

    Attributes:
        dataset: its examples, without labels.
        labels: n classes, None for a file outside the class folders; None if the folders are not classes.
    """

    dataset: Dataset
    labels: list[str | None] | None


def load_folder(
    root: str | Place,
    how: str | None,
    *,
    exclude: Iterable[str | os.PathLike[str] | Place],
    modality: str | None,
    expected: str | None,
    follow_links: bool,
) -> LoadedFolder:
    """Lists a folder as a data set.

    Args:
        root: the folder.
        how: "folder" if folders are classes, "auto" to find out whether they are, else neither.
        exclude: files and folders to leave out.
        modality: None to recognise it.
        expected: the modality to assume if the contents do not tell, or if the names point to it.
        follow_links: whether links that lead out of the folder, and links to folders, are followed.

    Raises:
        ValueError: If there is no example, or no class folder although `how` asks for them.
    """
    if isinstance(root, Place):
        listing = list_objects(root, exclude)
    else:
        local = [path for path in exclude if not isinstance(path, Place)]
        listing = list_folder(root, local, follow_links=follow_links)
    root = str(root)
    if not listing.ids:
        raise ValueError(f"the folder must hold files. Received: path={root!r}, {_found(listing)}")
    media = find_media(listing.ids)
    notes = [*listing.notes]
    samples = _samples(listing, media)
    found = recognise_modality(samples)
    if (
        found == "text"
        and media.kind is not None
        and sum(map(_stands_for_another, samples)) * 2 > len(samples)
    ):
        found = media.kind
    known = modality or found or expected or media.kind or "image"
    if modality is None and expected is not None and media.kind == expected:
        known = expected  # even if most of its pictures are damaged
    if known == "image" and (note := note_of_range(samples)):
        notes.append(note)
    if known in ("image", "audio") and not media.rows and len(media.beside) < len(listing.ids):
        media = media._replace(kind=known)  # pictures and sounds without endings
    if known in ("image", "audio") and media.kind is not None:
        media = media._replace(beside=_no_media(listing, media, known))
    if known in ("image", "audio") and media.kind is not None and media.beside:
        listing, note = _without_sidecars(listing, media, known)
        notes.insert(0, note)
    classes = None
    if how in ("folder", "auto"):
        listing, classes = _class_folders(listing, how, root)
        if classes is not None:
            notes += [f"{root}: {note}" for note in classes.notes]
        elif any("/" in name for name in listing.ids):
            notes.append(
                f"{root}: its folders are not taken for classes, since {_why_no_classes(listing.ids)}"
            )
    if known == "image" and (masks := find_masks(listing.ids)):
        notes.append(
            f"{root}: {len(masks):,} files are named as masks of other pictures, the first {masks[0]!r}, and "
            f"are examples like these; move them elsewhere to leave them out"
        )
    if modality is None and (note := _others(listing, known)):
        notes.insert(0, note)
    if modality is None:
        notes.insert(0, f"{listing.root}: {len(listing.ids):,} files, taken for {PLURALS[known]}")
    dataset = Dataset(
        _reader(listing),
        listing.ids,
        modality=known,
        unreadable=listing.unreadable,
        notes=notes,
    )
    return LoadedFolder(dataset, None if classes is None else classes.labels)


def _reader(listing: FolderListing) -> Reader:
    if isinstance(listing.base, Place):
        return ObjectReader(listing.base, listing.paths, listing.sizes)
    return FileReader(listing.base, listing.paths)


def _why_no_classes(ids: Sequence[str]) -> str:
    if only_parts(ids):
        return "they are called as the parts of a data set are"
    return "files lie beside them or there is only one; labels='folder' takes them for such"


def _others(listing: FolderListing, known: str) -> str | None:
    """Says that there are sounds among pictures, or pictures among sounds."""
    other = {"image": "audio", "audio": "image"}.get(known)
    endings = IMAGES if other == "image" else SOUNDS
    count = sum(ending_of(name) in endings for name in listing.ids) if other else 0
    if not count or other is None:
        return None
    return (
        f"{listing.root}: {count:,} of these have names of {PLURALS[other]}, which cannot be read as "
        f"{PLURALS[known]}; modality={other!r} (--modality {other}) reads them instead"
    )


def _stands_for_another(data: bytes) -> bool:
    """Returns whether a text was saved in place of a file: a pointer of Git LFS, or the page of an error."""
    return data[:100].lstrip().lower().startswith((b"version https://git-lfs", b"<!doctype html", b"<html"))


def _samples(listing: FolderListing, media: Media) -> list[bytes]:
    """Reads the bytes of some files: media files if there are any, else files from all over the folder."""
    rows = media.rows if media.kind is not None and media.beside else range(len(listing.paths))
    some = [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, SAMPLE, dtype=int)).tolist()]
    values = read_rows(_reader(listing), some, telling_part)
    return [value for value in values if isinstance(value, bytes)]


def _no_media(listing: FolderListing, media: Media, known: str) -> list[int]:
    """Returns the files beside the media whose content is not media, whatever their names say.

    A file that shares the name of a picture or sound belongs to it and is not read.
    """
    owners = {os.path.splitext(listing.ids[row])[0].casefold() for row in media.rows}
    alone = [row for row in media.beside if os.path.splitext(listing.ids[row])[0].casefold() not in owners]
    reader, found = _reader(listing), set()
    for start in range(0, len(alone), _AT_ONCE):
        some = alone[start : start + _AT_ONCE]
        for row, value in zip(some, read_rows(reader, some, telling_part), strict=True):
            if isinstance(value, bytes) and modality_of(value) == known:
                found.add(row)
    return [row for row in media.beside if row not in found]


def _without_sidecars(listing: FolderListing, media: Media, known: str) -> tuple[FolderListing, str]:
    beside = [listing.ids[row] for row in media.beside]
    one = "picture" if known == "image" else "sound clip"
    unreadable = [
        Unreadable(name, f"no {one}: a {ending_of(name) or 'text'} file beside {PLURALS[known]}")
        for name in beside
    ]
    kept = _kept(listing, set(range(len(listing.ids))).difference(media.beside), unreadable)
    more = f" and {len(beside) - SHOWN:,} more" if len(beside) > SHOWN else ""
    noun = f"file that is no {one} lies" if len(beside) == 1 else f"files that are no {PLURALS[known]} lie"
    return kept, (
        f"{listing.root}: {len(beside):,} {noun} beside the {PLURALS[known]}, set aside: "
        f"{', '.join(map(repr, beside[:SHOWN]))}{more}"
    )


def _class_folders(listing: FolderListing, how: str, root: str) -> tuple[FolderListing, ClassFolders | None]:
    """Returns the listing without the files beside the class folders, and the classes."""
    if how == "folder":
        inside = [row for row, name in enumerate(listing.ids) if "/" in name]
        if not inside:
            raise ValueError(
                "labels='folder' needs a folder of files for each class. "
                f"Received: path={root!r}, {_found(listing)}"
            )
        beside = [Unreadable(name, IN_NO_CLASS) for name in listing.ids if "/" not in name]
        listing = _kept(listing, inside, beside)
        found = find_classes(listing.ids)
        if found is None and only_parts(listing.ids):
            names = sorted({name.split("/", 1)[0] for name in listing.ids})
            raise ValueError(
                "labels='folder' needs a folder of files for each class. "
                f"Received: path={root!r}, whose folders {names} are called as the parts of a data set are"
            )
        classes = found or ClassFolders(0, [name.split("/", 1)[0] for name in listing.ids], ())
    else:
        found = find_classes(listing.ids)
        if found is None:
            return listing, None
        classes = found
    in_none = [row for row, label in enumerate(classes.labels) if label is None]
    aside = [row for row in in_none if how == "folder" or is_document(listing.ids[row])]
    if not aside:
        return listing, classes
    unreadable = [Unreadable(listing.ids[row], IN_NO_CLASS) for row in aside]
    rows = sorted(set(range(len(listing.ids))).difference(aside))
    return _kept(listing, rows, unreadable), classes._replace(labels=[classes.labels[row] for row in rows])


def _kept(listing: FolderListing, rows: Iterable[int], unreadable: Sequence[Unreadable]) -> FolderListing:
    rows = sorted(rows)
    return listing._replace(
        paths=[listing.paths[row] for row in rows],
        ids=[listing.ids[row] for row in rows],
        unreadable=sorted([*listing.unreadable, *unreadable]),
    )


def _found(listing: FolderListing) -> str:
    """Describes what the folder holds instead, for the end of an error message."""
    found = f"{len(listing.ids)} files in it"
    if listing.unreadable:
        first = listing.unreadable[0]
        found += f" and {len(listing.unreadable)} set aside, the first {first.id!r}: {first.reason}"
    if any(item.reason == LEADS_OUT for item in listing.unreadable):
        found += f"; {FOLLOW} reads what such links lead to"
    return found
