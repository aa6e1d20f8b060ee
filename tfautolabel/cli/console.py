"""What the commands say: results on standard output, remarks and errors on standard error."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Container
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfautolabel._visible import visible


def silence_native_code() -> None:
    """Keeps C++ code's remarks (CUDA that is not there, libjpeg on a broken file) off the terminal.

    They are written to file descriptor 2 directly. Python's standard error moves to a descriptor of its own,
    and the old one leads nowhere, unless TFAUTOLABEL_DEBUG is set.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that the terminal cannot show ends no command
    if os.environ.get("TFAUTOLABEL_DEBUG"):
        return
    sys.stderr.flush()
    own = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(own, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def show_warnings_plainly() -> None:
    """One line a warning, without the line of code that gave it; those for developers stay silent."""

    def show(message: Warning | str, category: type[Warning], *_where: Any) -> None:
        if issubclass(category, UserWarning):
            say(f"warning: {message}", style="yellow")

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.filterwarnings("always", category=UserWarning, module=r"tfautolabel(\.|$)")


def say(message: str, style: str = "") -> None:
    """A remark on standard error; names in it are never taken for markup, nor obeyed by the terminal."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(visible(message), style=style))


def remark(quiet: bool) -> Callable[[str], None]:
    """What tells the user of a guess or a choice: standard error, or nobody."""
    return (lambda _: None) if quiet else (lambda sentence: say(sentence, style="dim"))


def show(*lines: Any) -> None:
    """Results on standard output, a line each; names in them are never taken for markup, nor obeyed."""
    console = Console(soft_wrap=True, highlight=False)
    for line in lines:
        console.print(Text(visible(line)) if isinstance(line, str) else line)


def table(*columns: str, numbers_from: int = 1, whole: Container[str] = ()) -> Table:
    """A plain table: right-aligned numbers from the given column on; columns in `whole` never wrap."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if position >= numbers_from else "left"
        # What is copied into a command stands in one line.
        made.add_column(Text(visible(column)), justify=justify, overflow="fold", no_wrap=column in whole)
    return made


def row(*cells: Any) -> list[Text]:
    """Cells that are never taken for markup, nor obeyed by the terminal."""
    return [Text(visible(str(cell))) for cell in cells]
