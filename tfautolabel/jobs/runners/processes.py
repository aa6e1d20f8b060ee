"""The runner that labels in several processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tfautolabel._cores import granted_cores
from tfautolabel.data import Dataset
from tfautolabel.jobs.runners.contract import Advance, Result, Workers
from tfautolabel.jobs.runners.hand_out import hand_out
from tfautolabel.jobs.runners.worker import LabelPart, begin, label_part

_Value = TypeVar("_Value")

CORES = 4
"""Cores for each worker if the number of workers is not given; one process keeps about so many busy."""


class Processes:
    """Processes that label parts; each holds its own copy of the model.

    Args:
        workers: how many; one for each `CORES` granted cores by default. The cores are shared out among them.
    """

    def __init__(self, workers: Workers) -> None:
        cores = granted_cores()
        self._count = workers.count or max(1, cores // CORES)
        self._cores = max(1, cores // self._count)

    def __call__(self, label: LabelPart, parts: Iterable[Dataset], advance: Advance) -> Iterator[Result]:
        """Labels parts; see `Runner`."""
        with contextlib.closing(_Pool(pickle.dumps(label), self._count, self._cores)) as pool:
            yield from hand_out(pool, parts, advance, label)


class _Pool:
    """A `Crew` with one executor for each worker, so that it is known which part ended one."""

    def __init__(self, label: bytes, size: int, cores: int) -> None:
        self.size = size
        self._arguments = (label, cores)
        self._executors: list[ProcessPoolExecutor] = []
        self._pids: list[Future[int]] = []
        for worker in range(size):
            self._start(worker)

    def ready(self, worker: int) -> Future[object]:
        return self._pids[worker]  # type: ignore[return-value]

    def submit(self, worker: int, part: bytes) -> Future[Result]:
        return _submitted(self._executors[worker], label_part, part)

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, BrokenProcessPool)

    def replace(self, worker: int) -> None:
        self._executors[worker].shutdown(wait=False)
        self._start(worker)

    def close(self) -> None:
        """Ends all workers at once, whatever they are doing."""
        for pid in self._pids:
            if pid.done() and pid.exception() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid.result(), signal.SIGTERM)
        for executor in self._executors:
            executor.shutdown(cancel_futures=True)

    def _start(self, worker: int) -> None:
        # TensorFlow does not work after a fork.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(1, mp_context=context, initializer=begin, initargs=self._arguments)
        self._executors[worker : worker + 1] = [executor]
        self._pids[worker : worker + 1] = [_submitted(executor, os.getpid)]


def _submitted(
    executor: ProcessPoolExecutor, function: Callable[..., _Value], *arguments: object
) -> Future[_Value]:
    """Submits a call; if the process has ended, the result fails instead of the submission."""
    try:
        return executor.submit(function, *arguments)
    except BrokenProcessPool as error:
        failed: Future[_Value] = Future()
        failed.set_exception(error)
        return failed
