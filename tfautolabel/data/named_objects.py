"""Files in a store that a column or a list names: by addresses, or by paths beside a table in the store."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tfautolabel.data.addresses import is_remote, place_at, shown
from tfautolabel.data.objects import READ_THREADS, read_object
from tfautolabel.data.places import Place
from tfautolabel.data.written_paths import MAX_PATH, is_address, looks_like_path, spellings

LOOKED_AT = 20
"""How many values are looked for in the store before all others are taken for names of files there."""


class NamedObjects(NamedTuple):
    """Where addresses lead, and paths that stand in a table in a store.

    Attributes:
        words: a description, for messages.
        folder: the folder of the table, for relative paths; None for a table elsewhere.
    """

    words: str
    folder: Place | None = None

    @property
    def threads(self) -> int:
        """How many files are best read at once; see `read_rows`."""
        return READ_THREADS

    def locate(self, written: str) -> tuple[str | None, bool]:
        """Returns the address that is meant or None, and whether a path leads out although it must not.

        Nothing is asked of the network, so there need be no file.
        """
        written = written.strip()
        if not written or len(written) > MAX_PATH:
            return None, False
        if is_remote(written):
            try:
                return place_at(written).address, False
            except ValueError:
                return None, False
        if self.folder is None or is_address(written):
            return None, False
        path = posixpath.normpath(next(iter(spellings(written))))
        if path.startswith(("/", "..")) or path == ".":
            return None, True
        return (self.folder / path).address, False

    def shown(self, written: str) -> str:
        """Returns what a message may show of a path."""
        return shown(written)

    def read(self, found: str) -> bytes:
        """Reads the file of an address that `locate` returned.

        Raises:
            ReadFailure: If this file cannot be read.
            OSError: If the network or the store fails.
        """
        place = Place(found)
        # A file of another store than the table's is asked for there.
        beside = self.folder is not None and self.folder.contains(place)
        return read_object(place, self.folder if beside and self.folder else place.parent)

    def key(self, written: str) -> str:
        """Returns a key that is equal for all spellings of a path."""
        return self.locate(written)[0] or written


def find_objects(
    values: Sequence[str], what: str, folder: Place | None, *, named: bool = False, refuse: bool = True
) -> NamedObjects | None:
    """Finds the files in stores that some values name; None if the values are no such names.

    Args:
        values: some values, from all over a table or list.
        what: what the values are, for messages: "t.csv: column 'image'".
        folder: the folder of a table in a store; None for any other.
        named: whether the column is called "image", "path" or the like.
        refuse: whether paths beside a table in a store that lead nowhere are an error.

    Raises:
        ValueError: If an address cannot be used, or most values look like paths and none leads to a file.
        OSError: If a store cannot be asked.
    """
    values = [value for value in values if value.strip()]
    alike = [value for value in values if is_remote(value.strip())]
    if len(alike) * 2 > len(values):
        for value in alike:
            place_at(value.strip())  # addresses with passwords are refused, all of them
        found = NamedObjects("by their addresses", folder)
    elif folder is not None:
        short = [value for value in values if len(value) <= MAX_PATH and "\n" not in value]
        alike = [value for value in short if looks_like_path(value, named)]
        if not values or len(alike) * 2 <= len(values):
            return None
        found = NamedObjects(f"beside the table ({str(folder)!r})", folder)
    else:
        return None
    if _any_leads_to_a_file(found, alike):
        return found
    if not refuse:
        return None
    some = ", ".join(repr(shown(value).strip()[:120]) for value in alike[:3])
    raise ValueError(
        f"{what} looks like paths, but none of those that were looked at leads to a file. "
        f"Received: {some}; they were looked for {found.words}; write them relative to the table or as "
        'addresses; if they are the texts themselves, say modality="text" (--modality text)'
    )


def _any_leads_to_a_file(places: NamedObjects, values: Sequence[str]) -> bool:
    """Returns whether one of some paths leads to a file."""
    some = values[:: max(1, len(values) // LOOKED_AT)]
    found = [address for value in some if (address := places.locate(value)[0]) is not None]
    with ThreadPoolExecutor(READ_THREADS) as pool:
        return any(pool.map(lambda address: Place(address).is_file(), found))
