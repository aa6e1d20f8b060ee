"""What several workers say of a model's versions, put together: said once, and said where they differ."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable
from typing import Any

_log = logging.getLogger("tfautolabel.serving")
_WHEN_ALL = ("version served", "version released")
"""What is said once all workers have said it; all else is said as soon as one has."""


class News:
    """Writes to the log what workers tell of versions.

    Examples:
        A version is served once the last worker serves it:

        >>> said = []
        >>> news = News(lambda level, message, details: said.append((message, details)))
        >>> flowers = {"model": "flowers", "version": 2}
        >>> news.hear(1, logging.INFO, "version served", flowers, [1, 2]), said
        (None, [])
        >>> news.hear(2, logging.INFO, "version served", flowers, [1, 2]), said
        (None, [('version served', {'model': 'flowers', 'version': 2})])
    """

    def __init__(self, write: Any = None) -> None:
        self._write = write or (lambda level, message, extra: _log.log(level, message, extra=extra))
        self._by_all: dict[Hashable, set[int]] = {}
        self._refused: dict[tuple[object, object], str] = {}

    def forget(self, worker: int) -> None:
        """Takes back what a worker said before it was replaced, or before it answered."""
        for told in self._by_all.values():
            told.discard(worker)

    def hear(
        self, worker: int, level: int, message: str, details: dict[str, Any], workers: Collection[int]
    ) -> None:
        """Takes what one worker says.

        Args:
            worker: its number.
            level: the level of the log record.
            message: the record's message.
            details: its details: model, version and so on.
            workers: the numbers of all workers that answer.
        """
        version = (details.get("model"), details.get("version"))
        if message in _WHEN_ALL:
            told = self._by_all.setdefault((message, *version), set())
            told.add(worker)
            if not told.issuperset(workers):
                return
            del self._by_all[(message, *version)]
            self._refused.pop(version, None)
            self._write(level, message, details)
        elif self._refused.get(version) != str(details.get("error")):
            self._refused[version] = str(details.get("error"))
            self._write(level, message, {**details, "worker": worker})
