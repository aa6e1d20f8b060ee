import errno
import os
import shutil
import stat
import subprocess
import time
from types import SimpleNamespace

import pytest
from kills import kill_writers

from tfautolabel import _durable
from tfautolabel._scratch import restore, sweep
from tfautolabel.data.atomic import atomic_folder, atomic_write


def test_text_and_bytes_in_folders_that_are_made(tmp_path):
    with atomic_write(tmp_path / "a/b/text") as file:
        file.write("é\r\n\n\udcff")
    with atomic_write(tmp_path / "a/b/bytes", "wb") as file:
        file.write(b"\xff")
    assert (tmp_path / "a/b/text").read_bytes() == "é\r\n\n\\udcff".encode()
    assert (tmp_path / "a/b/bytes").read_bytes() == b"\xff"
    assert sorted(os.listdir(tmp_path / "a/b")) == ["bytes", "text"]


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("existed", [True, False])
def test_an_error_leaves_everything_as_it_was(tmp_path, error, existed):
    path = tmp_path / "file"
    if existed:
        path.write_text("old")

    def write():
        with atomic_write(path) as file:
            file.write("half")
            raise error

    with pytest.raises(error):
        write()
    assert os.listdir(tmp_path) == (["file"] if existed else [])
    assert not existed or path.read_text() == "old"


def test_the_data_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("replace"), rename(*names)))
    with atomic_write(tmp_path / "file") as file:
        file.write("x")
    assert calls == ["fsync", "replace", "fsync"]


def test_others_may_read_the_file_as_the_umask_says(tmp_path):
    previous = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file") as file:
            file.write("x")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/target")
    with atomic_write(tmp_path / "link") as file:
        file.write("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere/target").read_text() == "x"


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    with atomic_write(tmp_path / ("x" * 255)) as file:
        file.write("x")
    assert os.listdir(tmp_path) == ["x" * 255]


def test_a_folder_is_not_replaced(tmp_path):
    def write():
        with atomic_write(tmp_path):
            pass

    with pytest.raises(ValueError, match="cannot replace a folder"):
        write()


def test_other_modes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: mode='a'"):
        atomic_write(tmp_path / "x", "a")


class TestFolder:
    def test_nothing_is_seen_before_the_end(self, tmp_path):
        path = tmp_path / "new" / "model"
        for text in ("old", "new"):
            with atomic_folder(path) as folder:
                (folder / "file").write_text(text)
                assert not path.exists() or (path / "file").read_text() == "old"
            assert (path / "file").read_text() == text
        assert os.listdir(tmp_path / "new") == ["model"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    @pytest.mark.parametrize("existed", [True, False])
    def test_an_error_leaves_everything_as_it_was(self, tmp_path, error, existed):
        path = tmp_path / "model"
        if existed:
            path.mkdir()
            (path / "file").write_text("old")

        def write():
            with atomic_folder(path) as folder:
                (folder / "file").write_text("half")
                raise error

        with pytest.raises(error):
            write()
        assert os.listdir(tmp_path) == (["model"] if existed else [])
        assert not existed or (path / "file").read_text() == "old"

    def test_a_file_is_not_replaced(self, tmp_path):
        (tmp_path / "file").touch()

        def write():
            with atomic_folder(tmp_path / "file"):
                pass

        with pytest.raises(ValueError, match="cannot replace a file"):
            write()

    def test_what_is_not_ours_is_not_replaced(self, tmp_path):
        path = tmp_path / "model"
        path.mkdir()
        (path / "weights").touch()
        (path / "notes").touch()

        def write(*own):
            with atomic_folder(path, own=own) as folder:
                (folder / "weights").write_text("new")

        with pytest.raises(FileExistsError, match="which holds notes"):
            write("weights")
        assert (path / "weights").read_text() == ""
        write("weights", "notes")
        assert os.listdir(path) == ["weights"]

    def test_nor_is_the_working_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        def write():
            with atomic_folder("."):
                pass

        with pytest.raises(ValueError, match="name a folder in it"):
            write()

    def test_a_link_is_written_through(self, tmp_path):
        (tmp_path / "elsewhere" / "model").mkdir(parents=True)
        (tmp_path / "link").symlink_to("elsewhere/model")
        with atomic_folder(tmp_path / "link") as folder:
            (folder / "file").touch()
        assert (tmp_path / "link").is_symlink()
        assert os.listdir(tmp_path / "elsewhere" / "model") == ["file"]


PIECES = 10


def write_file(folder, number):
    with atomic_write(folder / "file") as file:
        for _ in range(PIECES):
            file.write(f"{number}\n" * 1000)


def check_file(folder):
    lines = (folder / "file").read_text().splitlines()
    assert len(lines) == 1000 * PIECES
    assert len(set(lines)) == 1
    sweep(folder)
    assert os.listdir(folder) == ["file"]


def write_folder(folder, number):
    with atomic_folder(folder / "model") as model:
        for piece in range(PIECES):
            (model / str(piece)).write_text(str(number))


def write_folder_by_two_renames(folder, number):
    # In a process of its own, which is slow, so that it is often killed between the two.
    def slow(source, target):
        rename(source, target)
        time.sleep(0.005)

    _durable.exchange, _durable.os = lambda *_: False, SimpleNamespace(**vars(os) | {"rename": slow})
    rename = os.rename
    write_folder(folder, number)


def check_folder(folder, always_there=False):
    assert (folder / "model").is_dir() or not always_there
    restore(folder / "model")
    found = [path.read_text() for path in (folder / "model").iterdir()]
    assert len(found) == PIECES
    assert len(set(found)) == 1
    sweep(folder)
    assert os.listdir(folder) == ["model"]


def check_folder_restored(folder):
    check_folder(folder, always_there=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("write", "check"),
    [
        ("write_file", "check_file"),
        ("write_folder", "check_folder"),
        ("write_folder_by_two_renames", "check_folder_restored"),
    ],
)
def test_a_writer_that_is_killed_leaves_what_is_whole(tmp_path, write, check):
    kill_writers("data/test_atomic", write, check, tmp_path)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@pytest.mark.parametrize("number", NO_ROOM)
@pytest.mark.parametrize("writer", [atomic_write, atomic_folder])
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, number, writer):
    def write():
        with writer(tmp_path / "labels"):
            raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match="labels cannot be written: ") as caught:
        write()
    assert caught.value.errno == number
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_while_a_folder_is_copied_is_told_too(tmp_path):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").touch()

    def write():
        with atomic_folder(tmp_path / "model") as folder:
            shutil.copytree(tmp_path / "source", folder / "copy", copy_function=full)

    with pytest.raises(OSError, match="model cannot be written: no space left on device") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == ["source"]


def test_what_else_goes_wrong_is_not_laid_on_the_file(tmp_path):
    def write():
        with atomic_write(tmp_path / "labels"):
            (tmp_path / "input").read_text()

    with pytest.raises(FileNotFoundError, match="input"):
        write()


def test_a_disk_that_is_full_at_the_end_is_told_too(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def write():
        with atomic_write(tmp_path / "labels") as file:
            file.write("x")

    with pytest.raises(OSError, match="labels cannot be written: no space left on device"):
        write()
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match="file/labels cannot be written"),
        atomic_write(tmp_path / "file/labels"),
    ):
        pass


def test_on_a_disk_that_is_really_full(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        with atomic_write(tmp_path / "old") as file:
            file.write("x")
        with pytest.raises(OSError, match="old cannot be written"), atomic_write(tmp_path / "old") as file:
            file.write("y" * 2**20)
        with (
            pytest.raises(OSError, match="model cannot be written"),
            atomic_folder(tmp_path / "model") as model,
        ):
            (model / "weights").write_text("y" * 2**20)
        assert os.listdir(tmp_path) == ["old"]
        assert (tmp_path / "old").read_text() == "x"
    finally:
        subprocess.run(["umount", tmp_path], check=True)
