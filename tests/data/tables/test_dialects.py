import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfautolabel._optional import MissingExtraError
from tfautolabel.data import ReadFailure, load_dataset
from tfautolabel.labels import ABSTAIN

ROWS = [("I loved it", "pos"), ("I hated it", "neg"), ("It was fine", None)]
TEXTS = [text.encode() for text, _ in ROWS]


def written(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def rows_of(dataset):
    labels = [None if c == ABSTAIN else dataset.classes[c] for c in dataset.class_ids.tolist()]
    return list(zip(dataset.read(np.arange(len(dataset))), labels, strict=True))


EXPECTED = [(text.encode(), label) for text, label in ROWS]
OBJECTS = [{"text": text, "label": label} for text, label in ROWS]
CSV = "text,label\nI loved it,pos\nI hated it,neg\nIt was fine,\n"
BARE = CSV.partition("\n")[2]


def quoted(between):
    """The table with quotes around each field."""
    return "".join(f'"{line}"\n'.replace(",", between) for line in CSV.splitlines())


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("sep.csv", "sep=;\r\n" + CSV.replace(",", ";"), "first line says how columns are separated"),
        ("sep.csv", "\ufeff\"sep=\t\"\r\n" + CSV.replace(",", "\t"), "first line says how columns"),
        ("sep.csv", "SEP=,\n" + CSV, "first line says how columns are separated"),
        ("sep.csv", "sep=\\t\n" + CSV.replace(",", "\t"), "first line says how columns are separated"),
        ("sep.csv", "sep = ;\n" + CSV.replace(",", ";"), "first line says how columns are separated"),
        ("units.csv", CSV.replace("text,label", "Text (English),Label [0/1]"), ""),
        ("letters.csv", "Text,text,label\n" + BARE.replace("I ", "x,I ").replace("It", "x,It"), ""),
        ("title.csv", "Survey 2023,\nby Ann\n,\n" + CSV, "above the header were left out: 'Survey 2023,'"),
        ("title.csv", "# made by a program\n\n" + CSV, "above the header were left out: '# made by a"),
        ("title.csv", "sep=;\nSurvey\n" + CSV.replace(",", ";"), "above the header were left out: 'Survey'"),
        ("spaces.csv", CSV.replace(",", ", "), ""),
        ("padded.csv", quoted('" ,"'), ""),
        ("padded.csv", quoted('"\t, "'), ""),
        ("padded.csv", quoted('" , "').replace("\n", " \r\n"), ""),
        ("padded.csv", quoted('" ;"'), ""),
        ("padded.csv", quoted('", "'), ""),
        ("empty columns.csv", CSV.replace("\n", ",,\n"), ""),
        ("empty columns.csv", CSV.replace(",", ";").replace("\n", ";;;\r\n"), ""),
        ("longer rows.csv", CSV.replace("pos\n", "pos,,\n"), ""),
        ("blank rows.csv", CSV + ",\n,\n", ""),
        ("returns.csv", CSV.replace("\n", "\r"), ""),
        ("utf-16.csv", CSV.encode("utf-16"), ""),
        ("utf-32.csv", CSV.encode("utf-32"), ""),
        ("utf-16-le.csv", CSV.encode("utf-16-le"), "was read as utf-16-le"),
        ("utf-16-be.csv", CSV.encode("utf-16-be"), "was read as utf-16-be"),
        ("utf-16-returns.csv", CSV.replace("\n", "\r").encode("utf-16"), ""),
        ("bare.csv", BARE, "names no columns and is read as a row"),
        ("bare.tsv", BARE.replace(",", "\t"), "names no columns and is read as a row"),
        ("bare.csv", "I loved it,0\nI hated it,1\nIt was fine,\n", "names no columns and is read as a row"),
        ("index.csv", "," + CSV.replace("\nI", "\nr,I"), ""),
        ("pipe.txt", CSV.replace(",", "|"), ""),
        ("array.json", json.dumps(OBJECTS), ""),
        ("array.json", json.dumps(OBJECTS, indent=2), ""),
        ("array.json", "\ufeff\n" + json.dumps(OBJECTS), ""),
        ("array.json", json.dumps(OBJECTS).encode("utf-16"), ""),
        ("array.csv", json.dumps(OBJECTS, indent=2), ""),
        ("rows.json", json.dumps({"data": OBJECTS}), ""),
        ("rows.json", json.dumps({"version": "1", "examples": OBJECTS}, indent=1), ""),
        ("rows.json", json.dumps({"rows": [{"row_idx": n, "row": r} for n, r in enumerate(OBJECTS)]}), ""),
        ("columns.json", json.dumps({"text": [t for t, _ in ROWS], "label": [y for _, y in ROWS]}), ""),
        ("pandas columns.json", json.dumps({"text": {str(n): t for n, (t, _) in enumerate(ROWS)},
                                            "label": {str(n): y for n, (_, y) in enumerate(ROWS)}}), ""),
        ("pandas index.json", json.dumps({str(n): row for n, row in enumerate(OBJECTS)}), ""),
        ("pandas split.json", json.dumps({"columns": ["text", "label"], "index": [0, 1], "data": ROWS}), ""),
        ("pandas table.json", json.dumps({"schema": {"fields": [{"name": "text"}]}, "data": OBJECTS}), ""),
        ("lists.json", json.dumps(ROWS), ""),
        ("header and lists.json", json.dumps([["text", "label"], *ROWS]), ""),
        ("commas.jsonl", ",\n".join(map(json.dumps, OBJECTS)) + ",\n", ""),
        ("rows.ndjson", "\n".join(map(json.dumps, OBJECTS)), ""),
    ],
)  # fmt: skip
def test_dialects(tmp_path, name, data, said):
    if "0" in str(data) and name == "bare.csv":
        expected = [(EXPECTED[0][0], "0"), (EXPECTED[1][0], "1"), EXPECTED[2]]
    else:
        expected = EXPECTED
    dataset = load_dataset(written(tmp_path, name, data))
    assert rows_of(dataset) == expected
    assert dataset.unreadable == ()
    assert said in " ".join(dataset.notes)


@pytest.mark.parametrize("column", ["text", "column 1"])
def test_a_first_line_is_what_a_user_says(tmp_path, column):
    path = written(tmp_path, "t.csv", "first,x\nsecond,x\nthird,y\n")
    header = column == "text"
    named = load_dataset(path, None, input_column="first" if header else column)
    assert len(named) == 2 + (not header)


@pytest.mark.parametrize(
    "data", ["foo,bar\nx,y\nz,w\n", "Words,Verdict\nshort one,good\nanother,bad\n", "name,n\nx,1\ny,2\n"]
)
def test_a_header_of_other_names_is_one(tmp_path, data):
    dataset = load_dataset(written(tmp_path, "t.csv", data), None, input_column=data.partition(",")[0])
    assert len(dataset) == 2
    guessed = load_dataset(written(tmp_path, "t.csv", data), None)
    assert len(guessed) == 2
    assert "1" in data or any("is taken for the header" in note for note in guessed.notes)


def test_one_column_of_texts_with_commas(tmp_path):
    dataset = load_dataset(written(tmp_path, "t.csv", 'text\nYes, no, maybe\n"A, b"\nword\n'))
    assert dataset.read([0, 1, 2]) == [b"Yes, no, maybe", b"A, b", b"word"]


@pytest.mark.parametrize(
    "data",
    [
        'label, text\npos, "good, stuff"\nneg, "bad"\n, "so, so"\n',
        "label,text\npos,'good, stuff'\nneg,'bad'\n,'so, so'\n",
        'label;text\npos;"good, stuff"\nneg;bad\n;"so, so"\n',
    ],
)
def test_quotes_that_hold_fields_together(tmp_path, data):
    expected = [(b"good, stuff", "pos"), (b"bad", "neg"), (b"so, so", None)]
    assert rows_of(load_dataset(written(tmp_path, "t.csv", data))) == expected


def test_simple_quotes_belong_to_texts_where_double_ones_hold(tmp_path):
    data = 'label,text\npos,"fine"\nneg,\'twas bad, it\'s said\nneg,"so, so"\n'
    dataset = load_dataset(written(tmp_path, "t.csv", data))
    assert rows_of(dataset) == [(b"fine", "pos"), (b"so, so", "neg")]
    assert dataset.unreadable[0].reason == "line 3: 3 fields where the header has 2 columns"


def test_sentences_with_commas_are_one_column(tmp_path):
    lines = [f"This is number {n}, and it is fine." for n in range(8)]
    dataset = load_dataset(written(tmp_path, "t.txt", "\n".join(lines)))
    assert dataset.read(np.arange(8)) == [line.encode() for line in lines]


def test_a_list_of_paths_and_words(tmp_path):
    for n in range(6):
        (tmp_path / f"{n}.txt").write_text(f"content {n}")
    path = written(tmp_path, "list.lst.txt", "".join(f"{n}.txt {'ab'[n % 2]}\n" for n in range(6)))
    assert rows_of(load_dataset(path)) == [(f"content {n}".encode(), "ab"[n % 2]) for n in range(6)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["это было хорошо", "这家餐馆一般", "とても良かった", "정말 좋았다"])
def test_utf_16_without_a_mark_in_any_alphabet(tmp_path, encoding, text):
    data = f"text,label\n{text},a\nx,b\n" + f"{text},a\n" * 300
    dataset = load_dataset(written(tmp_path, "t.csv", data.encode(encoding)))
    assert rows_of(dataset)[:2] == [(text.encode(), "a"), (b"x", "b")]
    assert f"was read as {encoding}" in " ".join(dataset.notes)


def test_words_of_two_bytes_a_character_are_no_western_ones(tmp_path):
    for encoding, labels in (("gbk", "好坏"), ("big5", ("好評", "壞評")), ("shift-jis", ("良い", "悪い"))):
        data = "text,label\nfine,{}\nbad,{}\n".format(*labels).encode(encoding)
        with pytest.raises(ValueError, match=r"must be UTF-8.*--encoding"):
            load_dataset(written(tmp_path, "t.csv", data))
    western = (
        "text,label\n« À propos » § 5.5 ½ °C ±3,a\n»Ähnlich« §§ 3,b\n¡Él! 20°C 5µm col·lecció n°5 m²,b\n"
    )
    assert len(load_dataset(written(tmp_path, "t.csv", western.encode("cp1252")))) == 3


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.yaml", "- text: a, b\n  label: x\n"),
        ("t.arff", "@relation x\n@data\n'a, b',x\n"),
        ("t.xls", "<table><tr><td>a, b</td></tr></table>"),
        ("t.json", '// a remark\n[{"text": "a", "label": "x"}]'),
        ("t.html", "<table><tr><td>a, b</td></tr></table>"),
    ],
)
def test_texts_of_other_kinds_are_no_tables(tmp_path, name, data):
    with pytest.raises(ValueError, match=r"must be a table that ends in|is not valid JSON"):
        load_dataset(written(tmp_path, name, data))


def test_quotes_between_tabs(tmp_path):
    odd = 'text\tlabel\n"Best film\tpos\nworst\tneg\nat the end"\tneg\n5" screen\t\n'
    dataset = load_dataset(written(tmp_path, "t.tsv", odd))
    assert [text for text, _ in rows_of(dataset)] == [b'"Best film', b"worst", b'at the end"', b'5" screen']
    assert any("quotes mean nothing" in note for note in dataset.notes)
    excel = 'text\tlabel\n"Best\tfilm"\tpos\n"two\nlines ""here"""\tneg\n'
    assert rows_of(load_dataset(written(tmp_path, "t.tsv", excel))) == [
        (b"Best\tfilm", "pos"),
        (b'two\nlines "here"', "neg"),
    ]


def test_western_text_is_read_whole_and_other_text_refused(tmp_path):
    text = "text,label\nso,gut\nnix – „nie“,übel\nna,übel\nà côté,gut\n"
    dataset = load_dataset(written(tmp_path, "t.csv", text.encode("cp1252")))
    assert rows_of(dataset)[1] == ("nix – „nie“".encode(), "übel")
    assert "cp1252" in " ".join(dataset.notes)
    for encoding, other in {
        "cp1251": "это было хорошо",
        "gbk": "这家餐馆很好",
        "shift-jis": "とても良かった",
        "cp1250": "to było świetne i wąż",
        "cp1253": "ήταν πολύ καλό",
        "cp850": "déjà vu à la maison",
        "mac-roman": "déjà vu à la maison",
        "big5": "這家餐廳很好",
        "euc-kr": "정말 좋았다",
        "koi8-r": "это было хорошо",
    }.items():
        path = written(tmp_path, "o.csv", f"text,label\n{other},a\nx,b\n".encode(encoding))
        with pytest.raises(ValueError, match=r"must be UTF-8\. Received: byte 0x.. in line 2.*--encoding"):
            load_dataset(path)
        assert load_dataset(path, encoding=encoding).read([0]) == [other.encode()]
    with pytest.raises(ValueError, match="one that Python knows"):
        load_dataset(path, encoding="klingon")
    with pytest.raises(ValueError, match="is not valid ascii"):
        load_dataset(path, encoding="ascii")


def test_a_header_that_comes_again_is_no_row(tmp_path):
    dataset = load_dataset(written(tmp_path, "t.csv", CSV + CSV.replace("I", "Still I")))
    assert rows_of(dataset)[:3] == EXPECTED
    assert len(dataset) == 6
    assert dataset.classes == ("neg", "pos")
    assert dataset.unreadable[0].reason == "line 5: the header again"


def test_a_nul_costs_its_row_only(tmp_path):
    dataset = load_dataset(written(tmp_path, "t.csv", "text,label\na\0b,pos\nb,neg\nc,\n"))
    assert [row[0] for row in rows_of(dataset)] == [b"b", b"c"]
    assert dataset.unreadable[0].reason == "line 2: holds a NUL character"


def test_a_value_without_a_columns_name_is_set_aside(tmp_path):
    dataset = load_dataset(written(tmp_path, "t.csv", "text,label,,\na,x,,\nb, c,y,\nd,y,,\n"))
    assert [row[0] for row in rows_of(dataset)] == [b"a", b"d"]
    assert dataset.unreadable[0].reason == "line 3: 4 fields where the header has 2 columns"


def test_labelling_tools_exports_as_tables(tmp_path):
    def task(number, text, *choices, cancelled=False):
        result = [{"type": "choices", "from_name": "s", "value": {"choices": list(choices)}}]
        made = [{"was_cancelled": cancelled, "result": result}] if choices else []
        return {"id": number, "data": {"text": text}, "predictions": [], "annotations": made}

    tasks = [task(11, "a", "x"), task(12, "b", "y"), task(13, "c"), task(14, "d", "x", cancelled=True)]
    dataset = load_dataset(written(tmp_path, "t.json", json.dumps(tasks)))
    assert rows_of(dataset) == [(b"a", "x"), (b"b", "y"), (b"c", None), (b"d", None)]
    assert dataset.ids.tolist() == ["11", "12", "13", "14"]
    with pytest.raises(ValueError, match="which names several"):
        load_dataset(written(tmp_path, "t.json", json.dumps([*tasks, task(15, "e", "x", "y")])))
    old = [{"id": 1, "data": {"text": "a"}, "completions": [{"skipped": True, **tasks[0]["annotations"][0]}]}]
    assert rows_of(load_dataset(written(tmp_path, "t.json", json.dumps([*old, *tasks[1:]]))))[0] == (
        b"a",
        None,
    )
    flat = [
        {"text": "a", "id": 1, "sentiment": "x", "annotator": 1, "lead_time": 2.5},
        {"text": "b", "id": 2},
    ]
    assert rows_of(load_dataset(written(tmp_path, "m.json", json.dumps(flat)))) == [(b"a", "x"), (b"b", None)]
    lines = "annotation_id,annotator,id,is_it,lead_time,text\n1,7,1,x,2.5,a\n2,7,2,y,2.5,b\n3,7,3,x,2.5,c\n"
    exported = load_dataset(written(tmp_path, "t.csv", lines))
    assert rows_of(exported) == [(b"a", "x"), (b"b", "y"), (b"c", "x")]


def test_sheets_of_excel(tmp_path):
    from datetime import date

    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("rows")
    for row in [
        [None],
        ["id", "text", "label", None],
        [1, "first", 1.0],
        [],
        [2, "007", 0],
        [3, date(2020, 1, 2)],
    ]:
        sheet.append(row)
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "t.xlsx")
    dataset = load_dataset(tmp_path / "t.xlsx")
    assert rows_of(dataset) == [(b"first", "1"), (b"007", "0"), (b"2020-01-02", None)]
    assert dataset.ids.tolist() == ["1", "2", "3"]
    assert any("sheet 'rows' is read" in note and "'more'" in note for note in dataset.notes)


def test_a_sheet_about_the_file_and_lines_above_the_header(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["About this file"])
    sheet = book.create_sheet("answers")
    for row in [["Survey 2023"], [None], ["text", "label"], *ROWS]:
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    (tmp_path / "t.xlsx").rename(tmp_path / "t.csv")
    dataset = load_dataset(tmp_path / "t.csv")
    assert rows_of(dataset) == EXPECTED
    assert any("'Survey 2023" in note for note in dataset.notes)


def merged_sheet(folder, rows, *blocks):
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(row)
    for block in blocks:
        book.active.merge_cells(block)
    book.save(folder / "merged.xlsx")
    return folder / "merged.xlsx"


SHEET = [["text", "label"], ["a", "x"], ["b", None], ["c", None], ["d", None], ["e", "y"], ["f", None]]


@pytest.mark.parametrize(
    ("above", "blocks", "labels"),
    [
        ([], ["B2:B4", "B6:B7"], ["x", "x", "x", None, "y", "y"]),
        ([], ["B2:C4"], ["x", "x", "x", None, "y", None]),
        ([["Survey 2023", None], [None, None]], ["A1:B1", "B4:B6"], ["x", "x", "x", None, "y", None]),
        ([], ["A1:A1", "B2:B4"], ["x", "x", "x", None, "y", None]),
    ],
)
def test_a_merged_cell_holds_for_all_its_rows(tmp_path, above, blocks, labels):
    dataset = load_dataset(merged_sheet(tmp_path, [*above, *SHEET], *blocks))
    assert rows_of(dataset) == list(zip([b"a", b"b", b"c", b"d", b"e", b"f"], labels, strict=True))
    filled = sum(label is not None for label in labels) - 2
    assert any(f"{filled} cells are merged with one above" in note for note in dataset.notes)


def test_merged_cells_without_a_header(tmp_path):
    rows = [["a nice one", "ham"], ["b two words", None], ["c other one", "spam"], ["d one more", "ham"]]
    dataset = load_dataset(merged_sheet(tmp_path, rows, "B1:B2"))
    assert [label for _, label in rows_of(dataset)] == ["ham", "ham", "spam", "ham"]


def test_merged_rows_without_a_text_are_no_rows(tmp_path):
    dataset = load_dataset(merged_sheet(tmp_path, [*SHEET[:3], [None, None], ["d", "y"]], "B2:B4"))
    assert rows_of(dataset) == [(b"a", "x"), (b"b", "x"), (b"d", "y")]


def test_a_name_over_two_columns_with_values_is_refused(tmp_path):
    rows = [["text", None, "label"], ["a", "more", "x"], ["b", "more", "y"]]
    with pytest.raises(ValueError, match=r"Received: 'text' in row 1, merged over the columns A to B$"):
        load_dataset(merged_sheet(tmp_path, rows, "A1:B1"))
    dataset = load_dataset(merged_sheet(tmp_path, [[a, None, c] for a, _, c in rows], "A1:B1"))
    assert rows_of(dataset) == [(b"a", "x"), (b"b", "y")]


def test_formulas_without_values_are_said(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    for row in [["text", "label"], ["a", '=IF(1=1,"x","y")'], ["b", "x"]]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    dataset = load_dataset(tmp_path / "t.xlsx")
    assert rows_of(dataset) == [(b"a", None), (b"b", "x")]
    assert any("1 cells hold formulas" in note for note in dataset.notes)


def test_excel_needs_its_extra(tmp_path, monkeypatch):
    import sys

    from openpyxl import Workbook

    Workbook().save(tmp_path / "t.xlsx")
    with pytest.raises(ValueError, match="whose sheets are empty"):
        load_dataset(tmp_path / "t.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r'pip install "tfautolabel\[excel\]"'):
        load_dataset(tmp_path / "t.xlsx")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    rows=st.lists(st.tuples(texts, st.sampled_from(["pos", "neg", ""])), min_size=2, max_size=8),
    mark=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    sep=st.booleans(),
)
def test_any_texts_come_back(tmp_path, rows, mark, encoding, end, sep):
    def field(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [
        *([f"sep={mark}"] if sep else []),
        f"text{mark}label",
        *(f"{field(t)}{mark}{y}" for t, y in rows),
        "",
    ]
    dataset = load_dataset(written(tmp_path, "t.csv", end.join(lines).encode(encoding)), modality="text")
    assert not any(isinstance(value, ReadFailure) for value, _ in rows_of(dataset))
    assert rows_of(dataset) == [(text.encode(), label or None) for text, label in rows]


QUOTED = st.lists(st.text("a \",;\n'|", min_size=1, max_size=8).filter(str.strip), min_size=2, max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(QUOTED, st.sampled_from(",;\t|"), st.sampled_from([" ", "  "]), st.booleans())
def test_blanks_beside_quotes_change_no_text(tmp_path, texts, mark, blank, before):
    between = f'"{blank}{mark}{blank if before else ""}"'
    lines = [f'"text{between}label"', *(f'"{t.replace(chr(34), chr(34) * 2)}{between}a"' for t in texts)]
    path = written(tmp_path, "padded.csv", "\n".join(lines) + "\n")
    assert rows_of(load_dataset(path, modality="text")) == [(text.encode(), "a") for text in texts]
