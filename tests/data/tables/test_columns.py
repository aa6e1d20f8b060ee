import pytest
from pictures import PICTURES
from table_files import KINDS, write_table

from tfautolabel.data import load_dataset
from tfautolabel.data.tables.columns import choose_columns, words_of

LONG = "a text of many words, which was written by somebody"


def chosen(rows, **named):
    columns = list(rows[0])
    sample = [{name: value.encode() or None for name, value in row.items()} for row in rows]
    options = {"input_column": None, "label_column": None, "id_column": None, "labels_wanted": True} | named
    return choose_columns("t.csv", columns, sample, **options)[:3]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"review_text": "short", "comment": LONG, "label": "a"}, "review_text"),
        ({"text": "short", "comment": LONG, "url": f"https://example.org/{LONG}", "link": LONG}, "text"),
        ({"reviewText": "short", "reviewer": LONG, "overall": "5"}, "reviewText"),
        ({"Full Text": "short", "notes": LONG}, "Full Text"),
        ({"url": "https://example.org/" + "x" * 99, "headline": "short"}, "headline"),
        ({"title": "short", "body": LONG}, "body"),
        ({"text_length": "17", "message": "short"}, "message"),
        ({"image": "a.jpg", "image_width": "640", "caption": LONG}, "image"),
        ({"image_url": "https://example.org/a", "image_name": "a.jpg"}, "image_name"),
        ({"File Name": "a.jpg", "width": "640"}, "File Name"),
        ({"remark": "short", "other": LONG}, "other"),
        ({"comment": LONG, "n": "1"}, "comment"),
        ({"link": "https://example.org", "n": "1"}, "link"),
        ({"link": "https://example.org/" + "x" * 99, "link_text": "short"}, "link_text"),
        ({"annotator_comment": LONG, "user_text": "short"}, "user_text"),
        ({"agent_comment": LONG, "feedback": "short"}, "feedback"),
        ({"lesion_id": "HAM_118", "image_id": "ISIC_0027419", "place": "scalp"}, "image_id"),
        ({"published": "2020-01-01 10:00:00", "news": "short"}, "news"),
        ({"created_at": "on the first of January", "news": "short"}, "news"),
        ({"when": "Mon Apr 06 22:19:45 PDT 2009", "news": "short"}, "news"),
        ({"Kommentar": LONG, "Satz": "short"}, "Satz"),
        ({"commentaire": LONG, "Texte": "short"}, "Texte"),
        ({"nota": LONG, "Rese\u00f1a": "short"}, "Rese\u00f1a"),
        ({"备注": LONG, "文本": "short"}, "文本"),
        ({"Nachricht vom Kunden": "short", "Dateiname": "a.jpg"}, "Dateiname"),
    ],
)
def test_which_column_is_read(row, expected):
    assert chosen([row])[0] == expected


def test_a_column_that_is_mostly_empty_is_not_read():
    rows = [{"text": "", "story": LONG}] * 3 + [{"text": "x", "story": LONG}]
    assert chosen(rows)[0] == "story"
    assert chosen([{"text": "", "n": "1"}])[0] == "text"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["text", "Label"], "Label"),
        (["text", "true_label"], "true_label"),
        (["text", "label_source"], None),
        (["text", "first_label", "second_label"], None),
        (["text", "class name"], "class name"),
        (["text", "category", "class_weight"], "category"),
        (["text", "verdict"], None),
        (["Satz", "Klasse"], "Klasse"),
        (["texte", "\u00c9tiquette"], "\u00c9tiquette"),
        (["texto", "categori\u0301a"], "categori\u0301a"),
        (["отзыв", "Тональность"], "Тональность"),
        (["文本", "标签"], "标签"),
        (["テキスト", "ラベル"], "ラベル"),
        (["문장", "레이블"], "레이블"),
        (["label", "Klasse"], "label"),
    ],
)
def test_which_column_labels(columns, expected):
    assert chosen([dict.fromkeys(columns, "x")])[1] == expected


def test_names_are_a_column_called_so_or_files():
    assert chosen([{"id": "7", "text": "x"}, {"id": "8", "text": "x"}])[2] == "id"
    assert chosen([{"id": "7", "text": "x"}, {"id": "7", "text": "x"}])[2] is None
    assert chosen([{"id": "7", "text": "x"}], id_column="none")[2] is None
    assert chosen([{"none": "7", "text": "x"}], id_column="none")[2] == "none"
    assert chosen([{"id": "a.png", "label": "x"}]) == ("id", "label", None)


def test_an_error_shows_columns_and_the_first_row():
    with pytest.raises(
        ValueError, match=r"name it with input_column.*\['a', 'b'\]; the first row is \['1', '2'\]"
    ):
        chosen([{"a": "1", "b": "2"}])
    with pytest.raises(
        ValueError, match=r"columns \['a', 'b'\]\. Received: 'c'; the first row is \['1', '2'\]"
    ):
        chosen([{"a": "1", "b": "2"}], input_column="c")


def test_words_of_names():
    assert words_of("reviewText") == ["review", "text"]
    assert words_of("Review text_2") == ["review", "text", "2"]
    assert words_of("imageID") == ["image", "id"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", ["repeats", "is empty"])
def test_a_guessed_column_of_names_may_turn_out_to_be_none(kind, broken, tmp_path):
    rows = [{"id": f"n{n}", "text": f"text {n}", "label": "ab"[n % 2]} for n in range(300)]
    rows[250]["id"] = "n7" if broken == "repeats" else None
    table = write_table(kind, rows, tmp_path)
    dataset = load_dataset(table)
    assert dataset.ids.tolist() == [str(n) for n in range(300)]
    assert dataset.unreadable == ()
    (note,) = [note for note in dataset.notes if f"column 'id' {broken}" in note]
    assert "the rows have their numbers, from 0, for names" in note
    assert note not in load_dataset(table, id_column="none").notes
    if broken == "repeats":
        with pytest.raises(ValueError, match=r"names must be unique\. Received: 'n7' in rows 7 and 250"):
            load_dataset(table, id_column="id")
    else:
        assert [item.id for item in load_dataset(table, id_column="id").unreadable] == ["250"]


def test_errors_say_what_was_guessed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,topic,id\na,x|y,1\nb,y,2\n")
    with pytest.raises(
        ValueError, match="taken were inputs from column 'text', labels from column 'topic', names"
    ):
        load_dataset(path)


def test_a_column_of_names_that_repeats_at_once_is_said_too(tmp_path):
    table = write_table(
        "csv", [{"id": "n1", "text": f"text {n}", "label": "ab"[n]} for n in range(2)], tmp_path
    )
    dataset = load_dataset(table)
    assert dataset.ids.tolist() == ["0", "1"]
    assert any("column 'id' repeats: 'n1' in rows 0 and 1" in note for note in dataset.notes)


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas"])
def test_the_names_of_one_kind_of_thing_are_the_rows_names(kind, tmp_path):
    rows = [{"review_id": f"r{n}", "text": f"text {n}", "label": "ab"[n % 2]} for n in (3, 1, 2)]
    assert load_dataset(write_table(kind, rows, tmp_path)).ids.tolist() == ["r3", "r1", "r2"]


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_written_index_of_a_frame_that_was_filtered_names_the_rows(name, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{name},text,label\n0,first one,a\n4,second one,b\n7,third one,\n")
    assert load_dataset(path).ids.tolist() == ["0", "4", "7"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas"])
def test_two_labels_of_one_file_are_refused_however_it_is_written(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a 1.png", "b.png"):
        (tmp_path / name).write_bytes(PICTURES["png-grey"]())
    for other in ("./a 1.png", "a%201.png", str(tmp_path / "a 1.png"), f"file://{tmp_path}/a%201.png"):
        paths = {"a 1.png": "x", "b.png": "y"}
        rows = [{"image": path, "label": label} for path, label in (*paths.items(), (other, "x"))]
        assert len(load_dataset(write_table(kind, rows, tmp_path))) == 3
        rows[2]["label"] = "y"
        with pytest.raises(ValueError, match="one file has two labels"):
            load_dataset(write_table(kind, rows, tmp_path))
    with pytest.raises(ValueError, match="one file has two labels"):
        load_dataset(["a 1.png", "b.png", "./a 1.png"], ["x", "y", "y"])
