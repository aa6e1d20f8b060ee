"""Shows progress of long loops on the terminal, with rate and time left; silent without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tfautolabel._visible import visible


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "–/s", style="progress.data.speed")


LINE_SECONDS = 10.0
"""Without a terminal, a search reports its progress at most this often."""


@contextmanager
def progress_of(
    total: int, description: str, enabled: bool = True, *, lines: bool = False
) -> Iterator[Callable[[int], None]]:
    """Shows a bar on standard error while the block runs.

    Args:
        total: how many items there are.
        description: what is done with them.
        enabled: False for no bar; there is also none if standard error is not a terminal.
        lines: whether to print lines if standard error is not a terminal: for few items that take minutes.

    Yields:
        A function to call with the number of further items that are done.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    if lines and enabled and not console.is_terminal:
        yield _Lines(console, total, visible(description)).advance
        return
    with Progress(
        *columns, console=console, transient=True, disable=not (enabled and console.is_terminal)
    ) as bar:
        task = bar.add_task(visible(description), total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def working(description: str, enabled: bool = True) -> Iterator[None]:
    """Shows on standard error what is being done and for how long, while a block without items runs.

    Args:
        description: what is done.
        enabled: False for silence; it is also silent if standard error is not a terminal.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (enabled and console.is_terminal)
    ) as bar:
        bar.add_task(visible(description), total=None)
        yield


class _Lines:
    """Says from time to time how many items are done, and always when all are done.

    Args:
        console: where to print.
        total: how many items there are.
        description: what is done with them.
    """

    def __init__(self, console: Console, total: int, description: str) -> None:
        self._console, self._total, self._description = console, total, description
        self._done, self._said = 0, time.monotonic()

    def advance(self, count: int) -> None:
        """Counts further items that are done."""
        self._done += count
        now = time.monotonic()
        if count and (self._done >= self._total or now - self._said >= LINE_SECONDS):
            self._said = now
            said = f"{self._description}: {self._done:,} of {self._total:,} done"
            self._console.print(Text(said), soft_wrap=True)
