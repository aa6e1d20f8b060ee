"""Columns of paths or base64: the inputs are the files that the values lead to or hold."""

from __future__ import annotations

import numpy as np

from tfautolabel.data.class_ids import ClassIds, ids_at, labelled_rows
from tfautolabel.data.label_texts import SHOWN
from tfautolabel.data.located_files import LocatedFiles, NamedFiles
from tfautolabel.data.narrowed import HeldReader, narrowed
from tfautolabel.data.readers import Reader, ReadFailure, read_rows
from tfautolabel.data.written_paths import MAX_PATH, PathSearch, from_base64, spellings

AT_ONCE = 8192
"""How many rows are compared at a time."""


class PathReader(LocatedFiles):
    """Reads the files that another reader's values name.

    Args:
        place: where to look for them.
        names: reads the paths.
    """

    def __init__(self, place: NamedFiles, names: Reader) -> None:
        super().__init__(place)
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def located(self, row: int) -> str:
        """See `LocatedFiles`; a path that leads out of the table's folder is a failure too."""
        path = _written(self.names.read(row))
        shown = self.place.shown(path).strip().replace("\\", "/")[:200]
        found, leads_out = self.place.locate(path)
        if found is None:
            if leads_out:
                raise ReadFailure(f"the path leads out of the table's folder: {shown!r}")
            raise ReadFailure(f"there is no file {shown!r}")
        return found

    def only(self, rows: np.ndarray) -> PathReader:
        """Returns a reader of some of the files; see `Narrows`. The paths themselves are sent."""
        values = read_rows(self.names, rows.tolist())
        place = self.place
        if isinstance(place, PathSearch) and (below := place.below) is not None:
            # Only what these names need, of perhaps a million.
            written = [_written(value) for value in values if isinstance(value, bytes)]
            needed = {path for name in written for path in spellings(name)} & below.keys()
            place = place._replace(below={path: below[path] for path in needed})
        return PathReader(place, HeldReader(values))


class Base64Reader:
    """Decodes the base64 files in another reader's values.

    Args:
        values: reads the values.
    """

    def __init__(self, values: Reader) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def read(self, row: int) -> bytes:
        """Returns the bytes of one file.

        Raises:
            ReadFailure: If the row holds no base64.
        """
        try:
            return from_base64(self._values.read(row))
        except ReadFailure:
            raise
        except ValueError as error:
            raise ReadFailure(f"not valid base64: {error}") from error

    def only(self, rows: np.ndarray) -> Base64Reader:
        """Returns a reader of some of the values; see `Narrows`."""
        return Base64Reader(narrowed(self._values, rows))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _written(value: bytes) -> str:
    return value[: MAX_PATH + 1].decode("utf-8", "replace")


def check_one_label_a_file(
    source: str, names: Reader, class_ids: ClassIds, classes: tuple[str, ...], place: NamedFiles
) -> tuple[str, ...]:
    """Refuses two labels for one path, and notes paths that occur more than once.

    Args:
        source: the table's name, for messages.
        names: reads the paths as written.
        class_ids: (n,) int64, -1 = `ABSTAIN`; only labelled rows are compared.
        classes: the names of the classes.
        place: where to look for the files.

    Returns:
        Notes.

    Raises:
        ValueError: If one path has two labels.
    """
    labelled = labelled_rows(class_ids)
    given = np.asarray(ids_at(class_ids, labelled))
    keys = np.zeros(len(labelled), np.int64)
    for start in range(0, len(labelled), AT_ONCE):
        values = read_rows(names, labelled[start : start + AT_ONCE].tolist())
        keys[start : start + len(values)] = [
            hash(number if isinstance(value, ReadFailure) else place.key(_text(value)))
            for number, value in enumerate(values, start)
        ]
    order = np.argsort(keys, kind="stable")
    repeats = 0
    shown: list[str] = []
    for first, second in zip(
        *(order[at][keys[order][1:] == keys[order][:-1]] for at in (slice(None, -1), slice(1, None))),
        strict=True,
    ):
        one, other = int(labelled[first]), int(labelled[second])
        path = names.read(other)
        if not _same_file(names.read(one), path, place):
            continue
        text = place.shown(_text(path)).strip()[:120]
        if given[first] != given[second]:
            raise ValueError(
                f"{source}: one file has two labels. Received: {text!r} is {classes[given[first]]!r} in "
                f"row "
                f"{one} and {classes[given[second]]!r} in row {other} (counted from 0)"
            )
        repeats += 1
        shown.append(repr(text))
    if not repeats:
        return ()
    noun = "row names a file" if repeats == 1 else "rows name files"
    return (f"{source}: {repeats:,} labelled {noun} that another one names too: {', '.join(shown[:SHOWN])}",)


def check_labels_of_files(reader: Reader, class_ids: np.ndarray, classes: tuple[str, ...]) -> None:
    """Does the same as `check_one_label_a_file` for labels that were given beside the inputs.

    Args:
        reader: gives the inputs. A reader without `names` and a `place` is not checked: it reads no named
            files.
        class_ids: (n,) int64, -1 = `ABSTAIN`.
        classes: the names of the classes.

    Raises:
        ValueError: If one path has two labels.
    """
    names, place = getattr(reader, "names", None), getattr(reader, "place", None)
    if names is not None and place is not None:
        check_one_label_a_file("labels", names, class_ids, classes, place)


def _same_file(one: bytes, other: bytes, place: NamedFiles) -> bool:
    if one == other:
        return True
    texts = [_text(path) for path in (one, other)]
    files = [place.locate(text)[0] for text in texts]
    return place.key(texts[0]) == place.key(texts[1]) and files[0] == files[1]
