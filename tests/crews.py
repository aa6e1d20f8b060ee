"""Workers of `hand_out` that are threads of this process, and end when they are told to."""

import pickle
from concurrent.futures import Future, ThreadPoolExecutor


class Ended(Exception):
    """A worker has ended."""


class Threads:
    """A crew.

    Args:
        label: labels a part; raises `Ended` where the worker should end.
        size: how many workers there are.
        starts: worker and how often it was started to what `ready` returns; by default it is ready.

    Attributes:
        started: how often each worker was started.
        most_held: the most parts that one worker had at a time.
    """

    def __init__(self, label, size, starts=lambda worker, count: None):
        self.size, self._label, self._starts = size, label, starts
        self.started, self.most_held = [0] * size, 0
        self._threads, self._ready, self._held = [None] * size, [None] * size, [0] * size
        for worker in range(size):
            self.replace(worker)

    def ready(self, worker):
        return self._ready[worker]

    def submit(self, worker, part):
        self._held[worker] += 1
        self.most_held = max(self.most_held, self._held[worker])
        future = self._threads[worker].submit(self._work, worker, self.started[worker], part)
        return future

    def is_loss(self, error):
        return isinstance(error, Ended)

    def replace(self, worker):
        self.started[worker] += 1
        self._threads[worker] = ThreadPoolExecutor(1)
        self._held[worker] = 0
        ready = self._starts(worker, self.started[worker])
        if ready is None:
            ready = Future()
            ready.set_result(None)
        self._ready[worker] = ready
        self._ended = getattr(self, "_ended", set())

    def _work(self, worker, life, part):
        if (worker, life) in self._ended:  # what waits behind the part that ended it
            raise Ended("it has ended")
        try:
            return self._label(pickle.loads(part), lambda _: None)
        except Ended:
            self._ended.add((worker, life))
            raise
        finally:
            if life == self.started[worker]:
                self._held[worker] -= 1
