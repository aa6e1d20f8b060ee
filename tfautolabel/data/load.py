"""One function that turns a folder, a file or a frame, and labels in any form, into a `Dataset`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.folder import FolderListing, list_folder
from tfautolabel.data.label_file import LabelRow, match_labels, read_label_file, rows_from_mapping
from tfautolabel.data.modality import MODALITIES, SAMPLE, recognise_modality
from tfautolabel.data.readers import FileReader, ReadFailure
from tfautolabel.data.tables import load_table
from tfautolabel.labels import Rejected

_PLURALS = {"image": "pictures", "text": "texts", "audio": "sound clips"}

IN_NO_CLASS = "directly in the folder, not in the folder of a class"


def load_dataset(
    data: Any,
    labels: str | os.PathLike[str] | Mapping[str, str | None] | None = "auto",
    *,
    input_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    exclude: Iterable[str | os.PathLike[str]] = (),
    modality: str | None = None,
) -> Dataset:
    """Takes down the examples of a folder, a file or a frame, and the labels there are.

    References only: nothing but a table's labels and names is kept in memory. What cannot be an example
    (links that lead out of the folder, a line that is no record, …) is in `Dataset.rejected` with the reason;
    what was guessed is in `Dataset.notes`.

    Args:
        data: one of:
            a folder: every regular file at any depth is an example, whatever its name; hidden files are left
            out;
            a CSV, TSV, JSONL, Parquet or TFRecord file (UTF-8): every row is an example;
            a pandas or Polars DataFrame, a Hugging Face Dataset, an Arrow table, or a `tf.data.Dataset` of
            strings, of pairs with labels or of dictionaries (which is read into memory).
        labels: where the labels are:
            "auto" takes a table's label column; of a folder, the folder of each file, if there are two or
            more and no file beside them, else none;
            "folder" takes the folder of each file and sets the files beside these folders aside;
            None labels nothing;
            a path names a CSV file with the columns `path` (or `id`) and `label`;
            a mapping goes from id to label.
        input_column: of a table: the column of texts, of encoded files, or of paths relative to the file's
            folder; guessed by default.
        label_column: of a table: the column of labels, empty where there is none; guessed by default.
        id_column: of a table: the column of names; one called `id` by default, else the rows are numbered
            from 0.
        exclude: files and folders to leave out.
        modality: "image", "text" or "audio"; by default that of most of a few examples.

    Returns:
        The examples: files sorted by their path below the folder, which is their id; rows in their order.

    Raises:
        FileNotFoundError: If the folder, the file or the labels file does not exist.
        ValueError: If there is no example, or columns or labels cannot be used.
        TypeError: If `data` is of another type, `exclude` is a single path, or a label in a mapping is not a
            str.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.txt", "b.txt"):
        ...         _ = pathlib.Path(folder, name).write_text("It was late.")
        ...     load_dataset(folder, {"b.txt": "fact"})
        Dataset(2 texts, 1 labelled in 1 class: fact)
    """
    if isinstance(exclude, (str, os.PathLike)):
        raise TypeError(f"exclude must be a list of paths. Received: exclude={exclude!r}")
    if modality is not None and modality not in MODALITIES:
        raise ValueError(f"modality must be one of {MODALITIES}. Received: modality={modality!r}")
    given = {"input_column": input_column, "label_column": label_column, "id_column": id_column}
    if not isinstance(data, (str, os.PathLike)) or os.path.isfile(data):
        return _load_table(data, labels, given, modality)
    root = _check_folder(data)
    if any(given.values()):
        raise ValueError(f"columns are for tables. Received: {given} for the folder {root!r}")
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


def _load_table(
    data: Any,
    labels: str | os.PathLike[str] | Mapping[str, str | None] | None,
    columns: dict[str, str | None],
    modality: str | None,
) -> Dataset:
    if isinstance(labels, str) and labels == "folder":
        raise ValueError(f"labels='folder' is for folders. Received: {data}")
    rows, source = _read_rows(labels)
    wanted = isinstance(labels, str) and labels == "auto"
    loaded = load_table(data, modality=modality, labels_wanted=wanted, **columns)
    scan = loaded.scan
    dataset = Dataset(
        scan.reader,
        scan.ids,
        scan.class_ids,
        scan.classes,
        modality=loaded.modality,
        rejected=scan.rejected,
        notes=loaded.notes,
    )
    if rows is None:
        return dataset
    return dataset.with_labels(
        match_labels(rows, dataset.ids.tolist(), None, scan.rejected, source or "labels")
    )


def _read_rows(
    labels: str | os.PathLike[str] | Mapping[str, str | None] | None,
) -> tuple[list[LabelRow] | None, str | os.PathLike[str] | None]:
    """The labels that were listed, if any were, and the file that lists them, if there is one."""
    if isinstance(labels, Mapping):
        return rows_from_mapping(labels), None
    if labels is None or (isinstance(labels, str) and labels in ("auto", "folder")):
        return None, None
    return read_label_file(labels), labels


def _check_folder(path: str | os.PathLike[str]) -> str:
    root = os.fspath(path)
    if not os.path.exists(root):
        raise FileNotFoundError(f"there is no folder or file {root!r}")
    if not os.path.isdir(root):
        raise ValueError(f"data must be a folder or a regular file. Received: path={root!r}")
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
    notes = []
    if modality is None:
        modality = _modality(reader) or "image"
        notes.append(f"{listing.root}: {len(listing.ids):,} files, taken for {_PLURALS[modality]}")
    return Dataset(reader, listing.ids, modality=modality, rejected=listing.rejected, notes=notes)


def _modality(reader: FileReader) -> str | None:
    """What most of some files are, taken from all over the listing."""
    samples = []
    for row in np.unique(np.linspace(0, len(reader) - 1, SAMPLE, dtype=int)).tolist():
        with contextlib.suppress(ReadFailure):
            samples.append(reader.read(row))
    return recognise_modality(samples)


def _found(listing: FolderListing) -> str:
    """What there is instead of what was wanted, for the end of an error."""
    found = f"{len(listing.ids)} files in it"
    if listing.rejected:
        first = listing.rejected[0]
        found += f" and {len(listing.rejected)} set aside, the first {first.id!r}: {first.reason}"
    return found
