import os
import signal
import subprocess
import sys

import pytest

COMMAND = """
import signal, sys, time
from pathlib import Path
from tfautolabel.cli import app
from tfautolabel.cli.app import main
from tfautolabel._scratch import scratch_folder

def waits(folder: Path, again: bool = False) -> None:
    with scratch_folder(folder):
        print("ready", flush=True)
        try:
            time.sleep(60)
        finally:
            if again:  # while it tidies up
                signal.raise_signal(signal.SIGTERM)

app.command()(waits)
main()
"""


SENT = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def start(*arguments, ignored=()):
    """A command that takes all signals but these, whatever the tests themselves were started with."""

    def settle():
        for number in SENT:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "waits", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=settle,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_a_command_in_order(tmp_path, number, code):
    process = start(tmp_path)
    assert len(os.listdir(tmp_path)) == 1
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    how = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert stderr == f"{how}; features computed so far are kept, and the same command goes on from there\n"
    assert os.listdir(tmp_path) == []


def test_nohup_is_respected(tmp_path):
    process = start(tmp_path, ignored=[signal.SIGHUP])
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_a_second_signal_does_not_break_into_the_tidying_up(tmp_path):
    process = start(tmp_path, "--again")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert os.listdir(tmp_path) == []


def test_a_terminal_that_is_gone_changes_nothing(tmp_path):
    process = start(tmp_path)
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129
    process.stdout.close()
    assert os.listdir(tmp_path) == []
