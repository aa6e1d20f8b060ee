"""Runs a function in other threads, ahead of the caller who takes the results."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_ahead(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    threads: int = 1,
    ahead: int = 2,
    size: Callable[[_Result], int] | None = None,
    guess: Callable[[_Item], int] = lambda _: 0,
    most: float = math.inf,
) -> Generator[_Result, None, None]:
    """Maps a function over items in order; threads work ahead of the caller, within a memory limit.

    Args:
        function: called once for each item; the caller gets its exception when the item's turn comes.
        items: read in the caller's thread, at most `ahead + 1` before the caller asks for their results.
        threads: how many items are processed at once.
        ahead: how many results may wait.
        size: returns the size of a result, in any unit; by default 0.
        guess: returns about how large the result of an item will be.
        most: no more items are read while waiting results are larger than this in total. A pending result
            counts as large as its guess or the last finished one, whichever is larger.

    Yields:
        The results in the order of the items.

    Examples:
        >>> list(map_ahead(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    waiting: deque[tuple[Future[_Result], int]] = deque()
    last = 0

    def too_large() -> bool:
        nonlocal last
        if size is None:
            return False
        total = 0
        for future, guessed in waiting:
            if future.done() and not future.cancelled() and future.exception() is None:
                last = size(future.result())
                total += last
            else:
                total += max(last, guessed)
        return total > most

    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append((pool.submit(function, item), guess(item)))
            del item  # it must not stay in memory while the next one is read
            while waiting and (len(waiting) > ahead or too_large()):
                yield waiting.popleft()[0].result()
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
