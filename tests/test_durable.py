import os

import pytest

from tfautolabel import _durable
from tfautolabel._durable import ASIDE, BELONGS, CONTENT, put_back, put_in_place
from tfautolabel._scratch import restore, scratch_folder


@pytest.fixture(params=["in one step", "by two renames"])
def exchange(request, monkeypatch):
    if request.param != "in one step":
        monkeypatch.setattr(_durable, "exchange", lambda *_: False)


def written(folder, text):
    (folder / "file").write_text(text)


@pytest.mark.usefixtures("exchange")
@pytest.mark.parametrize("before", [None, "empty", "old"])
def test_a_folder_takes_a_name_that_is_free_or_not(tmp_path, before):
    target = tmp_path / "model"
    if before:
        target.mkdir()
    if before == "old":
        written(target, "old")
    with scratch_folder(tmp_path) as scratch:
        written(scratch / CONTENT, "new")
        put_in_place(scratch, target)
        assert (target / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.usefixtures("exchange")
def test_another_process_may_be_quicker(tmp_path, monkeypatch):
    target, replace = tmp_path / "model", _durable._replace

    def raced(content, target, scratch):
        monkeypatch.setattr(_durable, "_replace", replace)
        target.mkdir()
        written(target, "theirs")
        raise FileNotFoundError

    monkeypatch.setattr(_durable, "_replace", raced)
    with scratch_folder(tmp_path) as scratch:
        written(scratch / CONTENT, "new")
        put_in_place(scratch, target)
    assert (target / "file").read_text() == "new"


def test_the_old_folder_comes_back_if_the_new_one_cannot_be_named(tmp_path, monkeypatch):
    target, rename = tmp_path / "model", os.rename
    target.mkdir()
    written(target, "old")
    monkeypatch.setattr(_durable, "exchange", lambda *_: False)

    def refused(source, destination):
        if os.fspath(source).endswith(CONTENT):
            raise PermissionError
        rename(source, destination)

    monkeypatch.setattr(os, "rename", refused)
    with scratch_folder(tmp_path) as scratch:
        written(scratch / CONTENT, "new")
        with pytest.raises(PermissionError):
            put_in_place(scratch, target)
    assert (target / "file").read_text() == "old"


def set_aside(folder, name):
    """As a process leaves it that is killed between two renames; its lock is free."""
    scratch = folder / ".partial-0123456789ab-0123456789abcdef"
    (scratch / ASIDE).mkdir(parents=True)
    (scratch / CONTENT).mkdir()
    (scratch / "lock").touch()
    (scratch / BELONGS).write_text(name)
    written(scratch / ASIDE, "old")
    return scratch


def test_whoever_misses_a_folder_that_was_set_aside_puts_it_back(tmp_path):
    set_aside(tmp_path, "model")
    restore(tmp_path / "model")
    assert (tmp_path / "model" / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_that_is_there_is_not_replaced_by_what_was_set_aside(tmp_path):
    scratch = set_aside(tmp_path, "model")
    (tmp_path / "model").mkdir()
    written(tmp_path / "model", "new")
    assert put_back(scratch) is None
    assert (tmp_path / "model" / "file").read_text() == "new"


@pytest.mark.parametrize("name", ["../model", "", ".", "..", "a/b", "/tmp/model"])
def test_nothing_is_put_anywhere_else(tmp_path, name):
    scratch = set_aside(tmp_path, name)
    assert put_back(scratch) is None
    assert (scratch / ASIDE).is_dir()


def test_every_file_and_folder_below_is_written_to_the_disk(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    written(tmp_path / "a" / "b", "x")
    (tmp_path / "a" / "link").symlink_to("nowhere")
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
    _durable.sync_tree(tmp_path)
    expected = [tmp_path / "a/b/file", tmp_path / "a/b", tmp_path / "a", tmp_path]
    assert synced == [path.stat().st_ino for path in expected]
