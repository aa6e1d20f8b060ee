import csv
from pathlib import Path

import numpy as np
import pytest

from tfautolabel import ABSTAIN, labeling_function, load_dataset, read_rules
from tfautolabel.jobs.rules_check import check_rules
from tfautolabel.rules import apply, search_pattern
from tfautolabel.rules.analysis import RuleAnalysis
from tfautolabel.rules.apply import cast_votes
from tfautolabel.runs.settings import RunSettings

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = RunSettings(input_column="review", label_column="verdict")


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_the_examples_rules_do_what_a_matrix_says(tmp_path, monkeypatch):
    monkeypatch.setattr(apply, "PART_ROWS", 7)
    rules = read_rules(EXAMPLES / "rules.csv")
    assert len(rules) == 21
    found = check_rules(
        EXAMPLES / "rules.csv",
        EXAMPLES / "reviews.csv",
        settings=SETTINGS,
        out=tmp_path / "t.csv",
        progress=False,
    )
    pool = load_dataset(EXAMPLES / "reviews.csv", input_column="review", label_column="verdict")
    votes = cast_votes(rules, pool, progress=False)
    assert str(found.table) == str(RuleAnalysis(votes).summary(pool.class_ids))
    assert max(map(len, str(found.table).splitlines())) <= 80
    assert (found.examples, found.labelled, found.covered) == (40, len(pool.labelled), votes.covered.sum())
    assert [row[7] for row in found.table.rows] == [0] * 21
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["Coverage"]) for row in rows] == [row[3] for row in found.table.rows]
    assert [row["Emp. Acc."] for row in rows] == [
        "" if row[8] != row[8] else str(row[8]) for row in found.table.rows
    ]


def test_rules_of_every_source_and_columns(written, tmp_path):
    lines = [
        f"{'late' if row % 3 else 'fine'} {row},{row % 5},{'bad' if row % 3 else 'good'}" for row in range(60)
    ]
    data = written("data.csv", "text,stars,label\n" + "\n".join(lines) + "\n")
    rules = written(
        "rules.csv", "label,pattern,kind,field\nbad,late\ngood,4,min,stars\ngood,good,field,label\nawful,x\n"
    )
    said = []
    found = check_rules(
        rules, data, settings=RunSettings(input_column="text"), progress=False, say=said.append
    )
    assert found.table.rows[0][6:8] == (40, 0)
    assert found.findings[0] == "rule 'awful: x' is for class 'awful', which none of the labels has"
    assert "rule 'good: label = good' reads the label from column 'label'" in found.findings[1]
    assert found.findings[-1] == "rule 'awful: x' never votes"
    assert any("60 texts" in sentence for sentence in said)
    code = written(
        "own.py",
        "from tfautolabel import labeling_function\n"
        "@labeling_function(on='row')\n"
        "def stars(row):\n    return 'good' if int(row['stars']) > 3 else None\n",
    )
    said = []
    found = check_rules(code, data, progress=False, say=said.append)
    assert said[0] == f"{code}: its code is run"
    assert found.table.rows[0][3] == pytest.approx(12 / 60)


def test_a_rule_that_stops_on_the_way_has_no_votes_at_all(written, monkeypatch):
    monkeypatch.setattr(apply, "PART_ROWS", 5)
    monkeypatch.setattr(search_pattern, "LIMIT_SECONDS", 0.02)
    data = written("data.csv", "text\n" + "\n".join(["aaa"] * 22 + ["a" * 30_000 + "!"] * 4) + "\n")
    rules = written("rules.csv", "label,pattern,kind,rule\nx,(a+)+$,regex,slow\nx,aaa,keyword,fast\n")
    found = check_rules(rules, data, settings=RunSettings(input_column="text"), progress=False)
    assert [row[3] for row in found.table.rows] == [0, pytest.approx(22 / 26)]
    assert [row[4] for row in found.table.rows] == [0, 0]
    assert [sentence.split(":")[0] for sentence in found.findings] == [
        "rule 'slow' is left out",
        "rule 'fast' says 'x' on 85% of all examples",
    ]
    assert found.covered == 22


def test_functions_can_be_given_and_failures_are_said():
    @labeling_function()
    def broken(text):
        return "good" if text[200] else ABSTAIN

    found = check_rules([broken], EXAMPLES / "reviews.csv", settings=SETTINGS, progress=False)
    assert "rule 'broken' failed on 40 examples" in found.findings[0]
    assert np.isnan(found.table.rows[0][8])


def test_places_that_would_be_replaced_are_refused(written, tmp_path):
    data, rules = written("data.csv", "text\na\nb\n"), written("rules.csv", "label,pattern\nx,a\n")
    for place in (data, rules):
        with pytest.raises(ValueError, match="out must be another file than the inputs"):
            check_rules(rules, data, out=place)
    with pytest.raises(ValueError, match=r"out must be a CSV file. Received: the folder"):
        check_rules(rules, data, out=tmp_path)
    with pytest.raises(ValueError, match="field must be one of"):
        check_rules(written("r.csv", "label,pattern,kind,field\nx,1,min,stars\n"), data)
