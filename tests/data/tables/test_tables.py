"""What holds for every kind of table."""

import csv
import io
import json
import random
import zipfile

import numpy as np
import pytest
from damage import FUZZ
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_files import FILE_KINDS, KINDS, NO_BYTES, write_table

from tfautolabel.data import Dataset, ReadFailure, load_dataset
from tfautolabel.data.label_file import read_label_file
from tfautolabel.data.tables import csv_table, json_lines
from tfautolabel.data.tables.open_table import open_table
from tfautolabel.labels import ABSTAIN

"""Files that are made and read for each kind; a thousand take half a second."""

ROWS = [
    {"key": "a", "text": "It was late.", "label": "bad"},
    {"key": "b", "text": 'A "quoted" text, with; marks\tand\nlines\r\nin it', "label": "good"},
    {"key": "c", "text": "", "label": "good"},
    {"key": "d", "text": "这家餐馆 🙂 \u2028 \x85 \x0b end", "label": None},
    {"key": "e", "text": " spaces ", "label": ""},
    {"key": "f", "text": "x" * 100_000, "label": " bad "},
    {"key": "g", "text": "007", "label": "7"},
]


def labels_of(dataset):
    return [None if c == ABSTAIN else dataset.classes[c] for c in dataset.class_ids.tolist()]


def content(dataset):
    """(id, label, bytes) of each row that can be read."""
    rows = zip(dataset.ids.tolist(), labels_of(dataset), dataset.read(np.arange(len(dataset))), strict=True)
    return [row for row in rows if not isinstance(row[2], ReadFailure)]


# A cell of Excel holds neither so long a text nor such characters.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "xlsx"])
def test_every_kind_gives_the_same(kind, tmp_path):
    dataset = load_dataset(write_table(kind, ROWS, tmp_path), id_column="key")
    assert dataset.modality == "text"
    assert dataset.classes == ("7", "bad", "good")
    assert content(dataset) == [
        ("a", "bad", b"It was late."),
        ("b", "good", ROWS[1]["text"].encode()),
        ("d", None, ROWS[3]["text"].encode()),
        ("e", None, b" spaces "),
        ("f", "bad", b"x" * 100_000),
        ("g", "7", b"007"),
    ]
    note = dataset.notes[0]
    assert "texts in column 'text', labels in column 'label', names in column 'key'" in note
    unread = [name for name, value in zip(dataset.ids, dataset.read(np.arange(len(dataset))), strict=True)
              if isinstance(value, ReadFailure)]  # fmt: skip
    assert unread + [unreadable.id for unreadable in dataset.unreadable] == ["c"]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_named_or_guessed_and_misses_name_what_there_is(kind, tmp_path):
    rows = [
        {"n": str(n), "remark": f"the text number {n} {'is long ' * n}", "y": "ab"[n % 2]} for n in range(6)
    ]
    table = write_table(kind, rows, tmp_path)
    guessed = load_dataset(table)
    assert content(guessed)[3][1:] == ("b", rows[3]["remark"].encode())
    assert guessed.ids.tolist() == [str(n) for n in range(6)]
    other = load_dataset(table, None, input_column="n", id_column="remark", modality="text")
    assert other.classes == ()
    assert content(other)[2] == (rows[2]["remark"], None, b"2")
    for option in ("input_column", "label_column", "id_column"):
        with pytest.raises(
            ValueError, match=rf"{option} must be one of its columns \['n', 'remark', 'y'\].*'no'"
        ):
            load_dataset(table, **{option: "no"})
    with pytest.raises(ValueError, match=r"names must be unique\. Received: 'a' in rows 0 and 2"):
        load_dataset(table, id_column="y")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NO_BYTES])
def test_encoded_files_in_a_column(kind, tmp_path):
    from pictures import PICTURES

    rows = [{"image/encoded": PICTURES["jpeg"](), "image/class/text": "cat"} for _ in range(3)]
    dataset = load_dataset(write_table(kind, rows, tmp_path))
    assert (dataset.modality, dataset.classes) == ("image", ("cat",))
    assert dataset.read([2]) == [rows[2]["image/encoded"]]


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_column_of_paths(kind, tmp_path):
    from pictures import PICTURES

    (tmp_path / "photos").mkdir()
    for name in "abc":
        (tmp_path / "photos" / f"{name}.png").write_bytes(PICTURES["jpeg"]())
    secret = tmp_path.parent / "secret.png"
    secret.write_bytes(PICTURES["jpeg"]())
    paths = [
        "photos/a.png",
        "./photos/b.png",
        "photos\\c.png",
        "photos/gone.png",
        "../secret.png",
    ]
    rows = [{"file": path, "label": "x"} for path in paths]
    dataset = load_dataset(write_table(kind, rows, tmp_path))
    assert dataset.modality == "image"
    assert "pictures in the files that column 'file' names" in dataset.notes[0]
    read = dataset.read(np.arange(5))
    assert read[:3] == [PICTURES["jpeg"]()] * 3
    assert str(read[3]) == "there is no file 'photos/gone.png'"
    assert str(read[4]).startswith("the path leads out of the table's folder")


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_rows_are_read_in_any_order_and_by_many_threads(kind, tmp_path):
    rows = [{"text": f"text {n} {'x' * (n % 70)}", "label": str(n % 3)} for n in range(3000)]
    dataset = load_dataset(write_table(kind, rows, tmp_path))
    order = np.random.default_rng(0).permutation(3000)
    assert dataset.read(order) == [rows[n]["text"].encode() for n in order]
    part = dataset.subset(np.arange(0, 3000, 7))
    assert part.read([5]) == [rows[35]["text"].encode()]


def write_bytes(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.csv", b"", "must hold rows. Received: an empty file"),
        ("blank.jsonl", b" \n\n", "must hold rows"),
        ("header.csv", b"text,label\n", "no row can be used. Received: 0 rows"),
        ("twice.csv", b"text,text\na,b\n", r"different names. Received twice: \['text'\]"),
        ("zipped.csv", b"\x1f\x8b\x08\x00" + bytes(60), "gzip archive; unpack it first"),
        ("binary.csv", b"\x00\x01," * 50, "binary content"),
        ("cut.parquet", b"PAR1" + bytes(50), "is not a Parquet file that can be read"),
        ("header.csv", b'"a"b,c\n1,2\n', "must name the columns. Received: not valid CSV"),
        ("list.jsonl", b"[1]\n[2]\n", "each line must be a JSON object"),
        ("numbers.json", b"[1, 2]", "each item must be a JSON object"),
        ("cut.json", b'[{"text": "a"}, {"te', "item 1 of the JSON array is not valid JSON"),
        ("open.json", b'[{"text": "a"}', "the JSON array ends within item 1"),
        ("lengths.json", b'{"text": ["a", "b"], "label": ["x"]}', "columns must have one length"),
        ("nothing.json", b"{}", "must hold rows"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(60), "an old Excel file"),
        ("other.zip", b"PK\x03\x04" + bytes(60), "a zip archive; unpack it first"),
        ("other.bin", b"\x07\x08\x02", "binary content"),
        ("words", b"hello", "none of these"),
        ("numbers.csv", b"a,b\n1,2\n3,4\n", "name it with input_column"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, data, message):
    with pytest.raises(ValueError, match=message) as failure:
        load_dataset(write_bytes(tmp_path, name, data))
    assert name in str(failure.value)


def test_bad_rows_are_set_aside_with_their_line(tmp_path):
    text = 'text,label\nfine,a\n"two\nlines",b\n{},a\nthree,fields,here\n,a\n"open,b\nlast 🙂,a\n'
    data = text.encode().replace(b"{}", b"gr\xfcn")
    dataset = load_dataset(write_bytes(tmp_path, "rows.csv", data))
    assert [row[2] for row in content(dataset)] == [b"fine", b"two\nlines", "last 🙂".encode()]
    reasons = [reason for _, reason in dataset.unreadable]
    assert reasons[0] == "line 5: not UTF-8"
    assert reasons[1] == "line 6: 3 fields where the header has 2 columns"
    assert reasons[2] == "line 7: no input"
    assert reasons[3].startswith("line 8: not valid CSV")

    data = b'{"text": "fine"}\n{"text": 3.5}\n\n{broken\n[]\n{"other": 1}\n{"text": "\xff"}\n{"text": null}\n'
    data += '{"text": "last 🙂"}'.encode()
    dataset = load_dataset(write_bytes(tmp_path, "rows.jsonl", data), input_column="text")
    assert [row[2] for row in content(dataset)] == [b"fine", b"3.5", "last 🙂".encode()]
    assert [reason.split(" (")[0] for _, reason in dataset.unreadable] == [
        "line 4: not valid JSON",
        "line 5: not an object but list",
        "line 6: no 'text'",
        "line 7: not UTF-8",
        "line 8: no 'text'",
    ]


@pytest.mark.parametrize("length", [51, 99, 100, 101, 149, 250])
def test_a_line_that_is_too_long_is_skipped_to_its_end(tmp_path, length, monkeypatch):
    monkeypatch.setattr(csv_table, "MAX_FIELD", 50)
    monkeypatch.setattr(json_lines, "MAX_LINE", 50)
    # Wherever the line is cut, what follows looks like a record.
    forged = (b"forged,bad,x" * 50)[: length - 1] + b"\n"
    data = b"text,label\nfine,a\n" + forged + b'"two\nlines",b\n"open\n' + forged + b"last,a"
    dataset = load_dataset(write_bytes(tmp_path, "rows.csv", data))
    assert content(dataset) == [("0", "a", b"fine"), ("2", "b", b"two\nlines"), ("5", "a", b"last")]
    why = "not valid CSV (a line of more than 50 bytes)"
    assert [reason for _, reason in dataset.unreadable] == [f"line {n}: {why}" for n in (3, 6, 7)]

    forged = (b'{"text": "forged"}       ' * 50)[: length - 1] + b"\n"
    data = b'{"text": "fine"}\n' + forged + b'{"text": "last"}'
    dataset = load_dataset(write_bytes(tmp_path, "rows.jsonl", data))
    assert [row[2] for row in content(dataset)] == [b"fine", b"last"]
    assert [reason for _, reason in dataset.unreadable] == ["line 2: more than 50 bytes"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_byte_order_marks_and_line_ends(tmp_path, mark, end):
    for name, lines in {
        "rows.csv": [b"text,label", b"one,a", b"two,b"],
        "rows.tsv": [b"label\ttext", b"a\tone", b"b\ttwo"],
        "rows.jsonl": [b'{"text": "one", "label": "a"}', b'{"text": "two", "label": "b"}'],
    }.items():
        dataset = load_dataset(write_bytes(tmp_path, name, mark + end.join(lines)))
        assert content(dataset) == [("0", "a", b"one"), ("1", "b", b"two")]


def test_labels_of_other_types(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for values, classes in [
        ([1, 0, None, 1], ("0", "1")),
        ([1.0, 2.5, float("nan"), None], ("1", "2.5")),
        ([True, False, None, True], ("False", "True")),
    ]:
        pq.write_table(pa.table({"text": list("abcd"), "label": values}), tmp_path / "rows.parquet")
        dataset = load_dataset(tmp_path / "rows.parquet")
        assert dataset.classes == classes
        assert labels_of(dataset)[2] is None


def test_names_of_a_hugging_face_dataset_stand_for_its_numbers():
    class ClassLabel:
        names = ("neg", "pos")

    class Rows:
        """The part of `datasets.Dataset` that is used."""

        features = {"text": object(), "label": ClassLabel()}  # noqa: RUF012

        def with_format(self, kind):
            assert kind == "arrow"
            return self

        def __getitem__(self, rows):
            import pyarrow as pa

            return pa.table({"text": ["a", "b", "c"], "label": [1, 0, -1]})[rows]

    dataset = load_dataset(Rows())
    assert (labels_of(dataset), dataset.classes) == (["pos", "neg", None], ("neg", "pos"))


def test_what_is_no_table_is_refused():
    for value in (3, {"text": ["a"]}, object()):
        with pytest.raises(TypeError, match=r"data must be a path, a pandas or Polars DataFrame.*Received: "):
            load_dataset(value)


def test_a_file_that_changes_is_noticed(tmp_path):
    path = write_bytes(tmp_path, "rows.csv", b"text,label\nfirst,a\nsecond,b\n")
    dataset = load_dataset(path)
    with open(path, "r+b") as file:
        file.truncate(20)
    assert isinstance(dataset.read([1])[0], ReadFailure)


def test_a_process_wide_setting_is_left_alone(tmp_path):
    before = csv.field_size_limit(131_072)
    try:
        path = write_bytes(tmp_path, "rows.csv", b"text,label\n" + b"x" * 200_000 + b",a\n")
        assert len(load_dataset(path).read([0])[0]) == 200_000
        assert csv.field_size_limit() == 131_072
    finally:
        csv.field_size_limit(before)


def test_readers_that_overlap_leave_the_limit_on_field_sizes_as_it_was(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("text,label\na,x\nb,y\n", "utf-8")
    before = csv.field_size_limit(131_072)
    try:
        first, second = (open_table(str(file), (), None).records() for _ in range(2))
        next(first), next(second)
        first.close()
        assert csv.field_size_limit() > 131_072  # the second one still reads
        second.close()
        assert csv.field_size_limit() == 131_072
    finally:
        csv.field_size_limit(before)


def mutated(data, seed):
    """Bytes changed, cut out, doubled or put in, where it hurts."""
    rng = random.Random(seed)
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and place < len(data):
            data[place] = rng.choice([0, 10, 13, 34, 44, 92, 123, 125, 128, 255, rng.randrange(256)])
        elif kind == 1:
            del data[place : place + rng.randint(1, 40)]
        elif kind == 2:
            data[place:place] = data[place : place + rng.randint(1, 40)]
        else:
            data[place:place] = rng.choice(
                [b'"', b"\n", b"\x00", b"\xff\xfe", b'{"', b"\r", b",,,", b"\xe2\x80"]
            )
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


def damaged_sheet(whole, seed):
    """A workbook whose archive is whole and whose rows are not."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, mutated(data, seed) if "sheet1" in name or "shared" in name else data)
    return made.getvalue()


def is_read_or_refused(path):
    """Whether it is read; if not, the error is one sentence about it."""
    refusal = None
    try:
        dataset = load_dataset(path)
    except ValueError as error:
        refusal = str(error)
    if refusal is None:
        assert len(dataset.read(np.arange(len(dataset)))) == len(dataset)
        return True
    assert path.name in refusal
    assert len(refusal) < 1000
    return False


@pytest.mark.filterwarnings("ignore:.* classes :UserWarning")
@pytest.mark.parametrize("kind", FILE_KINDS)
def test_damaged_tables_are_read_or_refused_in_a_sentence(kind, tmp_path):
    rows = [row | {"text": row["text"][:50].replace("\x0b", "")} for row in ROWS]
    whole = write_table(kind, rows, tmp_path).read_bytes()
    path = tmp_path / f"damaged.{kind}"
    read = 0
    for seed in range(FUZZ):
        path.write_bytes(damaged_sheet(whole, seed) if kind == "xlsx" and seed % 2 else mutated(whole, seed))
        read += is_read_or_refused(path)
    assert read > FUZZ / 100


EXPORTS = {
    "Label Studio": [
        {"id": n, "data": {"text": f"text {n}"}, "annotations": [{"result": [{"value": {"choices": ["a"]}}]}]}
        for n in range(3)
    ],
    "FiftyOne": {"classes": ["a", "b"], "labels": {"1.jpg": 0, "2.jpg": 1}},
    "samples": {"samples": [{"text": "so it is", "ground_truth": {"_cls": "Classification", "label": "a"}}]},
    "COCO": {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 2}],
        "categories": [{"id": 2, "name": "a"}],
    },
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_damaged_exports_are_read_or_refused_in_a_sentence(kind, tmp_path):
    whole = json.dumps(EXPORTS[kind]).encode()
    path = tmp_path / "damaged.json"
    for seed in range(FUZZ):
        path.write_bytes(mutated(whole, seed))
        refusal = None
        try:
            read_label_file(path)
        except ValueError as error:
            refusal = str(error)
        assert refusal is None or (path.name in refusal and len(refusal) < 1000)


@settings(max_examples=FUZZ, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), kind=st.sampled_from(FILE_KINDS))
def test_random_bytes_are_read_or_refused_in_a_sentence(tmp_path, data, kind):
    is_read_or_refused(write_bytes(tmp_path, f"random.{kind}", data))


def test_texts_are_given_as_strings():
    dataset = Dataset.from_inputs(["a", "\ud800b"], ["x", None])
    assert (dataset.modality, dataset.read([0, 1])) == ("text", [b"a", b"?b"])
