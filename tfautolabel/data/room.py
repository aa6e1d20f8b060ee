"""Limits how many read bytes are in memory, for rows whose size is known only while they are read."""

from __future__ import annotations

import threading


class NoRoom(Exception):  # noqa: N818 - a signal that ends the reading of one row, not an error
    """The row must be read later, after the earlier values are freed."""


class Room:
    """A budget of bytes that several threads share.

    Args:
        most: the budget in bytes.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Takes bytes from the budget before they are allocated. After a refusal, nothing is left for anyone.

        Args:
            size: the number of bytes.

        Raises:
            NoRoom: If fewer are left.
        """
        with self._lock:
            if size > self._left:
                # Rows are used in order: every row behind the first missing one will be read again.
                self._left = -1
                raise NoRoom
            self._left -= size
