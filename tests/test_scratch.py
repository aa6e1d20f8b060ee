import os
import subprocess
import sys
import time

import pytest

from tfautolabel import _scratch
from tfautolabel._durable import CONTENT
from tfautolabel._scratch import scratch_file, scratch_folder, scratch_in, sweep

OTHER_KERNEL = "0123456789ab"
WRITER = """
import sys, time
from pathlib import Path
from tfautolabel._scratch import scratch_file, scratch_folder
with scratch_file(Path(sys.argv[1])) as file, scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "content" / "deep").mkdir()
    (folder / "content" / "deep" / "weights").write_bytes(b"x")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def left_behind(folder, mark, is_folder, age=0.0):
    """Scratch that nobody holds, as a process left it."""
    path = folder / f".partial-{mark}{'-' if mark else ''}0123456789abcdef"
    if is_folder:
        (path / CONTENT).mkdir(parents=True)
        (path / "lock").touch()
    else:
        path.touch()
    for found in (*path.rglob("*"), path):
        os.utime(found, (time.time() - age,) * 2)
    return path


def test_what_a_living_process_writes_stays_and_what_a_dead_one_left_goes(writer, tmp_path):
    (tmp_path / ".partial-of-somebody-else").touch()
    assert len(scratch_in(tmp_path)) == 2
    assert sweep(tmp_path) == []
    assert len(scratch_in(tmp_path)) == 2
    writer.kill()
    writer.wait()
    assert len(sweep(tmp_path)) == 2
    assert os.listdir(tmp_path) == [".partial-of-somebody-else"]


def test_the_next_writer_sweeps_by_itself(writer, tmp_path):
    writer.kill()
    writer.wait()
    with scratch_file(tmp_path) as file:
        assert [path.name for path in scratch_in(tmp_path)] == [os.path.basename(file.name)]
    assert os.listdir(tmp_path) == []


def test_own_scratch_stays_as_long_as_it_is_open(tmp_path):
    with scratch_file(tmp_path) as file, scratch_folder(tmp_path) as folder:
        assert sweep(tmp_path) == []
        assert os.path.exists(file.name)
        assert (folder / CONTENT).is_dir()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize(
    ("mark", "of_one_machine", "age", "goes"),
    [
        (OTHER_KERNEL, True, 0, True),  # this machine, before it was started again
        (OTHER_KERNEL, False, 0, False),  # perhaps another machine, whose locks are not seen here
        (OTHER_KERNEL, False, _scratch.ABANDONED + 60, True),
        ("unlocked", True, 0, False),
        ("unlocked", True, _scratch.ABANDONED + 60, True),
        ("", True, 0, False),  # of an earlier version
        ("", False, _scratch.ABANDONED + 60, True),
    ],
)
def test_what_another_machine_may_be_writing_stays(
    monkeypatch, tmp_path, is_folder, mark, of_one_machine, age, goes
):
    monkeypatch.setattr(_scratch, "_is_of_one_machine", lambda _: of_one_machine)
    path = left_behind(tmp_path, mark, is_folder, age)
    assert sweep(tmp_path) == ([path] if goes else [])
    assert path.exists() != goes


def test_a_change_deep_inside_keeps_scratch_alive(monkeypatch, tmp_path):
    monkeypatch.setattr(_scratch, "_is_of_one_machine", lambda _: False)
    path = left_behind(tmp_path, OTHER_KERNEL, True, _scratch.ABANDONED + 60)
    (path / CONTENT / "part").touch()
    os.utime(path / CONTENT, (0, 0))
    assert sweep(tmp_path) == []


@pytest.mark.parametrize("is_folder", [False, True])
def test_without_locks_scratch_says_so(monkeypatch, tmp_path, is_folder):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_scratch.fcntl, "flock", no_locks)
    with (scratch_folder if is_folder else scratch_file)(tmp_path):
        [path] = scratch_in(tmp_path)
        assert path.name.startswith(".partial-unlocked-")
        assert sweep(tmp_path) == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("is_folder", [False, True])
def test_scratch_that_was_swept_before_it_was_locked_is_made_again(monkeypatch, tmp_path, is_folder):
    flock, first = _scratch.fcntl.flock, []

    def late(descriptor, operation):
        if not first:
            [path] = scratch_in(tmp_path)
            first.append(path)
            assert sweep(tmp_path) == [path]
        return flock(descriptor, operation)

    monkeypatch.setattr(_scratch.fcntl, "flock", late)
    with (scratch_folder if is_folder else scratch_file)(tmp_path):
        [path] = scratch_in(tmp_path)
        assert path not in first
    assert os.listdir(tmp_path) == []


def test_links_and_pipes_with_such_names_are_left_alone(tmp_path):
    (tmp_path / "kept").write_text("of the user")
    name = f".partial-{_scratch._kernel()}-"
    (tmp_path / f"{name}0000000000000001").symlink_to(tmp_path / "kept")
    os.mkfifo(tmp_path / f"{name}0000000000000002")
    folder = tmp_path / f"{name}0000000000000003"
    folder.mkdir()
    (folder / "lock").symlink_to(tmp_path / "kept")
    assert not [path for path in sweep(tmp_path) if path.name[-1] in "13"]
    assert (tmp_path / "kept").read_text() == "of the user"
    assert folder.exists()


def test_links_inside_are_removed_but_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    path = left_behind(tmp_path, _scratch._kernel(), True)
    (path / CONTENT / "link").symlink_to(tmp_path / "kept")
    (path / "link").symlink_to(tmp_path / "kept")
    assert sweep(tmp_path) == [path]
    assert (tmp_path / "kept" / "file").exists()


def test_a_folder_that_died_before_it_was_locked_goes_if_it_is_empty(tmp_path):
    name = f".partial-{_scratch._kernel()}-0123456789abcdef"
    (tmp_path / name).mkdir()
    sweep(tmp_path)
    assert not (tmp_path / name).exists()


def test_a_folder_that_is_not_there_is_swept_without_an_error(tmp_path):
    assert sweep(tmp_path / "none") == []


def test_the_kind_of_file_system_is_known():
    if not os.path.exists("/proc/self/mountinfo"):
        pytest.skip("there is no /proc here")
    assert not _scratch._is_of_one_machine(_scratch.Path("/proc"))
    if os.path.ismount("/dev/shm"):
        assert _scratch._is_of_one_machine(_scratch.Path("/dev/shm"))
