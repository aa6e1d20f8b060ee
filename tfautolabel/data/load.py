"""One function that turns a folder, and labels in any of their forms, into a `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.folder import FolderListing, list_folder
from tfautolabel.data.label_file import LabelRow, match_labels, read_label_file, rows_from_mapping
from tfautolabel.data.readers import FileReader
from tfautolabel.labels import Rejected

IN_NO_CLASS = "directly in the folder, not in the folder of a class"


def load_dataset(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | Mapping[str, str | None] | None = "auto",
    *,
    exclude: Iterable[str | os.PathLike[str]] = (),
    modality: str | None = None,
) -> Dataset:
    """Lists a folder of files and takes down the labels there are; no file is read yet.

    Every regular file at any depth is an example, whatever its name. Hidden files are left out. What cannot
    be an example (links that lead out of the folder, devices, …) is in `Dataset.rejected` with the reason.

    Args:
        path: the folder.
        labels: where the labels are:
            "auto" takes the folder of each file, if there are two or more and no file beside them, else none;
            "folder" takes the folder of each file and sets the files beside these folders aside;
            None labels nothing;
            a path names a CSV file with the columns `path` and `label`;
            a mapping goes from id to label.
        exclude: files and folders to leave out.
        modality: one of `MODALITIES`; None means "image".

    Returns:
        The files, sorted by their path below the folder, which is their id.

    Raises:
        FileNotFoundError: If the folder or the labels file does not exist.
        ValueError: If the path is not a folder, no file is in it, or the labels cannot be used.
        TypeError: If `exclude` is a single path, or a label in a mapping is not a str.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.jpg", "b.jpg"):
        ...         _ = pathlib.Path(folder, name).write_bytes(b"...")
        ...     load_dataset(folder, {"b.jpg": "cat"})
        Dataset(2 images, 1 labelled in 1 class: cat)
    """
    if isinstance(exclude, (str, os.PathLike)):
        raise TypeError(f"exclude must be a list of paths. Received: exclude={exclude!r}")
    root = _check_folder(path)
    # Before the folder is listed: a mistake in a small file should not cost a walk through a large tree.
    rows, source = _read_rows(labels)
    excluded = [*exclude] if source is None else [*exclude, source]
    listing = list_folder(root, excluded)
    if labels == "folder" or (labels == "auto" and _is_folder_per_class(listing)):
        return _load_folder_per_class(listing, root, modality)
    if not listing.ids:
        raise ValueError(f"the folder must hold files. Received: path={root!r}, {_found(listing)}")
    dataset = _dataset(listing, modality)
    if rows is None:
        return dataset
    return dataset.with_labels(match_labels(rows, listing.ids, root, listing.rejected, source or "labels"))


def _read_rows(
    labels: str | os.PathLike[str] | Mapping[str, str | None] | None,
) -> tuple[list[LabelRow] | None, str | os.PathLike[str] | None]:
    """The labels that were listed, if any were, and the file that lists them, if there is one."""
    if isinstance(labels, Mapping):
        return rows_from_mapping(labels), None
    if labels is None or labels in ("auto", "folder"):
        return None, None
    return read_label_file(labels), labels


def _check_folder(path: str | os.PathLike[str]) -> str:
    root = os.fspath(path)
    if not os.path.exists(root):
        raise FileNotFoundError(f"there is no folder {root!r}")
    if not os.path.isdir(root):
        raise ValueError(f"data must be a folder of image files. Received: path={root!r}, which is a file")
    return root


def _is_folder_per_class(listing: FolderListing) -> bool:
    return all("/" in file_id for file_id in listing.ids) and len(set(_top_folders(listing.ids))) >= 2


def _load_folder_per_class(listing: FolderListing, root: str, modality: str | None) -> Dataset:
    in_class = [row for row, file_id in enumerate(listing.ids) if "/" in file_id]
    if not in_class:
        raise ValueError(
            "labels='folder' needs a folder of files for each class. "
            f"Received: path={root!r}, {_found(listing)}"
        )
    beside = [Rejected(file_id, IN_NO_CLASS) for file_id in listing.ids if "/" not in file_id]
    kept = listing._replace(
        paths=[listing.paths[row] for row in in_class],
        ids=[listing.ids[row] for row in in_class],
        rejected=sorted([*listing.rejected, *beside]),
    )
    return _dataset(kept, modality).with_labels(_top_folders(kept.ids))


def _top_folders(ids: list[str]) -> list[str]:
    return [file_id.split("/", 1)[0] for file_id in ids]


def _dataset(listing: FolderListing, modality: str | None) -> Dataset:
    reader = FileReader(listing.root, listing.paths)
    return Dataset(reader, listing.ids, modality=modality or "image", rejected=listing.rejected)


def _found(listing: FolderListing) -> str:
    """What there is instead of what was wanted, for the end of an error."""
    found = f"{len(listing.ids)} files in it"
    if listing.rejected:
        first = listing.rejected[0]
        found += f" and {len(listing.rejected)} set aside, the first {first.id!r}: {first.reason}"
    return found
