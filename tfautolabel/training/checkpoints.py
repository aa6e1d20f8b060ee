"""Keeps the state of a training on disk, so that an interrupted training continues where it was."""

from __future__ import annotations

import contextlib
import shutil
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from tfautolabel._scratch import ABANDONED, last_change
from tfautolabel.data.atomic import atomic_write

SECONDS = 60.0
"""A state is written at the end of an epoch if the last written one is at least this old."""


def sweep_checkpoints(folder: Path) -> None:
    """Removes the states of trainings that nobody has continued for `ABANDONED` seconds.

    Args:
        folder: holds a folder for each training.
    """
    for training in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if time.time() - last_change(training) > ABANDONED:
                shutil.rmtree(training)


class Checkpoint(keras.callbacks.Callback):
    """Keeps variables and results of a training in a file.

    Args:
        file: written atomically; a file of another training is ignored if it does not fit.
        variables: everything that training changes.
        results: arrays with the results of training so far, which are kept too.
        seconds: how old the file may become.
    """

    def __init__(
        self,
        file: Path,
        variables: Sequence[keras.Variable],
        results: list[np.ndarray],
        seconds: float = SECONDS,
    ) -> None:
        super().__init__()
        self.file, self.variables, self.results, self.seconds = file, list(variables), results, seconds
        self._written = time.monotonic()

    def restore(self) -> int:
        """Restores the state from the file.

        Returns:
            The epoch to continue with, 0 if there is no file that fits.
        """
        try:
            with np.load(self.file, allow_pickle=False) as kept:
                epoch = int(kept["epoch"])
                values = [kept[f"variable{place}"] for place in range(len(self.variables))]
                results = [kept[f"result{place}"] for place in range(int(kept["results"]))]
        except (FileNotFoundError, KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile):
            return 0
        if any(v.shape != tuple(o.shape) for v, o in zip(values, self.variables, strict=True)):
            return 0
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        self.results.extend(results)
        return epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Writes the file if it is time."""
        if time.monotonic() - self._written < self.seconds:
            return
        arrays = {f"variable{place}": variable.numpy() for place, variable in enumerate(self.variables)}
        arrays |= {f"result{place}": result for place, result in enumerate(self.results)}
        with atomic_write(self.file, "wb") as file:
            np.savez(file, epoch=epoch + 1, results=len(self.results), **arrays)
        self._written = time.monotonic()
