import csv
import io
import os
import unicodedata
import warnings

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tfautolabel.data import Unreadable
from tfautolabel.data.label_file import LabelList, LabelRow, read_label_file, rows_from_mapping
from tfautolabel.data.label_file import match_labels as match

on_one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a label file; gives (line, path, label) of each row."""

    def read_bytes(data):
        path = tmp_path / "labels.csv"
        path.write_bytes(data)
        return [
            (int(row.place.removeprefix("line ")), row.path, row.label) for row in read_label_file(path).rows
        ]

    return read_bytes


def match_labels(rows, ids, root, unreadable=(), source="labels"):
    return match(LabelList(rows, source=source), ids, root, unreadable).labels


def rows(*pairs):
    return [LabelRow(f"line {line}", *pair) for line, pair in enumerate(pairs, start=2)]


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_every_common_way_of_writing_csv(read, delimiter, mark, end, quote):
    lines = [(b"path", b"label"), ("é.jpg".encode(), b"cat"), (b"b.jpg", b"")]
    data = mark + b"".join(quote + (quote + delimiter + quote).join(line) + quote + end for line in lines)
    assert read(data) == [(2, "é.jpg", "cat"), (3, "b.jpg", "")]


def test_columns_in_any_order_and_case_with_others_between(read):
    assert read(b"note, LABEL ,Path\nx, cat ,a.jpg\n") == [(2, "a.jpg", "cat")]


def test_a_quoted_field_holds_delimiters_quotes_and_lines(read):
    data = b'path,label\n"a,1.jpg","the ""big"" cat"\n"b\n2.jpg",dog\n\nc.jpg,cat\n'
    assert read(data) == [(2, "a,1.jpg", 'the "big" cat'), (3, "b\n2.jpg", "dog"), (6, "c.jpg", "cat")]


def test_spaces_around_a_path_are_kept_for_the_search(read):
    assert read(b"path,label\n a.jpg ,cat\n") == [(2, " a.jpg ", "cat")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must hold rows. Received: an empty file"),
        (
            b"file;verdict;other\na;b;c\n",
            r"'path' \(or 'id'\) and 'label', once each. Received: 'file', 'verd",
        ),
        (b"a.jpg,cat\n", r"Received: 'a.jpg', 'cat'$"),
        (b"path,label,label\na,b,c\n", "different names. Received twice: ..label"),
        (b"path,label\n", "holds no rows"),
        (b"path,label\na.jpg,cat\nb.jpg\n", "line 3 has 1 fields where the header has 2 columns"),
        (b"path,label\na.jpg,cat,dog\n", "line 2 has 3 fields"),
        (b"path,label\na.jpg,cat\n ,dog\n", "line 3 has no path"),
        ("path,label\nкот.jpg,кот\nсобака.jpg,пёс\n".encode("cp1251"), r"byte 0xea in line 2.*--encoding"),
        (b"\xef\xbb\xbfpath,label\na\xff.jpg,cat\n", "line 2 is not UTF-8"),
        (b"path,label\na.jpg,c\0t\n", "line 2 holds a NUL"),
        (b'path,label\na.jpg,"cat\nb.jpg,dog\nc.jpg,dog\n', "line 2 is not valid CSV"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_line(read, data, message):
    with pytest.raises(ValueError, match=message) as error:
        read(data)
    assert "labels.csv: " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no labels file '.*no.csv'$"):
        read_label_file(tmp_path / "no.csv")
    with pytest.raises(ValueError, match="labels must be a file that can be read"):
        read_label_file(tmp_path)


csv_like = st.lists(
    st.sampled_from(
        [b"path", b"label", b",", b";", b"\t", b'"', b"\n", b"\r", b"a", b" ", b"\x00", b"\xff", b"\xc3"]
    )
).map(b"".join)


@on_one_file
@given(st.one_of(st.binary(), csv_like, csv_like.map(lambda rest: b"path,label\n" + rest)))
@example(b'path,label\n"')
@example(b'"path";"label"\n"a";"b"\n')
@example("path,label\na,b\n".encode("utf-16-le"))
def test_any_bytes_are_rows_or_a_value_error(read, data):
    try:
        parsed = read(data)
    except ValueError:
        return
    assert parsed
    assert all(path.strip() and label == label.strip() for _, path, label in parsed)


written = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\r\t")


@on_one_file
@given(
    st.lists(st.tuples(st.text(written, min_size=1), st.text(written)), min_size=1), st.sampled_from(",;\t")
)
def test_what_csv_writes_is_read_again(read, pairs, delimiter):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "label"), *pairs])
    try:
        data = text.getvalue().encode()
    except UnicodeEncodeError:
        return
    if all(path.strip() for path, _ in pairs):
        assert [row[1:] for row in read(data)] == [(path, label.strip()) for path, label in pairs]
    else:
        with pytest.raises(ValueError, match="has no path"):
            read(data)


@pytest.mark.parametrize(
    "written",
    [
        "b/1.jpg",
        "./b/1.jpg",
        ".\\b\\1.jpg",
        "b//1.jpg",
        "b/c/../1.jpg",
        " b/1.jpg ",
        "photos/b/1.jpg",
        "./photos/b/1.jpg",
        "photos\\b\\1.jpg",
        "{root}/b/1.jpg",
        "{root}/./b/1.jpg",
        "{link}/b/1.jpg",
    ],
)
def test_ways_to_write_a_path(tmp_path, written):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    path = written.format(root=tmp_path / "photos", link=tmp_path / "link")
    root = tmp_path / ("link" if "{link}" in written else "photos")
    assert match_labels(rows((path, "cat")), ["a.jpg", "b/1.jpg"], root) == [None, "cat"]


def test_a_relative_root_still_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    assert match_labels(rows(("photos/a.jpg", "cat")), ["a.jpg"], ".") == ["cat"]


def test_the_path_as_written_comes_first():
    ids = ["a.jpg", "photos/a.jpg", "x\\y.jpg", "x/y.jpg", " s.jpg", "s.jpg"]
    given_rows = rows(("photos/a.jpg", "1"), ("x\\y.jpg", "2"), (" s.jpg", "3"))
    assert match_labels(given_rows, ids, "photos") == [None, "1", "2", None, "3", None]


def test_accents_match_however_they_are_composed():
    decomposed = unicodedata.normalize("NFD", "café.jpg")
    assert decomposed != "café.jpg"
    assert match_labels(rows(("café.jpg", "x")), [decomposed], "photos") == ["x"]
    assert match_labels(rows((decomposed, "x")), ["café.jpg"], "photos") == ["x"]


def test_an_empty_label_is_one_to_label_and_a_label_later_counts():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given_rows = rows(("a", ""), ("b", ""), ("b", "cat"), ("c", "dog"), ("c", ""))
        assert match_labels(given_rows, ["a", "b", "c"], "photos") == [None, "cat", "dog"]


def test_two_labels_for_one_file_name_both_rows():
    with pytest.raises(
        ValueError, match=r"Received: 'a.jpg' is 'cat' in line 2 and 'dog' in line 4"
    ) as error:
        match_labels(
            rows(("a.jpg", "cat"), ("b.jpg", "x"), ("./a.jpg", "dog")), ["a.jpg", "b.jpg"], "p", source="f"
        )
    assert str(error.value).startswith("f: one file has two labels")


def test_the_same_label_twice_is_a_warning():
    with pytest.warns(
        UserWarning, match=r"ignored 1 label given before for the same one: './a.jpg' \(line 3\)$"
    ):
        assert match_labels(rows(("a.jpg", "cat"), ("./a.jpg", "cat")), ["a.jpg"], "photos") == ["cat"]


def test_labels_for_files_that_are_not_there_are_a_warning_with_a_few_examples():
    pairs = [("a.jpg", "cat"), *((f"gone{number}.jpg", "dog") for number in range(5))]
    expected = (
        r"\{x\}.csv: ignored 5 labels for files that were not found in 'photos': 'gone0.jpg' \(line 3\), "
    )
    with pytest.warns(UserWarning, match=expected + ".* and 2 more$"):
        assert match_labels(rows(*pairs), ["a.jpg"], "photos", source="{x}.csv") == ["cat"]


def test_a_label_for_a_unreadable_file_names_the_reason():
    unreadable = [Unreadable("b/broken.jpg", "a broken link")]
    with pytest.warns(
        UserWarning, match=r"1 label for files that were set aside: .*\(line 3: a broken link\)"
    ):
        match_labels(rows(("a.jpg", "cat"), ("b\\broken.jpg", "dog")), ["a.jpg"], "photos", unreadable)
    with pytest.raises(ValueError, match=r"none of its 1 paths .* in 'photos'.*a broken link"):
        match_labels(rows(("b/broken.jpg", "dog")), ["a.jpg"], "photos", unreadable)


def test_no_match_at_all_is_an_error():
    with pytest.raises(
        ValueError, match=r"none of its 2 paths is a file that was found in 'photos'.*'x.jpg' \(line 2\)"
    ):
        match_labels(rows(("x.jpg", "cat"), ("y.jpg", "dog")), ["a.jpg"], "photos")


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(), st.text()), max_size=5),
    st.lists(st.text(min_size=1), unique=True, max_size=5),
)
def test_matching_never_fails_otherwise(pairs, ids):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            labels = match_labels(rows(*pairs), ids, os.curdir)
        except ValueError:
            return
    assert len(labels) == len(ids)


def test_a_mapping_becomes_rows():
    assert rows_from_mapping({"a": " cat ", "b": None}) == [
        LabelRow("entry 1", "a", "cat"),
        LabelRow("entry 2", "b", ""),
    ]
    with pytest.raises(ValueError, match=r"Received: labels=\{\}"):
        rows_from_mapping({})
    assert [row.label for row in rows_from_mapping({"a": 3, 1: 2.0})] == ["3", "2"]
    for wrong in ({"a": object()}, {("a",): "cat"}):
        with pytest.raises(TypeError, match=r"a number or None\. Received: "):
            rows_from_mapping(wrong)
