"""The real executable, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

EXECUTABLE = Path(sys.executable).with_name("tfautolabel")


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


def tfautolabel(*arguments, **options):
    """A finished command: `returncode`, `stdout`, `stderr`."""
    process = start(*arguments, **options)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


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
