"""Signals that ask a command to end: it ends in order, so that nothing half-written stays behind."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

NAMES = ("SIGTERM", "SIGHUP")
"""Those by which Python would die on the spot; SIGHUP says that the terminal is gone."""


class Stopped(SystemExit):
    """A signal asked the command to end; `code` is 128 and its number, as shells count.

    Attributes:
        name: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


def stop_in_order() -> None:
    """Has those signals raise `Stopped` in the main thread.

    One that is ignored, as `nohup` asks for, stays so. Once one has come the next are ignored: they would
    break into the tidying up.
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
