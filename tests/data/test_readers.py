import os
import socket
import threading

import numpy as np
import pytest

from tfautolabel.data import load_dataset, readers
from tfautolabel.data.readers import FileReader, MemoryReader, ReadFailure, SelectedReader, read_rows


def reason_of(reader, row=0):
    with pytest.raises(ReadFailure) as failure:
        reader.read(row)
    return str(failure.value)


def test_a_file_is_read_whole(tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    reader = FileReader(tmp_path, ["a", "empty"])
    assert len(reader) == 2
    assert reader.read(0) == data
    assert reader.read(1) == b""


def test_a_name_that_is_not_utf8_opens(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9"
    with open(raw, "wb") as file:
        file.write(b"x")
    assert FileReader(tmp_path, [os.fsdecode(b"caf\xe9")]).read(0) == b"x"


def test_a_file_over_the_limit_is_not_read(tmp_path):
    (tmp_path / "at").write_bytes(b"12345")
    (tmp_path / "over").write_bytes(b"123456")
    reader = FileReader(tmp_path, ["at", "over"], max_bytes=5)
    assert reader.read(0) == b"12345"
    assert reason_of(reader, 1) == "too large: 6 bytes, the limit is 5"


def test_the_default_limit_is_512_mib(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(512 * 1024 * 1024 + 1)
    assert "too large" in reason_of(FileReader(tmp_path, ["sparse"]))


@pytest.mark.parametrize("path", ["gone", "file/below"])
def test_a_vanished_file_says_so(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    assert reason_of(FileReader(tmp_path, [path])) == "the file has gone since it was listed"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
    ],
)
def test_an_error_of_the_system_becomes_a_reason(tmp_path, monkeypatch, error, reason):
    def refuse(*args):
        raise error

    monkeypatch.setattr(os, "open", refuse)
    assert reason_of(FileReader(tmp_path, ["a"])) == reason


@pytest.mark.timeout(20)
def test_things_that_are_no_files_neither_hang_nor_raise_another_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the address of a socket must be short
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        reader = FileReader(tmp_path, ["fifo", "directory", "socket"])
        assert [reason_of(reader, row) for row in range(3)] == ["not a regular file"] * 3
    assert reason_of(FileReader("/dev", ["zero"])) == "not a regular file"


@pytest.fixture
def swapped(tmp_path):
    """A folder with a file and a folder, beside what nobody may read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "1.txt").write_bytes(b"secret")
    (tmp_path / "data" / "cats").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_bytes(b"mine")
    (tmp_path / "data" / "cats" / "1.txt").write_bytes(b"mine too")
    return tmp_path


@pytest.mark.parametrize("by_steps", [True, False])
def test_a_link_that_took_the_place_of_a_file_is_not_followed(swapped, by_steps, monkeypatch):
    monkeypatch.setattr(readers, "STAYS_INSIDE", by_steps)
    dataset = load_dataset(swapped / "data", None, modality="text")
    assert dataset.read([0, 1]) == [b"mine", b"mine too"]
    (swapped / "data" / "a.txt").unlink()
    (swapped / "data" / "a.txt").symlink_to(swapped / "outside" / "1.txt")
    (swapped / "data" / "cats").rename(swapped / "data" / "dogs")
    (swapped / "data" / "cats").symlink_to(swapped / "outside")
    assert [str(value) for value in dataset.read([0, 1])] == [
        "a link has taken its place since it was listed"
    ] * 2


def test_links_that_were_listed_are_read_without_being_followed(swapped):
    (swapped / "data" / "b.txt").symlink_to("cats/1.txt")
    (swapped / "link").symlink_to(swapped / "data")
    dataset = load_dataset(swapped / "link", None, modality="text")
    assert dataset.ids.tolist() == ["a.txt", "b.txt", "cats/1.txt"]
    assert dataset.read([1, 2]) == [b"mine too"] * 2
    (swapped / "data" / "b.txt").unlink()
    (swapped / "data" / "b.txt").symlink_to(swapped / "outside" / "1.txt")
    assert dataset.read([1]) == [b"mine too"]


def test_a_file_that_a_table_names_is_not_read_through_a_link(swapped):
    table = swapped / "data" / "rows.csv"
    table.write_text("path,label\na.txt,x\ncats/1.txt,y\n", "utf-8")
    dataset = load_dataset(table, modality="text")
    assert dataset.read([0, 1]) == [b"mine", b"mine too"]
    (swapped / "data" / "a.txt").unlink()
    (swapped / "data" / "a.txt").symlink_to(swapped / "outside" / "1.txt")
    assert str(dataset.read([0])[0]).startswith("the path leads out of the table's folder")


LINK = "a link has taken its place since it was listed"


@pytest.mark.skipif(not readers.STAYS_INSIDE, reason="this system opens whole paths only")
@pytest.mark.parametrize(
    ("path", "replaced", "found"),
    [
        ("a.txt", "a.txt", [LINK, LINK]),
        ("cats/1.txt", "cats/1.txt", [LINK, LINK, LINK]),
        ("cats/1.txt", "cats", [LINK, LINK, "mine too"]),  # at last the folder itself is held open
    ],
)
def test_a_race_for_a_files_place_is_never_won(swapped, monkeypatch, path, replaced, found):
    """A link takes the place just before each step of opening the path."""
    place, moved, opens = swapped / "data" / replaced, swapped / "moved", os.open

    def read_with_swap(step):
        calls = 0

        def racing(*args, **options):
            nonlocal calls
            if calls == step:
                place.rename(moved)
                place.symlink_to(swapped / "outside" / ("" if replaced == "cats" else "1.txt"))
            calls += 1
            return opens(*args, **options)

        monkeypatch.setattr(os, "open", racing)
        (value,) = read_rows(FileReader(swapped / "data", [path]), [0])
        monkeypatch.setattr(os, "open", opens)
        place.unlink()
        moved.rename(place)
        return value.decode() if isinstance(value, bytes) else str(value)

    assert [read_with_swap(step) for step in range(len(found))] == found


def test_memory_takes_bytes_only():
    with pytest.raises(TypeError, match="Received: str in row 1"):
        MemoryReader([b"", "text"])


def test_a_selection_of_a_selection_reads_the_right_rows():
    reader = MemoryReader([b"0", b"1", b"2", b"3"])
    once = SelectedReader(reader, np.array([3, 1, 0]))
    twice = SelectedReader(once, np.array([2, 0]))
    assert [once.read(row) for row in range(len(once))] == [b"3", b"1", b"0"]
    assert [twice.read(row) for row in range(len(twice))] == [b"0", b"3"]


class RowNumbers:
    """Fails on multiples of 7; remembers which threads came."""

    def __init__(self, meet: threading.Barrier | None = None):
        self.meet = meet

    def __len__(self):
        return 1000

    def read(self, row):
        if self.meet:
            self.meet.wait(timeout=20)
        if row % 7 == 0:
            raise ReadFailure(f"no {row}")
        return b"%d" % row


@pytest.mark.parametrize("count", [0, 1, 4, 5, 33, 1000])
def test_read_rows_keeps_the_order_and_returns_failures(count):
    rows = list(reversed(range(count)))
    values = read_rows(RowNumbers(), rows)
    assert len(values) == count
    for row, value in zip(rows, values, strict=True):
        if row % 7 == 0:
            assert isinstance(value, ReadFailure)
            assert str(value) == f"no {row}"
        else:
            assert value == b"%d" % row


def test_read_rows_reads_in_parallel():
    # Every read waits until a second is under way: one thread alone would time out.
    values = read_rows(RowNumbers(threading.Barrier(2)), range(8))
    assert values[1:7] == [b"%d" % row for row in range(1, 7)]


def test_read_rows_lets_other_errors_through():
    class Broken(RowNumbers):
        def read(self, row):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_rows(Broken(), range(100))
