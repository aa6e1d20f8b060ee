import os
import subprocess
import sys

import pytest

from tfautolabel import _lock
from tfautolabel._lock import alone

HOLDER = """
import sys, time
from pathlib import Path
from tfautolabel._lock import alone
with alone(Path(sys.argv[1]), "never"):
    print("ready", flush=True)
    time.sleep(60)
"""


def enter(file):
    with alone(file, "another one is at work"):
        pass


def test_the_second_is_refused_until_the_first_is_done(tmp_path):
    file = tmp_path / "lock"
    with alone(file, "never"), pytest.raises(BlockingIOError, match="another one is at work"):
        enter(file)
    enter(file)
    assert os.listdir(tmp_path) == []


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    file = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(BlockingIOError):
            enter(file)
    finally:
        process.kill()
        process.communicate()
    enter(file)


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    file, flock, calls = tmp_path / "lock", _lock.fcntl.flock, []

    def late(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            file.unlink()
        flock(*arguments)

    monkeypatch.setattr(_lock.fcntl, "flock", late)
    with alone(file, "never"):
        assert file.exists()
        assert len(calls) == 2


def test_without_locks_the_block_runs(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_lock.fcntl, "flock", no_locks)
    enter(tmp_path / "lock")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        enter(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()
