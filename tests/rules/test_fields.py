import io
import itertools
import struct
import wave

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfautolabel import Dataset, load_dataset, read_rules
from tfautolabel.rules.apply import cast_votes
from tfautolabel.rules.fields import Fields, fields_for
from tfautolabel.rules.known import duration_of

COLUMNS = {
    "text": ["fine", "late", "so so", "broken", "ok"],
    "stars": [5, 1, None, 2, 4],
    "shop": ["a", None, "", "b", "a"],
}
SHOPS = ["a", None, None, "b", "a"]
STARS = ["5", "1", None, "2", "4"]


def written(tmp_path, kind, columns):
    frame = pd.DataFrame(columns).astype({"stars": "Int64"})
    if kind == "frame":
        return frame
    path = tmp_path / f"data.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif kind == "xlsx":
        frame.to_excel(path, index=False)
    else:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx", "parquet", "frame"])
@pytest.mark.parametrize("named", [False, True])
def test_columns_of_every_kind_of_table(tmp_path, kind, named):
    columns = COLUMNS | ({"id": ["r4", "r2", "r0", "r9", "r1"]} if named else {})
    source = written(tmp_path, kind, columns)
    pool = load_dataset(source, None, input_column="text")
    fields = Fields(source, input_column="text")
    order = np.array([3, 0, 4, 1, 2])
    rows = fields(pool.subset(order))
    assert [row["stars"] for row in rows] == [STARS[place] for place in order]
    assert [row["shop"] for row in rows] == [SHOPS[place] for place in order]
    assert [row["text"] for row in rows] == [COLUMNS["text"][place] for place in order]
    assert [row["id"] for row in rows] == pool.ids[order].tolist()
    assert set(rows[0]) >= {"stars", "shop", "text", "id", "name", "folder", "size", "length"}
    assert (rows[0]["length"], rows[0]["size"]) == (6, 6)
    with pytest.raises(KeyError):
        rows[0]["duration"]


def test_rows_that_are_set_aside_keep_the_names_of_others_right(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,stars\nfine,5\n,4\nlate,\nbad line\nok,2\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="text")
    assert pool.ids.tolist() == ["0", "2", "4"]
    assert [row["stars"] for row in Fields(path, input_column="text")(pool)] == ["5", None, "2"]


def test_names_that_are_numbers_in_another_order(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("id,text,shop_id\n2,fine,1\n0,late,0\n1,ok,2\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="text")
    rows = Fields(path, input_column="text")(pool)
    assert [(row["id"], row["shop_id"]) for row in rows] == [("2", "1"), ("0", "0"), ("1", "2")]
    path.write_text("text,shop_id,user_id\nfine,1,2\nlate,0,1\nok,2,0\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="text")
    assert [row["shop_id"] for row in Fields(path, input_column="text")(pool)] == ["1", "0", "2"]


def test_names_that_only_the_examples_have_alone(tmp_path):
    # The id repeats where the text is missing: the examples have names, the column of stars alone would not.
    path = tmp_path / "data.csv"
    path.write_text("id,text,stars\na,fine,5\nb,,4\nb,late,3\nc,ok,\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="text")
    try:
        rows = Fields(path, input_column="text")(pool)
    except ValueError as error:
        assert "b" in str(error) or "names" in str(error)  # noqa: PT017 - refused, never another row's cell
    else:
        assert [row["stars"] for row in rows] == ["5", "3", None]


def test_a_column_of_paths_is_read_as_written(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"content of {name}", encoding="utf-8")
    path = tmp_path / "data.csv"
    path.write_text("file,label\na.txt,x\nb.txt,y\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="file")
    assert [row["file"] for row in Fields(path)(pool)] == ["a.txt", "b.txt"]


def test_an_empty_column_is_empty(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,stars\nfine,\nlate,\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="text")
    assert [row["stars"] for row in Fields(path, input_column="text")(pool)] == [None, None]


def test_types_that_are_no_text_are_refused_where_they_are_wanted():
    table = pa.table({"text": ["a", "b"], "new": [True, False], "day": pa.array([1, 2], pa.date32())})
    pool = load_dataset(table, None, input_column="text")
    assert "new" not in Fields(table)(pool)[0]
    with pytest.raises(ValueError, match=r"rules look at columns of texts and numbers.* 'new' of type bool"):
        Fields(table, ["new"])


def test_examples_of_other_data_are_refused():
    table = pa.table({"text": ["a", "b"]})
    with pytest.raises(ValueError, match="an example that is none of its rows"):
        Fields(table)(Dataset.from_inputs(["a"], ids=["other"], modality="text"))


def test_columns_that_rules_look_at_must_be_there(tmp_path):
    path = tmp_path / "rules.csv"
    path.write_text("label,pattern,kind,field\na,x\na,5,min,star\na,5,min,length\n", encoding="utf-8")
    rules = read_rules(path)
    table = pa.table({"text": ["a", "b"], "stars": [4, 6]})
    with pytest.raises(
        ValueError, match=r"rules.csv: line 3: field must be .*columns 'text', 'stars'. Received: 'star'"
    ):
        fields_for(rules, table, "text")
    with pytest.raises(ValueError, match="no table"):
        fields_for(rules, tmp_path, "text")
    path.write_text("label,pattern,kind,field\na,5,min,stars\n", encoding="utf-8")
    rules = read_rules(path)
    pool = load_dataset(table, None, input_column="text")
    fields = fields_for(rules, table, "text", input_column="text")
    assert list(fields._wanted) == ["stars"]
    assert cast_votes(rules, pool, fields=fields, progress=False).matrix.tolist() == [[-1], [0]]


def test_many_parts_in_threads(tmp_path):
    n = 5_000
    path = tmp_path / "data.parquet"
    pq.write_table(
        pa.table({"text": [f"t{row}" for row in range(n)], "stars": list(range(n))}), path, row_group_size=700
    )
    rules = tmp_path / "rules.csv"
    rules.write_text("label,pattern,kind,field\na,2500,min,stars\n", encoding="utf-8")
    pool = load_dataset(path, None, input_column="text")
    rules = read_rules(rules)
    votes = cast_votes(rules, pool, fields=fields_for(rules, path, "text"), progress=False, threads=3)
    assert votes.matrix[:, 0].tolist() == [-1] * 2_500 + [0] * 2_500


def wav(seconds, rate=8_000, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(bytes(int(seconds * rate) * width))
    return file.getvalue()


def floats(seconds, rate=8_000):
    size = int(seconds * rate) * 4
    form = struct.pack("<HHIIHH", 3, 1, rate, rate * 4, 4, 32)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
        + form
        + struct.pack("<4sI", b"data", size)
        + bytes(size)
    )


def test_durations_and_sizes_of_sound(tmp_path):
    assert [duration_of(clip) for clip in (wav(0.5), wav(2, 16_000, 1), floats(1.5), b"RIFF", b"")] == [
        0.5,
        2,
        1.5,
        None,
        None,
    ]
    assert all(duration_of(floats(1)[:size]) in (None, 0) or size > 44 for size in range(60))
    for name, clip in (("a/short.wav", wav(0.5)), ("b/long.wav", wav(3))):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(clip)
    pool = load_dataset(tmp_path, None)
    rows = Fields(tmp_path)(pool)
    facts = [(row["name"], row["folder"], row["duration"], row["size"]) for row in rows]
    assert facts == [("short", "a", 0.5, 8_044), ("long", "b", 3, 48_044)]


def test_pieces_of_names(tmp_path):
    pool = Dataset.from_inputs(["x"], ids=["a\\b/c.d.txt"], modality="text")
    (row,) = Fields([])(pool)
    assert (row["name"], row["folder"]) == ("c.d", "a/b")
    assert len(list(itertools.chain(row))) == len(row)
