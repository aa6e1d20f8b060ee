"""The command line with its commands and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from tfautolabel._version import __version__
from tfautolabel.cli import (
    audit,
    check_labels,
    doctor,
    evaluate,
    export,
    export_tasks,
    label,
    merge,
    meta_fit,
    models,
    query,
    rank,
    review,
    rules,
    run,
    serve,
    tune,
)
from tfautolabel.cli.console import say, show, show_warnings_plainly, silence_native_code
from tfautolabel.cli.flags import flags_of, with_flags
from tfautolabel.cli.options import READ
from tfautolabel.cli.signals import Stopped, stop_in_order
from tfautolabel.data.addresses import check_words

INTERRUPTED = 130
"""The exit code for a program that SIGINT ended, as in shells."""

app = typer.Typer(
    name="tfautolabel",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Label data by transfer learning: a few labels in, trusted labels and a servable model out.",
)
backbones_app = typer.Typer(
    no_args_is_help=True, help="The backbones whose weights come from the package index."
)
app.add_typer(backbones_app, name="backbones")
rules_app = typer.Typer(no_args_is_help=True, help="Rules that label data: what they do.")
app.add_typer(rules_app, name="rules")


def _show_version(wanted: bool) -> None:
    if wanted:
        show(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


READERS = (
    run.run,
    label.label,
    evaluate.evaluate,
    check_labels.check_labels,
    tune.tune,
    query.query,
    rank.rank,
)
"""Commands that read data."""

for command in (
    run.run,
    run.demo,
    label.label,
    merge.merge,
    evaluate.evaluate,
    export.export,
    query.query,
    rank.rank,
    meta_fit.meta_fit,
    export_tasks.export_tasks,
    audit.audit,
    audit.report,
    models.check,
    doctor.doctor,
    check_labels.check_labels,
    review.review,
    serve.serve,
    tune.tune,
):
    app.command(epilog=READ if command in READERS else None)(command)
rules_app.command("check", epilog=f"{rules.FORMAT}\n\n{READ}")(rules.check)
backbones_app.command("list")(models.list_backbones)
backbones_app.command("fetch")(models.fetch_backbones)


def main() -> None:
    """Runs the command line; a user's mistake ends with one sentence and exit code 2."""
    stop_in_order()
    silence_native_code()
    show_warnings_plainly()
    try:
        check_words(sys.argv[1:])
        sys.exit(_run())
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        flags = flags_of(typer.main.get_command(app), sys.argv[1:])
        say(f"error: {with_flags(str(error), flags)}", style="red")
        sys.exit(2)


def _run() -> int:
    """Runs the command and returns its exit code."""
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Stopped as stopped:
        return _ended(f"stopped by {stopped.name}", int(str(stopped.code)))
    except Exception as error:
        # Some versions of Typer have their own copy of Click, so this recognises errors by their methods.
        if not hasattr(error, "format_message"):
            raise
        context: Any = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            if help_text := error.format_message().strip():  # else Typer has shown it already
                show(*help_text.splitlines())
            return 2
        command = context.command_path if context else "tfautolabel"
        message = error.format_message().rstrip(".")
        say(f"error: {message}{'' if message.endswith('?') else '.'} See {command} --help", style="red")
        return 2
    return _ended("interrupted", code) if code == INTERRUPTED else code or 0


def _ended(how: str, code: int) -> int:
    try:
        say(f"{how}; features computed so far are kept, and the same command goes on from there")
    except (OSError, SystemExit):  # Rich raises the second for a pipe without a reader
        # The terminal is gone; else Python would fail to flush at exit, with another exit code.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open to the end
    return code
