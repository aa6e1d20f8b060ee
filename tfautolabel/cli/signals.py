"""Handles signals that ask a command to end: it ends in order and leaves nothing half-written."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

NAMES = ("SIGTERM", "SIGHUP")
"""Signals that would kill Python at once; SIGHUP means that the terminal is gone."""


class Stopped(SystemExit):
    """A signal asked the command to end; `code` is 128 plus its number, as in shells.

    Attributes:
        name: the name of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


def stop_in_order() -> None:
    """Makes these signals raise `Stopped` in the main thread.

    A signal that is ignored, as with `nohup`, stays ignored. After the first signal, further ones are
    ignored: they would interrupt the cleanup.
    """
    for number in _known():
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    for other in _known():
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def _known() -> list[signal.Signals]:
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
