"""Finds the rows in JSON documents: wrappers, columns, and exports of Label Studio, FiftyOne and COCO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tfautolabel.data.tables.columns import INPUTS, LABELS, NAMES, plain_name
from tfautolabel.data.tables.label_studio import Tasks, is_task, one_or_list
from tfautolabel.data.written_paths import looks_like_path

_KNOWN = frozenset((*INPUTS, *LABELS, *NAMES))
_ROWS = (
    "data", "rows", "examples", "samples", "items", "records", "instances", "results", "tasks", "annotations",
    "documents", "images",
)  # fmt: skip


def rows_of_item(item: object, tasks: Tasks) -> Iterator[Any]:
    """Yields the rows of an array's item; an item that is no row is kept, to be set aside by name.

    Args:
        item: the item.
        tasks: reads tasks of Label Studio, and counts what their rows do not show.
    """
    if isinstance(item, str):
        yield {"text": item}
    elif isinstance(item, list):
        yield {f"column {number}": value for number, value in enumerate(item, 1)}
    elif isinstance(item, dict) and isinstance(item.get("row"), dict) and "row_idx" in item:
        yield item["row"]
    elif isinstance(item, dict) and is_task(item):
        yield tasks.row(item)
    elif isinstance(item, dict):
        yield {key: _label_of_field(value) for key, value in item.items()}
    else:
        yield item


def is_header(item: Any) -> bool:
    """Returns whether the first item of an array names the columns of the items after it."""
    are_names = isinstance(item, list) and all(isinstance(value, str) for value in item)
    return are_names and len(set(item)) == len(item) and any(plain_name(name) in _KNOWN for name in item)


def rows_of_document(document: object, name: str, tasks: Tasks) -> Iterator[Any]:
    """Yields the rows of an object.

    Args:
        document: the content of the file.
        name: the file, for messages.
        tasks: as for `rows_of_item`.

    Raises:
        ValueError: If it is no known form of a table.
    """
    if not isinstance(document, dict) or not document:
        raise ValueError(
            f"{name}: a JSON file must hold rows. Received: {type(document).__name__} without any"
        )
    values = list(document.values())
    if {"images", "annotations", "categories"} <= set(document):
        yield from _of_coco(document, name)
    elif isinstance(document.get("labels"), dict) and set(document) <= {
        "classes",
        "labels",
        "info",
        "version",
    }:
        yield from _of_classes(document.get("classes") or [], document["labels"], name)
    elif len(values) > 1 and _are_files_of_classes(document):
        yield from ({"path": path, "label": key} for key, paths in document.items() for path in paths)
    elif isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        for row in document["data"]:
            yield (
                dict(zip(map(str, document["columns"]), row, strict=False)) if isinstance(row, list) else row
            )
    elif is_task(document):
        yield tasks.row(document)
    elif all(not isinstance(value, dict) and looks_like_path(key) for key, value in document.items()):
        yield from ({"path": key, "label": value} for key, value in document.items())
    elif len(values) > 1 and _are_columns(values):
        yield from _of_columns(document, name)
    elif (rows := _wrapped(document)) is not None:
        for item in rows:
            yield from rows_of_item(item, tasks)
    elif all(isinstance(value, list) for value in values):
        yield from _of_columns(document, name)
    elif all(isinstance(value, dict) for value in values):
        yield from _of_dictionaries(document)
    elif any(plain_name(key) in _KNOWN for key in document):
        yield from rows_of_item(document, tasks)
    elif all(not isinstance(value, dict) for value in values):
        yield from ({"path": key, "label": value} for key, value in document.items())
    else:
        raise ValueError(
            f"{name}: a JSON file must hold an array of rows, an object of columns, or an export of Label "
            f"Studio, "
            f"FiftyOne or COCO. Received: an object with the keys {list(document)[:8]}"
        )


def _are_files_of_classes(document: Mapping[str, Any]) -> bool:
    """Returns whether each key is a class and its value the list of its files."""
    paths = [value for values in document.values() if isinstance(values, list) for value in values]
    return (
        bool(paths)
        and all(isinstance(values, list) for values in document.values())
        and all(isinstance(path, str) and looks_like_path(path) for path in paths)
        and not any(plain_name(key) in _KNOWN for key in document)
    )


def _are_columns(values: list[Any]) -> bool:
    """Returns whether all values are lists of equal length, and not all of them are lists of rows."""
    lengths = {len(value) if isinstance(value, list) else -1 for value in values}
    return len(lengths) == 1 and -1 not in lengths and not all(map(_holds_rows, values))


def _holds_rows(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)


def _wrapped(document: Mapping[str, Any]) -> list[Any] | None:
    """Returns the one list of rows in an object that holds other data too."""
    lists: dict[str, list[Any]] = {key: value for key, value in document.items() if _holds_rows(value)}
    named = [key for key in _ROWS if key in lists]
    if named and (len(lists) == 1 or not all(isinstance(value, list) for value in document.values())):
        return lists[named[0]]
    only_dicts = [value for value in lists.values() if all(isinstance(item, dict) for item in value)]
    return only_dicts[0] if len(only_dicts) == 1 and len(lists) == 1 else None


def _of_columns(columns: Mapping[str, list[Any]], name: str) -> Iterator[dict[str, Any]]:
    lengths = {key: len(value) for key, value in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{name}: columns must have one length. Received: {dict(list(lengths.items())[:8])}")
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _of_dictionaries(document: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields rows from nested dictionaries by column or by row, as pandas writes them; keeps row names."""
    inner = list(dict.fromkeys(key for value in document.values() for key in value))
    outer_known = sum(plain_name(key) in _KNOWN for key in document)
    inner_known = sum(plain_name(key) in _KNOWN for key in inner)
    by_column = outer_known > inner_known or (outer_known == inner_known and all(map(str.isdecimal, inner)))
    names = inner if by_column else list(document)
    keep_names = names != [str(number) for number in range(len(names))]
    for name in names:
        row = {key: value.get(name) for key, value in document.items()} if by_column else document[name]
        row = {key: _label_of_field(value) for key, value in row.items()}
        yield {"id": name, **row} if keep_names and "id" not in row else row


def _of_coco(document: Mapping[str, Any], source: str) -> Iterator[dict[str, Any]]:
    """Yields images with their category; several categories stay a list."""
    try:
        names = {str(category["id"]): str(category["name"]) for category in document["categories"]}
        found: dict[str, dict[str, None]] = {}
        for annotation in document["annotations"]:
            category = str(annotation["category_id"])
            if category not in names:
                raise ValueError(
                    f"{source}: each category_id must be one of the categories {list(names)[:8]}. "
                    f"Received: {category!r}"
                )
            found.setdefault(str(annotation["image_id"]), {})[names[category]] = None
        for image in document["images"]:
            yield {"path": image["file_name"], "label": one_or_list(found.get(str(image["id"]), ()))}
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{source}: a COCO file has images with id and file_name, annotations with image_id and "
            f"category_id, "
            f"and categories with id and name. Received: one without {error}"
        ) from error


def _of_classes(classes: list[Any], labels: Mapping[str, Any], source: str) -> Iterator[dict[str, Any]]:
    """Yields FiftyOne's image classification: each image has an index into the names, or a name."""
    for path, label in labels.items():
        named = [_label_of_field(value) for value in (label if isinstance(label, list) else [label])]
        for value in named:
            if classes and type(value) is int and not 0 <= value < len(classes):
                raise ValueError(
                    f"{source}: labels must be numbers below {len(classes)}, the number of classes. "
                    f"Received: {value} for {path!r}"
                )
        yield {
            "path": path,
            "label": one_or_list(
                str(classes[value]) if classes and type(value) is int else value
                for value in named
                if value is not None
            ),
        }


def _label_of_field(value: object) -> Any:
    """Returns the label in a field of FiftyOne; anything else stays as it is."""
    if isinstance(value, dict) and isinstance(value.get("classifications"), list):
        return one_or_list(item.get("label") for item in value["classifications"] if isinstance(item, dict))
    if (
        isinstance(value, dict)
        and "label" in value
        and ("_cls" in value or "confidence" in value or set(value) == {"label"})
    ):
        return value["label"]
    return value
