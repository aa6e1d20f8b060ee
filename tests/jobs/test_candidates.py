import csv

import numpy as np
import pytest

from tfautolabel.jobs.candidates import list_items, read_answers
from tfautolabel.labels import Labels
from tfautolabel.runs.candidates import candidates_writer, read_candidates
from tfautolabel.runs.commit import Staging
from tfautolabel.trust import draw_audit
from tfautolabel.trust.audit_design import AuditDesign

CLASSES = ["cat", "dog"]


@pytest.fixture
def candidates(tmp_path):
    sure = np.linspace(0.5, 0.99, 200)
    probabilities = np.stack([sure, 1 - sure], axis=1)
    with candidates_writer(tmp_path) as write:
        for start in (0, 120):
            part = slice(start, start + (120 if start == 0 else 80))
            names = [f"{row}.png" for row in range(200)][part]
            write(Labels.from_probabilities(names, probabilities[part], CLASSES, 0.8))
    return read_candidates(tmp_path)


def listed(out, candidates, n, seed, *say):
    return list_items(Staging(out, out), candidates, n, AuditDesign.simple(seed), *say)


def fill(file, answers):
    with open(file, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, answer in zip(rows, answers, strict=False):
        row["correct"] = answer
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_what_is_sure_enough_is_a_candidate_with_its_row(candidates):
    assert candidates.rows.tolist() == [int(name[:-4]) for name in candidates.ids]
    assert candidates.scores.min() >= np.float32(0.8)
    assert candidates.rows[-1] == 199


def test_answers_stay_when_the_list_grows(candidates, tmp_path):
    listed(tmp_path, candidates, 5, 0)
    fill(tmp_path / "audit.csv", ["yes", "NO", "dog"])
    assert listed(tmp_path, candidates, 8, 0) == 8
    assert listed(tmp_path, candidates, 3, 0) == 8, "a list does not shrink"
    order, answers = read_answers(tmp_path / "audit.csv", candidates, AuditDesign.simple(0), CLASSES)
    assert order.tolist() == draw_audit(len(candidates.scores), 3, 0).tolist()
    assert answers == ["cat", None, "dog"]


def test_a_list_of_other_items_is_kept_under_another_name(candidates, tmp_path):
    listed(tmp_path, candidates, 5, 0)
    fill(tmp_path / "audit.csv", ["yes"])
    before, said = (tmp_path / "audit.csv").read_bytes(), []
    listed(tmp_path, candidates, 5, 1, said.append)
    assert (tmp_path / "audit-1.csv").read_bytes() == before
    assert "audit-1.csv" in said[0]


@pytest.mark.parametrize(
    ("answers", "message"),
    [(["yes", "", "no"], "an answer in row 3 .*, none in row 2"), (["yes", "perhaps"], "'perhaps' in row 2")],
)
def test_what_cannot_be_an_audit_is_refused_with_its_row(candidates, tmp_path, answers, message):
    listed(tmp_path, candidates, 5, 0)
    fill(tmp_path / "audit.csv", answers)
    with pytest.raises(ValueError, match=message):
        read_answers(tmp_path / "audit.csv", candidates, AuditDesign.simple(0), CLASSES)


def test_items_in_another_order_are_refused(candidates, tmp_path):
    listed(tmp_path, candidates, 5, 0)
    with pytest.raises(ValueError, match="row 1 must be the item that was drawn"):
        read_answers(tmp_path / "audit.csv", candidates, AuditDesign.simple(1), CLASSES)


def test_a_name_of_a_class_is_no_word_for_yes(candidates, tmp_path):
    listed(tmp_path, candidates, 2, 0)
    fill(tmp_path / "audit.csv", ["1"])
    assert read_answers(tmp_path / "audit.csv", candidates, AuditDesign.simple(0), ["cat", "1"])[1] == ["1"]
