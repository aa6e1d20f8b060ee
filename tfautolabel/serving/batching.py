"""Merges requests that arrive together into one call of a model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from tfautolabel.serving.refusals import Refusal, refusal_of
from tfautolabel.serving.servable import Arrays, Servable, Signature

_log = logging.getLogger("tfautolabel.serving")


class _AloneError(Exception):
    """A merged call failed, so each of its requests must be tried alone."""


class _TooManyRowsError(Exception):
    """A merged call did not fit into the device's memory; its requests must be tried with fewer rows."""


@dataclass(eq=False)
class _Item:
    arrays: Arrays
    rows: int
    since: float
    done: asyncio.Future[Arrays]


@dataclass
class _Group:
    """Waiting requests that fit into one call."""

    key: Hashable
    servable: Servable
    signature: Signature
    merges: bool
    items: deque[_Item] = field(default_factory=deque)
    rows: int = 0

    def put(self, item: _Item) -> None:
        self.items.append(item)
        self.rows += item.rows

    def drop(self, item: _Item) -> None:
        """Removes a request whose client has given up, if it still waits."""
        if item in self.items:
            self.items.remove(item)
            self.rows -= item.rows

    def take(self, max_rows: int) -> list[_Item]:
        """Takes the oldest requests, as many as fit."""
        taken: list[_Item] = []
        rows = 0
        while self.items and (not taken or rows + self.items[0].rows <= max_rows):
            taken.append(self.items.popleft())
            rows += taken[-1].rows
        self.rows -= rows
        return taken


class Batching:
    """Merges requests for the same signature of the same version whose rows have the same shape.

    A call begins when a thread is free, and either its batch is full or its oldest request has waited long
    enough. A call whose rows do not fit into the memory of a GPU is tried again with half of them, and later
    calls of this signature have no more: how many fit is known to nobody before. All methods must be called
    from one event loop.

    Args:
        max_rows: the most rows in one call; a request with more rows is split.
        max_wait: how many seconds a request waits for others.
        max_queue: how many rows may wait or be computed at once; more are refused. A request without rows
            counts as one row.
        threads: how many calls run at once.
        on_batch: called with the number of rows of each call.
        on_waiting: called with the number of rows that wait or are computed, whenever it changes.
    """

    def __init__(
        self,
        max_rows: int = 64,
        max_wait: float = 0.002,
        max_queue: int = 4096,
        threads: int = 2,
        on_batch: Callable[[Servable, int], None] | None = None,
        on_waiting: Callable[[int], None] | None = None,
    ) -> None:
        self.max_rows = max_rows
        self.max_wait = max_wait
        self.max_queue = max_queue
        self.waiting = 0
        self._on_batch = on_batch or (lambda *_: None)
        self._on_waiting = on_waiting or (lambda _: None)
        self._free = threads
        self._pool = ThreadPoolExecutor(threads, "model")
        self._groups: dict[Hashable, _Group] = {}
        self._timer: asyncio.TimerHandle | None = None
        # Signatures that did not return one row for each row.
        self._apart: WeakKeyDictionary[Servable, set[str]] = WeakKeyDictionary()
        # The most rows in one call of signatures for which max_rows were too many.
        self._fitting: WeakKeyDictionary[Servable, dict[str, int]] = WeakKeyDictionary()

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, servable: Servable, signature: Signature, arrays: Arrays) -> Arrays:
        """Runs a signature on the inputs of a request and returns its outputs.

        Args:
            servable: the version of a model.
            signature: one of its signatures.
            arrays: the arrays by input name.

        Raises:
            Refusal: If too many rows are waiting (503), or the model does not take the values.
        """
        sizes = {len(array) if array.ndim else 0 for array in arrays.values()}
        rows = max(sizes, default=1)
        counted = max(rows, 1)
        if self.waiting and self.waiting + counted > self.max_queue:
            raise Refusal(
                503,
                "The batch scheduling queue to which this task was submitted is full",
                {"retry-after": "1"},
            )
        merges = (
            signature.has_rows
            and len(sizes) == 1
            and rows > 0
            and signature.name not in self._apart.get(servable, ())
        )
        self._count_waiting(counted)
        try:
            if merges:
                with contextlib.suppress(_AloneError):
                    return await self._run_in_fitting_pieces(servable, signature, arrays, rows)
            return await self._submit(servable, signature, arrays, rows, False)
        finally:
            self._count_waiting(-counted)

    def _count_waiting(self, rows: int) -> None:
        self.waiting += rows
        self._on_waiting(self.waiting)

    async def _run_in_fitting_pieces(
        self, servable: Servable, signature: Signature, arrays: Arrays, rows: int
    ) -> Arrays:
        while True:
            most = self._most_rows(servable, signature)
            try:
                return await self._run_in_pieces(servable, signature, arrays, rows, most)
            except _TooManyRowsError:
                continue  # most_rows gives half of them now, or fewer

    async def _run_in_pieces(
        self, servable: Servable, signature: Signature, arrays: Arrays, rows: int, most: int
    ) -> Arrays:
        if rows <= most:
            return await self._submit(servable, signature, arrays, rows, True)
        pieces = [
            {name: array[start : start + most] for name, array in arrays.items()}
            for start in range(0, rows, most)
        ]
        futures = [
            self._submit(servable, signature, piece, len(next(iter(piece.values()))), True)
            for piece in pieces
        ]
        try:
            answers = await asyncio.gather(*futures)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        try:
            return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
        except ValueError as error:  # rows are padded to the widest of their call
            raise _AloneError from error

    def _submit(
        self, servable: Servable, signature: Signature, arrays: Arrays, rows: int, merges: bool
    ) -> asyncio.Future[Arrays]:
        loop = asyncio.get_running_loop()
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(arrays.items()))
        key: Hashable = (id(servable), signature.name, shapes) if merges else object()
        group = self._groups.setdefault(key, _Group(key, servable, signature, merges))
        item = _Item(arrays, rows, loop.time(), loop.create_future())
        group.put(item)
        item.done.add_done_callback(lambda done: self._forget(group, item) if done.cancelled() else None)
        most = self._most_rows(servable, signature)
        if self._timer is None or len(group.items) == 1 or not merges or group.rows >= most:
            self._begin_calls()  # else the timer is right: it waits for the oldest request
        return item.done

    def _most_rows(self, servable: Servable, signature: Signature) -> int:
        if not self._fitting:
            return self.max_rows
        return self._fitting.get(servable, {}).get(signature.name, self.max_rows)

    def _forget(self, group: _Group, item: _Item) -> None:
        """Removes a request whose client has given up."""
        group.drop(item)
        if not group.items and self._groups.get(group.key) is group:
            del self._groups[group.key]

    def _begin_calls(self) -> None:
        """Begins the calls that are ready, and sets a timer for the next one."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._free:
            now, soonest, ready = loop.time(), float("inf"), None
            for key, group in self._groups.items():
                waits = group.merges and group.rows < self._most_rows(group.servable, group.signature)
                at = group.items[0].since + (self.max_wait if waits else 0.0)
                if at < soonest:
                    soonest, ready = at, key
            if ready is None:
                return
            if soonest > now:
                self._timer = loop.call_at(soonest, self._begin_calls)
                return
            group = self._groups[ready]
            items = group.take(self._most_rows(group.servable, group.signature))
            if not group.items:
                del self._groups[ready]
            self._begin_call(group, items)

    def _begin_call(self, group: _Group, items: list[_Item]) -> None:
        self._free -= 1
        self._on_batch(group.servable, sum(item.rows for item in items))
        call = asyncio.get_running_loop().run_in_executor(self._pool, _call, group, items)
        call.add_done_callback(lambda done: self._end_call(group, items, done))

    def _end_call(self, group: _Group, items: list[_Item], done: asyncio.Future[list[Arrays]]) -> None:
        self._free += 1
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if isinstance(error, _AloneError) and error.args:
            self._apart.setdefault(group.servable, set()).add(group.signature.name)
        rows = sum(item.rows for item in items)
        if isinstance(error, tf.errors.ResourceExhaustedError) and group.merges and rows > 1:
            self._take_fewer(group, rows // 2)
            error = _TooManyRowsError()
        for position, item in enumerate(items):
            if item.done.done():
                continue
            if error is None:
                item.done.set_result(done.result()[position])
            elif isinstance(error, _TooManyRowsError):
                item.done.set_exception(_TooManyRowsError())
            elif isinstance(error, _AloneError) or len(items) > 1:
                item.done.set_exception(_AloneError())
            else:
                item.done.set_exception(
                    refusal_of(error)
                    if isinstance(error, Exception)
                    else Refusal(503, "The server is shutting down")
                )
        self._begin_calls()

    def _take_fewer(self, group: _Group, rows: int) -> None:
        """Notes that no more than so many rows of a signature fit into one call."""
        fitting = self._fitting.setdefault(group.servable, {})
        if rows < fitting.get(group.signature.name, self.max_rows):
            fitting[group.signature.name] = rows
            details = {"model": group.servable.name, "version": group.servable.version, "rows": rows}
            _log.warning("fewer rows in one call, which did not fit into memory", extra=details)


def _call(group: _Group, items: list[_Item]) -> list[Arrays]:
    """Calls the model once for several requests, and returns the outputs of each request."""
    if len(items) == 1:
        arrays = items[0].arrays
    else:
        arrays = {
            name: np.concatenate([item.arrays[name] for item in items]) for name in group.signature.inputs
        }
    outputs = group.signature.call(arrays)
    if not group.merges:
        return [outputs]
    rows = sum(item.rows for item in items)
    if any(not array.ndim or len(array) != rows for array in outputs.values()):
        raise _AloneError("it does not give a row for each row")
    if len(items) == 1:
        return [outputs]
    ends = np.cumsum([item.rows for item in items])
    return [
        {name: array[end - item.rows : end] for name, array in outputs.items()}
        for item, end in zip(items, ends, strict=True)
    ]
