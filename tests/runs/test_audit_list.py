import csv

import pytest

from tfautolabel.runs.audit_list import AuditItem, has_answers, read_audit_list, write_audit_list

HEADER = "number,id,label,correct"


def written(tmp_path, text):
    (tmp_path / "audit.csv").write_text(text, encoding="utf-8")
    return tmp_path / "audit.csv"


def test_what_is_written_is_read(tmp_path):
    items = [
        AuditItem("a.png", "cat", "yes"),
        AuditItem('b,"c"\n.png', "dog", " no ", {"note": "blurred", "right_label": ""}),
        AuditItem("c.png", "cat", "", {"note": "", "right_label": "dog"}),
    ]
    write_audit_list(items, tmp_path / "audit.csv")
    found = read_audit_list(tmp_path / "audit.csv")
    assert [item.answer for item in found] == ["yes", "no", "dog"]
    assert found[1].others == items[1].others
    write_audit_list(found, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "audit.csv").read_bytes()


FORMULAS = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''-x")
NAMES = (*FORMULAS, "'quoted'", "a=b", "a\rb", "a\r\nb", "\r", " spaced ", "图片", '"')


def test_names_that_a_spreadsheet_would_compute_are_guarded_and_read_back(tmp_path):
    items = [AuditItem(name, label, label, {"note": name}) for name in NAMES for label in NAMES]
    write_audit_list(items, tmp_path / "audit.csv")
    with open(tmp_path / "audit.csv", encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert len(cells) == 5 * (len(items) + 1)
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    found = read_audit_list(tmp_path / "audit.csv")
    assert [(item.id, item.label, item.others) for item in found] == [
        (item.id, item.label, item.others) for item in items
    ]
    assert [item.answer for item in found] == [item.label.strip() for item in items]
    write_audit_list(found, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "audit.csv").read_bytes()


def test_lists_without_guards_are_read_as_they_are(tmp_path):
    file = written(tmp_path, f"{HEADER}\n1,=a,-1,+1\n2,'b','c',yes\n")
    assert [(item.id, item.label, item.answer) for item in read_audit_list(file)] == [
        ("=a", "-1", "+1"),
        ("'b'", "'c'", "yes"),
    ]


def test_a_note_behind_the_answer_is_no_answer(tmp_path):
    file = written(tmp_path, f"{HEADER},note\n1,a,cat,yes,\n2,b,cat,,hm\n")
    assert [item.answer for item in read_audit_list(file)] == ["yes", ""]


def test_more_cells_than_columns_stay(tmp_path):
    file = written(tmp_path, f"{HEADER},note\n1,a,cat,yes,one,two\n2,b\n")
    first, second = read_audit_list(file)
    assert (first.answer, first.others) == ("yes", {"note": "one", "": "two"})
    assert (second.label, second.answer) == ("", "")
    write_audit_list([first, second], file)
    assert read_audit_list(file)[0].others == first.others


def test_whether_somebody_wrote_something(tmp_path):
    assert not has_answers(tmp_path / "audit.csv")
    assert not has_answers(written(tmp_path, f"{HEADER},note\n1,a,cat, ,hm\n"))
    assert has_answers(written(tmp_path, f"{HEADER}\n1,a,cat,no\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"number,id,label,remark\n1,a,b,yes\n", "has the columns number, id, label, correct"),
        (b"a,b\n1,2\n", "has the columns number, id, label, correct"),
        ("id,label\nкот,x\nпёс,y\n".encode("cp1251"), "must be UTF-8"),
        (b"id,label\n" + b"x" * 200_000 + b",y\n", "is a CSV file"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, content, message):
    (tmp_path / "audit.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_audit_list(tmp_path / "audit.csv")
    with pytest.raises(FileNotFoundError, match="draws one"):
        read_audit_list(tmp_path / "none.csv")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("last", ["", "\r\n", "{0}{0}{0}\r\n", "{0}{0}{0}\r\n\r\n{0}{0}{0}\r\n"])
def test_a_list_as_spreadsheets_save_it(tmp_path, mark, encoding, last):
    rows = [
        ["Number", "ID", "label", "CORRECT"],
        ["1", "é.jpg", "cat", "yes"],
        ["2", '"b; c, d"', "dog", "No"],
    ]
    text = "".join(mark.join(row) + "\r\n" for row in rows) + last.format(mark)
    (tmp_path / "audit.csv").write_bytes(text.encode(encoding))
    assert read_audit_list(tmp_path / "audit.csv") == [
        AuditItem("é.jpg", "cat", "yes"),
        AuditItem("b; c, d", "dog", "No"),
    ]


SORTED = ((2, "b.png", "no"), (10, "j.png", ""), (1, "a.png", "yes"))


@pytest.mark.parametrize("number", [str, "{}.0".format])
def test_rows_that_a_person_sorted_come_in_the_order_of_their_numbers(tmp_path, number):
    rows = [(*row,) for row in SORTED if row[0] < 3]
    text = "\n".join([HEADER, *(f"{number(n)},{name},cat,{answer}" for n, name, answer in rows)])
    assert [item.id for item in read_audit_list(written(tmp_path, text))] == ["a.png", "b.png"]
    # Rows are missing: the numbers are no order, and what was drawn is compared row by row.
    text = "\n".join([HEADER, *(f"{number(n)},{name},cat,{answer}" for n, name, answer in SORTED)])
    assert [item.id for item in read_audit_list(written(tmp_path, text))] == ["b.png", "j.png", "a.png"]


def test_a_list_saved_as_a_workbook_is_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (
        HEADER.split(","),
        (1, "a.png", "cat", True),
        (2, "b.png", "dog", False),
        (3, "c.png", "cat", None),
    ):
        book.active.append(list(row))
    book.save(tmp_path / "audit.xlsx")
    assert [item.answer.lower() for item in read_audit_list(tmp_path / "audit.xlsx")] == ["true", "false", ""]


def test_blanks_behind_quotes_are_no_part_of_a_name(tmp_path):
    (tmp_path / "audit.csv").write_text(
        '"number" ,"id" ,"label" ,"correct"\n"1" ,"a, b.jpg" ,"cat" ,"yes" \n'
    )
    (item,) = read_audit_list(tmp_path / "audit.csv")
    assert (item.id, item.label, item.answer) == ("a, b.jpg", "cat", "yes")
