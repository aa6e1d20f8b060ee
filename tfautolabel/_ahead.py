"""Work done in other threads, ahead of whoever takes the results."""

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
    most: float = math.inf,
) -> Generator[_Result, None, None]:
    """`map` in order, with threads that work ahead of the caller, but only so far that memory stays bounded.

    Args:
        function: called once an item; its exception is raised to the caller when its turn comes.
        items: taken from the caller's thread, at most `ahead + 1` before their results are asked for.
        threads: how many items are worked on at once.
        ahead: how many results may wait.
        size: how large a result is, in any unit; by default nothing.
        most: no more items are taken while results of more than this wait. One that is not there yet is taken
            to be as large as the last that was.

    Yields:
        The results in the order of the items.

    Examples:
        >>> list(map_ahead(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    waiting: deque[Future[_Result]] = deque()
    last = 0

    def too_large() -> bool:
        nonlocal last
        if size is None:
            return False
        total = 0
        for future in waiting:
            if future.done() and not future.cancelled() and future.exception() is None:
                last = size(future.result())
            total += last
        return total > most

    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            while waiting and (len(waiting) > ahead or too_large()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
