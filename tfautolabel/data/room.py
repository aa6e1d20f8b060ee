"""How much of what is read may be in memory at a time, where a row tells its size only on the way."""

from __future__ import annotations

import threading


class NoRoom(Exception):  # noqa: N818 - what the reading of one row ends with, not an error
    """The row has to be read later, when what was read before is gone."""


class Room:
    """So many bytes; several threads take of them.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Takes bytes before they come to be in memory. After a refusal nothing is left for anyone.

        Args:
            size: bytes.

        Raises:
            NoRoom: If fewer are left.
        """
        with self._lock:
            if size > self._left:
                # Rows are used in their order: what stands behind the first that is missing is read again.
                self._left = -1
                raise NoRoom
            self._left -= size
