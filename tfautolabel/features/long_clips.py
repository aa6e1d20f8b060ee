"""Long clips on their way through the network, some windows at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from tfautolabel._cores import granted_cores
from tfautolabel.data.long_sounds import LongSound
from tfautolabel.data.readers import ReadFailure
from tfautolabel.features.batches import Example
from tfautolabel.features.prepared import Computed, Finish
from tfautolabel.preprocessors import Preprocessor

GROUP_NUMBERS = 1 << 22
"""About how many numbers the windows of a group have: 16 MiB, 26 windows of ten seconds."""


class LongGroup(NamedTuple):
    """Some windows of one clip that are ready for the network.

    Attributes:
        clip: the clip.
        inputs: the network's inputs, each (w, ...); none if the clip turned out to be unreadable.
    """

    clip: LongClip
    inputs: tuple[np.ndarray, ...]

    def size(self) -> int:
        """Returns how many bytes wait for the network."""
        return sum(array.nbytes for array in self.inputs)

    def computed(self, network: Callable[..., np.ndarray]) -> Finish:
        """Passes the windows through the network; see `Ready`."""
        vectors = network(*self.inputs) if self.inputs else None
        return partial(self.clip.take, vectors)


class LongClip:
    """Prepares the windows of one clip group by group, and adds up what the network gives for them.

    Args:
        example: the row of the clip.
        sound: the clip.
        preprocessor: cuts it into windows; it `takes_long`.

    Attributes:
        group_bytes: about how many bytes a prepared group has.
    """

    def __init__(self, example: Example, sound: LongSound, preprocessor: Preprocessor) -> None:
        self._example = example._replace(long=None)
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._groups: Iterator[tuple[np.ndarray, ...]] = iter(())
        self._length, self._taken, self.group_bytes = 1, 0, 0
        self._sum, self._count = np.zeros(1), 0
        try:
            windows = preprocessor.long_windows(sound)
        except ReadFailure as failure:
            self._failure = str(failure)
            return
        # Whole parts, one for each core at least, so that the network runs as it does with all windows.
        part = preprocessor.network_part
        at_once = part * max(GROUP_NUMBERS // (part * windows.width), granted_cores())
        self._length = -(-windows.number // at_once)
        self._groups = windows.groups(at_once)
        self.group_bytes = 4 * windows.width * min(at_once, windows.number)

    def __len__(self) -> int:
        """Returns how many times `prepare` must be called."""
        return self._length

    def prepare(self) -> LongGroup:
        """Returns the next group of windows. Several threads may call it: the mean knows no order."""
        with self._lock:
            if self._failure is not None:
                return LongGroup(self, ())
            try:
                return LongGroup(self, next(self._groups))
            except ReadFailure as failure:
                self._failure = str(failure)
                return LongGroup(self, ())

    def take(self, vectors: np.ndarray | None) -> Computed | None:
        """Adds the (w, d) vectors of a group, and returns the result after the last one."""
        self._taken += 1
        if vectors is not None:
            # In 64 bits, so that the mean of thousands of windows does not depend on the groups.
            self._sum = self._sum + vectors.sum(axis=0, dtype=np.float64)
            self._count += len(vectors)
        if self._taken < self._length:
            return None
        readable = np.array([self._failure is None])
        mean = (self._sum / max(self._count, 1)).astype(np.float32)
        return Computed([self._example], mean[None], readable, np.array([False]), self._failure)
