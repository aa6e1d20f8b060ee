"""Output of the commands: results on standard output, remarks and errors on standard error."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Container
from typing import Any, Literal

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tfautolabel._visible import visible

_WIDEST = 10_000
"""No table needs more columns of characters."""


def silence_native_code() -> None:
    """Keeps messages of C++ code (missing CUDA, libjpeg on a broken file) off the terminal.

    C++ code writes directly to file descriptor 2. Unless TFAUTOLABEL_DEBUG is set, Python's standard error
    moves to another descriptor, and output to descriptor 2 is discarded.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that the terminal cannot show must not end a command
    if os.environ.get("TFAUTOLABEL_DEBUG"):
        return
    sys.stderr.flush()
    own = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(own, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def give_back_standard_error() -> None:
    """Undoes what `silence_native_code` did to descriptor 2, which processes that begin now will have."""
    sys.stderr.flush()
    os.dup2(sys.stderr.fileno(), 2)


def show_warnings_plainly() -> None:
    """Shows each warning in one line, without its line of code; hides warnings for developers."""

    def show(message: Warning | str, category: type[Warning], *_where: Any) -> None:
        if issubclass(category, UserWarning):
            say(f"warning: {message}", style="yellow")

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.filterwarnings("always", category=UserWarning, module=r"tfautolabel(\.|$)")


def say(message: str, style: str = "") -> None:
    """Prints a remark on standard error; never reads it as markup or terminal commands."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(visible(message), style=style))


def remark(quiet: bool) -> Callable[[str], None]:
    """Returns the function that tells the user about a guess or a choice; it prints nothing if quiet."""
    return (lambda _: None) if quiet else (lambda sentence: say(sentence, style="dim"))


def show(*lines: Any) -> None:
    """Prints results on standard output, one line each; never reads names as markup or commands.

    A table is wider than the terminal if the words of its cells are: they are not cut.
    """
    console = Console(soft_wrap=True, highlight=False)
    for line in lines:
        if isinstance(line, Table):
            least = Measurement.get(console, console.options.update(max_width=_WIDEST), line).minimum
            Console(width=max(console.width, least), soft_wrap=True, highlight=False).print(line)
        else:
            console.print(Text(visible(line)) if isinstance(line, str) else line)


def table(*columns: str, numbers_from: int = 1, whole: Container[str] = ()) -> Table:
    """Returns a plain table with numbers right-aligned from a column on; columns in `whole` never wrap."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if position >= numbers_from else "left"
        # Text that users copy into a command must stay in one line.
        made.add_column(Text(visible(column)), justify=justify, overflow="fold", no_wrap=column in whole)
    return made


def row(*cells: Any) -> list[Text]:
    """Returns cells whose text is never read as markup or terminal commands."""
    return [Text(visible(str(cell))) for cell in cells]
