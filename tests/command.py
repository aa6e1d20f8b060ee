"""The command line: as a process of its own, or within this one."""

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from tfautolabel.cli import main

EXECUTABLE = Path(sys.executable).with_name("tfautolabel")
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def environment(cache, **variables):
    """A user's environment with a cache of its own; ordinary width, no colours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TFAUTOLABEL_")}
    return kept | {"TFAUTOLABEL_CACHE": str(cache), "COLUMNS": "100", "NO_COLOR": "1"} | variables


def start(*arguments, cache="/nonexistent", cwd=None, **variables):
    """A running command, which SIGINT interrupts: what a shell runs in the background would ignore it."""
    return subprocess.Popen(
        [EXECUTABLE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment(cache, **variables),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def process(*arguments, **options):
    """A command that was finished in a process of its own: `returncode`, `stdout`, `stderr`.

    It imports TensorFlow, which takes seconds: for what only a process shows.
    """
    running = start(*arguments, **options)
    stdout, stderr = running.communicate(timeout=300)
    return subprocess.CompletedProcess(arguments, running.returncode, stdout, stderr)


def tfautolabel(*arguments, cache="/nonexistent", cwd=None, **variables):
    """The same in this process, which is left as it was."""
    words = [EXECUTABLE.name, *map(str, arguments)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, environment(cache, **variables), clear=True))
        stack.enter_context(contextlib.chdir(cwd or os.getcwd()))
        stack.enter_context(_as_python_begins(words))
        out, err = stack.enter_context(_captured()), stack.enter_context(_captured())
        stack.enter_context(_logged_to(err))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        with pytest.raises(SystemExit) as ended:
            main()
        said = [_read(stream) for stream in (out, err)]
    return subprocess.CompletedProcess(words[1:], ended.value.code or 0, *said)


@contextlib.contextmanager
def _as_python_begins(words):
    """Arguments, warnings, signals and main module as a new interpreter has them."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with (
        warnings.catch_warnings(),
        mock.patch.object(sys, "argv", words),
        # Of native code, which writes to a file descriptor: pytest has that one already.
        mock.patch("tfautolabel.cli.app.silence_native_code"),
    ):
        warnings.resetwarnings()
        for silent in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", silent)
        own, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = own
            for number, handler in handlers.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _captured():
    """A file as the console makes one of standard output; no line ending is changed."""
    with io.TextIOWrapper(
        io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True
    ) as stream:
        yield stream


def _read(stream):
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")


@contextlib.contextmanager
def _logged_to(stream):
    """Has loggers that found standard error when they were made write here, as TensorFlow's do."""
    handlers = [handler() for handler in logging._handlerList]
    streams = [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
    moved = [handler for handler in streams if vars(handler).get("stream") in (sys.stderr, sys.__stderr__)]
    before = [handler.setStream(stream) for handler in moved]
    try:
        yield
    finally:
        for handler, old in zip(moved, before, strict=True):
            handler.setStream(old)


UNDERSTOOD = (
    ", taken for ",
    " in column ",
    " taken from column ",
    ", set aside: ",
    " leads out of the folder; ",
)
"""What remarks say of the data."""


def assert_one_sentence(done, *parts):
    """A user's mistake: exit code 2, nothing on stdout, one line that names what was received.

    What was understood, of which file, may have been said before.
    """
    assert done.returncode == 2, done
    assert done.stdout == ""
    *remarks, last = done.stderr.splitlines()
    assert last.startswith("error: "), done.stderr
    assert all(any(said in remark for said in UNDERSTOOD) for remark in remarks), done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
