"""What happens in a worker: the model is loaded once, and parts are labelled one after the other."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable

import numpy as np

from tfautolabel._cores import limit_cores
from tfautolabel.data import Dataset
from tfautolabel.data.narrowed import narrowed
from tfautolabel.jobs.runners.contract import Advance, Result

LabelPart = Callable[[Dataset, Advance], Result]

_held: dict[str, bytes | LabelPart] = {}


def packed(part: Dataset) -> bytes:
    """Returns a part as bytes for `label_part`: its names, and what leads to its inputs."""
    reader = narrowed(part.reader, np.arange(len(part)))
    return pickle.dumps(Dataset(reader, part.ids, modality=part.modality))


def begin(label: bytes, cores: int) -> None:
    """Prepares this process, which has not used TensorFlow yet.

    Args:
        label: a pickled `PartLabeler`, or another such callable, which is loaded with the first part.
        cores: how many cores the process may use.
    """
    limit_cores(cores)
    _held["label"] = label
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()


def label_part(part: bytes) -> Result:
    """Labels a part that `packed` made."""
    label = _held["label"]
    if isinstance(label, bytes):
        label = _held["label"] = pickle.loads(label)
    return label(pickle.loads(part), lambda _: None)


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed; else it would wait for parts for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
