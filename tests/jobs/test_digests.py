import numpy as np
import pytest

from tfautolabel.data import ReadFailure
from tfautolabel.data.readers import FileReader, MemoryReader, SelectedReader
from tfautolabel.jobs.digests import NotedReader


def test_what_is_opened_is_noted_as_what_is_read(tmp_path):
    contents = [b"one", b"", b"three" * 1000]
    for row, content in enumerate(contents):
        (tmp_path / str(row)).write_bytes(content)
    files = FileReader(tmp_path, ["0", "1", "2", "gone"])
    read, opened = NotedReader(files), NotedReader(SelectedReader(files, np.arange(4)))
    assert read.digest == opened.digest == NotedReader(MemoryReader([b""] * 4)).digest
    for row, content in enumerate(contents):
        assert read.read(row) == content
        for _ in range(2):
            with opened.open(row) as file:
                assert file.read() == content
    for noted in (read.read, opened.open):
        with pytest.raises(ReadFailure, match="the file has gone"):
            noted(3)
    assert read.digest == opened.digest


def test_readers_that_open_nothing_are_not_opened():
    assert not hasattr(NotedReader(MemoryReader([b"one"])), "open")
