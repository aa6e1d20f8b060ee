"""Hands parts out to workers that may be lost, and gives the results back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from tfautolabel._errors import first_line
from tfautolabel.data import Dataset
from tfautolabel.jobs.runners.contract import LOOK_AHEAD, Advance, Result
from tfautolabel.jobs.runners.worker import packed

ATTEMPTS = 3
"""A part that has cost so many workers is set aside: one of its examples probably ends each of them."""

WAITING = 2
"""Parts at a worker: one that it labels, and one that it takes next without waiting for this process."""


class Crew(Protocol):
    """Workers that label parts, numbered from 0.

    Attributes:
        size: how many there are.
    """

    size: int

    def ready(self, worker: int) -> Future[object]:
        """Returns what is done when a worker can take parts; it fails if the worker cannot start."""

    def submit(self, worker: int, part: bytes) -> Future[Result]:
        """Gives a part, from `packed`, to a worker that is ready; it labels its parts in order."""

    def is_loss(self, error: BaseException) -> bool:
        """Returns whether an error means that a worker has ended, and not that a part cannot be labelled."""

    def replace(self, worker: int) -> None:
        """Starts another worker in the place of one that has ended."""


@dataclass(eq=False)
class _Job:
    part: Dataset
    attempts: int = 0
    result: Result | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.result is not None or self.error is not None

    def ended(self) -> Result:
        """Returns the result, or raises the error, of a job that is done."""
        if self.result is None:
            raise self.error or RuntimeError("the job is not done")
        return self.result


class _Desk:
    """The parts that are under way, and who has them.

    Attributes:
        order: the jobs whose results have not been given yet, in the order of their parts.
        all_taken: whether no part is left to take.
    """

    def __init__(self, crew: Crew, parts: Iterable[Dataset], advance: Advance, label: object) -> None:
        self.order: deque[_Job] = deque()
        self.all_taken = False
        self._crew, self._parts, self._advance = crew, iter(parts), advance
        self._set_aside: Callable[[Dataset, str], Result] | None = getattr(label, "set_aside", None)
        self._todo: deque[_Job] = deque()
        self._held: list[deque[tuple[Future[Result], _Job]]] = [deque() for _ in range(crew.size)]
        self._failed_starts = 0
        self._any_labelled = False

    def give_out(self) -> None:
        """Fills the workers that are ready, each with one part before any gets its second."""
        able = [worker for worker in range(self._crew.size) if self._is_ready(worker)]
        for waiting in range(1, WAITING + 1):
            for worker in able:
                if len(self._held[worker]) < waiting:
                    if (job := self._next()) is None:
                        return
                    self._held[worker].append((self._crew.submit(worker, packed(job.part)), job))

    def wait(self) -> None:
        """Waits until something has ended, and takes it back."""
        under_way: list[Future[Any]] = [future for queue in self._held for future, _ in queue]
        starting = (self._crew.ready(worker) for worker in range(self._crew.size))
        wait([*under_way, *(one for one in starting if not one.done())], return_when=FIRST_COMPLETED)
        for worker, queue in enumerate(self._held):
            while queue and queue[0][0].done():
                self._take(worker, *queue.popleft())

    def _next(self) -> _Job | None:
        if self._todo:
            return self._todo.popleft()
        if len(self.order) >= LOOK_AHEAD * self._crew.size:
            return None
        if (part := next(self._parts, None)) is None:
            self.all_taken = True
            return None
        self.order.append(_Job(part))
        return self.order[-1]

    def _is_ready(self, worker: int) -> bool:
        ready = self._crew.ready(worker)
        if not ready.done():
            return False
        error = ready.exception()
        if error is None:
            self._failed_starts = 0
            return True
        self._failed_starts += 1
        if not self._crew.is_loss(error):
            raise error
        if self._failed_starts >= ATTEMPTS * self._crew.size:
            raise RuntimeError(
                f"no worker can start: {_how(error)}. In a script, whatever uses processes must stand "
                'below `if __name__ == "__main__":`'
            ) from error
        self._crew.replace(worker)
        return False

    def _take(self, worker: int, future: Future[Result], job: _Job) -> None:
        error = future.exception()
        if error is None:
            job.result, self._any_labelled = future.result(), True
        elif self._crew.is_loss(error):
            self._lost(worker, job, error)
        else:
            job.attempts += 1
            job.error = error if job.attempts > 1 else None
        if job.done:
            self._advance(len(job.part))
        else:
            self._todo.appendleft(job)

    def _lost(self, worker: int, job: _Job, error: BaseException) -> None:
        """Replaces a worker; what it held behind this part did not end it, and is given out again."""
        self._todo.extendleft(other for _, other in reversed(self._held[worker]))
        self._held[worker].clear()
        self._crew.replace(worker)
        job.attempts += 1
        if job.attempts < ATTEMPTS:
            return
        if self._any_labelled and self._set_aside is not None:
            job.result = self._set_aside(
                job.part,
                f"not labelled: {ATTEMPTS} workers ended while they had this part: {_how(error)}",
            )
        else:
            job.error = RuntimeError(f"workers end before they have labelled anything: {_how(error)}")


def _how(error: BaseException) -> str:
    return first_line(error).removesuffix(".")


def hand_out(crew: Crew, parts: Iterable[Dataset], advance: Advance, label: object) -> Iterator[Result]:
    """Labels each part by one of the workers; see `Runner`.

    Workers that end are replaced, and their parts are given out again. A part that ends `ATTEMPTS` workers is
    set aside, unless no part at all has been labelled yet. After an error of its own, a part is tried once
    more by whichever worker is free; then the error is raised.

    Args:
        crew: the workers.
        parts: parts of a pool.
        advance: called with the number of newly finished examples.
        label: what the workers hold; its method `set_aside`, if it has one, gives the result of a part that
            is set aside, as `PartLabeler` does.

    Raises:
        RuntimeError: If no worker can start, or they end before any part is labelled.
    """
    desk = _Desk(crew, parts, advance, label)
    desk.give_out()
    while desk.order or not desk.all_taken:
        if not desk.order or not desk.order[0].done:
            desk.wait()
        else:
            yield desk.order.popleft().ended()
        desk.give_out()
