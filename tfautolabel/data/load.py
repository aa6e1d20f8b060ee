"""Turns a folder, a file or a frame, with labels in any form, into a `Dataset`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfautolabel.data.addresses import is_remote, place_of
from tfautolabel.data.dataset import Dataset
from tfautolabel.data.folder_dataset import load_folder
from tfautolabel.data.label_file import LabelList, match_labels, read_label_file, rows_from_mapping
from tfautolabel.data.label_values import Rules, label_rules, resolve
from tfautolabel.data.modality import MODALITIES, PLURALS
from tfautolabel.data.places import Place
from tfautolabel.data.tables import load_table
from tfautolabel.data.tables.frames import in_order_of, index_names
from tfautolabel.data.text_names import match_texts


def load_dataset(
    data: Any,
    labels: str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any] | None = "auto",
    *,
    input_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    exclude: Iterable[str | os.PathLike[str] | Place] = (),
    modality: str | None = None,
    label_values: str = "usual",
    missing: Iterable[str] | None = None,
    encoding: str | None = None,
    follow_links: bool = False,
    expected: str | None = None,
) -> Dataset:
    """Lists the examples of a folder, a file or a frame, with their labels.

    Only references are kept; of a table, only labels and names are in memory. `Dataset.unreadable` lists what
    cannot be an example (a link that leads out of the folder, an invalid line, …) with the reason.
    `Dataset.notes` says what was guessed. Folders, tables and labels may be addresses in a store, such as
    "s3://bucket/photos"; see docs/scale.md.

    Args:
        data: one of:
            a folder: every regular file at any depth is an example, whatever its name. Hidden files and
            folders of thumbnails are left out. Files beside pictures or sounds are set aside if they are
            neither;
            a CSV, TSV, JSON, JSONL, Excel, Parquet or TFRecord file: every row is an example;
            a pandas or Polars DataFrame, a Hugging Face Dataset, an Arrow table, or a `tf.data.Dataset` of
            strings, of pairs with labels or of dictionaries (it is read into memory);
            a list of texts, of encoded files or of paths, see `Dataset.from_inputs`.
        labels: the source of the labels:
            "auto" takes a table's label column. For a folder, it takes the folder of each file if there are
            at least two such folders and no example beside them, else no labels;
            "folder" takes the folder of each file and sets the files beside these folders aside. Both options
            skip a single folder around all others, and parts with names such as "train", "val" and "test";
            None gives no labels;
            a path names a table with the columns `path` (or `id`) and `label`, see `read_label_file`;
            a mapping from id to label;
            a list with a label for each row, in order.
        input_column: for a table: the column of texts, of encoded files, or of paths (beside the table,
            relative to the working directory, or absolute); guessed by default.
        label_column: for a table: the column of labels, empty for a row without one; guessed by default.
        id_column: for a table: the column of names. The default is a column called `id` if it names each row;
            otherwise, and with "none", row numbers from 0 are the names.
        exclude: files and folders to leave out.
        modality: "image", "text" or "audio"; by default the modality of most of a few examples. With "text",
            values that look like paths but lead nowhere are texts.
        label_values: "usual" reads labels as people mean them: words such as "nan" are no label; spellings
            that differ only in Unicode form, spaces or as numbers are one class; lists are refused. "keep"
            makes each value a class as it is written.
        missing: words for "no label", instead of `tfautolabel.data.label_values.MISSING`; () for none.
        encoding: the encoding of a CSV, TSV or JSON file, such as "cp1251". The default detects UTF-8,
            UTF-16, UTF-32, else Western European (cp1252) if the text reads like that.
        expected: the modality that a model takes. Data recognised as another modality is refused, and data
            that cannot be recognised is taken for this one.
        follow_links: for a folder: whether links that lead out of it, and links to folders, are followed.

    Returns:
        The examples: files sorted by their path below the folder, which is their id; rows in their order.

    Raises:
        FileNotFoundError: If the folder, the file or the labels file does not exist.
        ValueError: If there is no example, or columns or labels cannot be used.
        TypeError: If `data` has another type, `exclude` is a single path, or a label in a mapping is not a
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
    if expected is not None and expected not in MODALITIES:
        raise ValueError(f"expected must be one of {MODALITIES}. Received: expected={expected!r}")
    rules = label_rules(label_values, missing)
    if is_remote(data):
        data = place_of(data)
    given = {"input_column": input_column, "label_column": label_column, "id_column": id_column}
    listed, how = _is_list(data), labels if isinstance(labels, str) else None
    if listed or not isinstance(data, (str, os.PathLike, Place)) or _is_file(data):
        if how == "folder":
            raise ValueError(f"labels='folder' is for folders. Received: {_named(data)}")
        found: tuple[str, ...] = ()
        numbered = True
        given_labels = _read_labels(labels, encoding)
        if listed:
            _refuse_columns(given, "a list")
            if not len(data):
                raise ValueError("data must hold rows. Received: an empty list")
            names = [name for name in index_names(data) or () if name]
            ids = names if len(set(names)) == len(data) else None
            numbered = ids is None
            loaded = Dataset.from_inputs(list(data), ids=ids, modality=modality or expected)
        else:
            loaded, found, numbered = _load_table(
                data, how == "auto", given, modality, rules, encoding, expected
            )
        _check_expected(loaded, modality or expected, _named(data))
        if _is_list(labels):
            labels = in_order_of(data, labels)
        return _labelled(loaded, labels, None, rules, given_labels, found, numbered)
    root = _check_folder(data)
    _refuse_columns(given, f"the folder {str(root)!r}")
    # Before the folder is listed: a mistake in a small file should show before a long walk.
    given_labels = _read_labels(labels, encoding)
    loaded_folder = load_folder(
        root,
        how,
        exclude=[*exclude, *_own_file(labels, given_labels)],
        modality=modality,
        expected=expected,
        follow_links=follow_links,
    )
    _check_expected(loaded_folder.dataset, modality or expected, str(root))
    if loaded_folder.labels is not None:
        labels = loaded_folder.labels
    return _labelled(loaded_folder.dataset, labels, str(root), rules, given_labels)


def _labelled(
    dataset: Dataset,
    labels: Any,
    root: str | None,
    rules: Rules,
    given: LabelList | None = None,
    found: Iterable[str] = (),
    numbered: bool = True,
) -> Dataset:
    """Adds the labels that a list names, if there are any; warns of likely mistakes."""
    values: Sequence[Any] | None = list(labels) if _is_list(labels) else None
    notes: tuple[str, ...] = ()
    if given is not None:
        names, settled, found = resolve([row.label for row in given.rows], given.source, rules)
        if given.folder is not None and not any(names):
            raise ValueError(f"{given.source}: none of its {len(names):,} rows has a label")
        rows = [row._replace(label=name or "") for row, name in zip(given.rows, names, strict=True)]
        given = given._replace(rows=rows)
        matched = (
            match_texts(given, dataset)
            if given.by_text
            else match_labels(given, dataset.ids.tolist(), root, dataset.unreadable, numbered)
        )
        values, notes = matched.labels, (*given.notes, *settled, *matched.notes)
        rules = Rules(keep=True)
    for warning in found:
        # The frame above is load_dataset; the warning names its caller.
        warnings.warn(warning, UserWarning, stacklevel=3)
    return dataset if values is None else dataset.with_notes(notes).labelled_by(values, rules, depth=4)


def _check_expected(dataset: Dataset, expected: str | None, name: str) -> None:
    """Refuses data of another modality than the model takes."""
    if expected is not None and dataset.modality != expected:
        understood = "; ".join(dataset.notes)
        raise ValueError(
            f"the model takes {PLURALS[expected]}. Received: {name}, which holds "
            f"{PLURALS[dataset.modality]}; if it does not, say modality={expected!r} "
            f"(--modality {expected}). Understood was: {understood}"
        )


def _is_list(value: object) -> bool:
    """Returns whether an object holds values in order: a list, an array or a column of a frame."""
    if isinstance(value, (list, tuple)):
        return True
    is_column = hasattr(value, "dtype") and not hasattr(value, "columns")
    return is_column and hasattr(value, "__iter__") and getattr(value, "ndim", 1) == 1


def _named(data: object) -> str:
    return str(data) if isinstance(data, (str, os.PathLike, Place)) else type(data).__name__


def _is_file(data: str | os.PathLike[str] | Place) -> bool:
    return data.is_file() if isinstance(data, Place) else os.path.isfile(data)


def _refuse_columns(given: Mapping[str, str | None], what: str) -> None:
    if any(given.values()):
        raise ValueError(f"columns are for tables. Received: {given} for {what}")


def _load_table(
    data: object,
    labels_wanted: bool,
    columns: dict[str, str | None],
    modality: str | None,
    rules: Rules,
    encoding: str | None,
    expected: str | None,
) -> tuple[Dataset, tuple[str, ...], bool]:
    loaded = load_table(
        data,
        modality=modality,
        labels_wanted=labels_wanted,
        rules=rules,
        encoding=encoding,
        expected=expected,
        **columns,
    )
    scan = loaded.scan
    dataset = Dataset(
        scan.reader,
        scan.ids,
        scan.class_ids,
        scan.classes,
        modality=loaded.modality,
        unreadable=scan.unreadable,
        notes=loaded.notes,
    )
    return dataset, loaded.warnings, loaded.numbered


def _read_labels(labels: Any, encoding: str | None) -> LabelList | None:
    """Reads labels that are listed by name; None if there are none."""
    if isinstance(labels, Mapping):
        return LabelList(rows_from_mapping(labels))
    if labels is None or _is_list(labels) or (isinstance(labels, str) and labels in ("auto", "folder")):
        return None
    return read_label_file(labels, encoding)


def _own_file(labels: Any, given: LabelList | None) -> list[str | os.PathLike[str]]:
    """Returns the file of labels, which must not count as an example."""
    return [labels] if given is not None and given.folder is not None else []


def _check_folder(path: str | os.PathLike[str] | Place) -> str | Place:
    if isinstance(path, Place):
        if not path.is_dir():
            raise FileNotFoundError(f"there is no folder or file {str(path)!r}")
        return path
    root = os.fspath(path)
    if not os.path.exists(root):
        raise FileNotFoundError(f"there is no folder or file {root!r}")
    if not os.path.isdir(root):
        raise ValueError(f"data must be a folder or a regular file. Received: path={root!r}")
    return root
