"""Two more columns of a labels file: how examples were chosen, and which ones people gave no class."""

import pytest

from tfautolabel.runs.inputs import Source
from tfautolabel.runs.said import Said, read_said, write_drawn
from tfautolabel.runs.settings import RunSettings

IDS = ["a.txt", "b/c.txt", "d.txt", "e.txt"]


@pytest.fixture
def write(tmp_path):
    def one(text):
        file = tmp_path / "labels.csv"
        file.write_text(text)
        return file

    return one


def read(file, folder, ids=IDS, encoding=None):
    return read_said(Source(folder, file, None, RunSettings(encoding=encoding)), ids)


def test_both_columns_are_read(write, tmp_path):
    file = write(
        "path,label,asked,answer\na.txt,x,random,\n./b/c.txt,y,chosen,\nd.txt,,,none_of_these\ne.txt,,,cannot_tell\n"
    )
    assert read(file, tmp_path) == Said(
        frozenset({"a.txt"}), {"d.txt": "none_of_these", "e.txt": "cannot_tell"}
    )


def test_a_list_without_these_columns_says_nothing(write, tmp_path):
    assert read(write("path,label\na.txt,x\n"), tmp_path) == Said()
    assert read(None, tmp_path) == Said()


def test_a_column_of_somebody_else_is_left_alone(write, tmp_path):
    assert read(write("path,label,asked,answer\na.txt,x,anna,yes\n"), tmp_path) == Said()


def test_all_chosen_is_not_the_same_as_nothing_said(write, tmp_path):
    assert read(write("path,label,asked\na.txt,x,chosen\n"), tmp_path).drawn == frozenset()


def test_rows_of_a_table_are_named_by_their_numbers(write):
    file = write("id,label,asked,answer\n0,,,\n1,x,random,\n2,y,chosen,\n")
    assert read(file, "table.csv", ["0", "1", "2"]).drawn == {"1"}


def test_rows_that_are_no_examples_do_not_matter(write, tmp_path):
    file = write("path,label,asked\ngone.txt,x,random\na.txt,x,random\n")
    assert read(file, tmp_path).drawn == {"a.txt"}


def test_labels_from_before_count_as_drawn_ones_do(write, tmp_path):
    file = write("path,label,asked\na.txt,x,given\nb/c.txt,x,random\nd.txt,y,chosen\n")
    assert read(file, tmp_path).drawn == {"a.txt", "b/c.txt"}


def test_a_list_to_fill_in_does_not_tell_which_are_random(write, tmp_path):
    file = write("path,label,reason\na.txt,x,why\nb/c.txt,y,why\n")
    write_drawn(file, ["a.txt", "e.txt"])
    assert "random" not in file.read_text()
    hidden = [path for path in tmp_path.iterdir() if path != file]
    assert all(path.name.startswith(".") and "a.txt" not in path.read_text() for path in hidden)
    assert read(file, tmp_path).drawn == {"a.txt", "e.txt"}
    hidden[0].write_text("broken")
    assert read(file, tmp_path) == Said()


def test_a_list_is_read_in_the_encoding_that_was_said(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_bytes("path,label,asked\nфото.txt,да,random\nвид.txt,нет,chosen\n".encode("cp1251"))
    assert read(file, tmp_path, ["вид.txt", "фото.txt"], "cp1251").drawn == {"фото.txt"}
