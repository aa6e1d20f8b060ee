import os
import stat

import pytest

from tfautolabel.data.atomic import atomic_write


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
