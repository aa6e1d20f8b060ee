import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hub_modules import make_image_module
from report_runs import as_before_the_renaming
from separable import write_flat

import tfautolabel as tal
from tfautolabel.jobs import certify_run, draw_audit_list, run
from tfautolabel.labels import FOUND_WRONG
from tfautolabel.runs import RunSettings
from tfautolabel.runs.identity import check_whole


def rows(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def fill(out, answer):
    """Answers row by row; `answer` is given the number of the row, from 0, and the row."""
    listed = rows(out / "audit.csv")
    for number, row in enumerate(listed):
        row["correct"] = answer(number, row)
    with open(out / "audit.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, listed[0])
        writer.writeheader()
        writer.writerows(listed)


def yes(number, row):
    return "yes"


def record(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def assert_consistent(out):
    """The tables, run.json, labeler.json and the graph follow one rule; returns it."""
    made, labels = record(out), rows(out / "predictions.csv")
    described = json.loads((out / "model" / "1" / "labeler.json").read_text(encoding="utf-8"))
    rule = made["audit"]["acceptance"]
    assert described["acceptance"] == rule
    assert described["certificate"] == made["certificate"]
    bounds = np.where(rule["barred"], np.inf, np.array(rule["thresholds"], np.float32))
    reader = tf.train.load_checkpoint(str(out / "model" / "1" / "variables" / "variables"))
    stored = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "threshold" in name]
    np.testing.assert_array_equal(stored, [bounds.astype(np.float32)])
    table = pq.read_table(out / "predictions.parquet").to_pylist()
    seen = ("id", "label", "reason", "origin")
    assert [[row[name] for name in seen] for row in table] == [[row[name] for name in seen] for row in labels]
    assert [row["accepted"] for row in table] == [row["reason"] == "" for row in table]
    assert made["counts"]["accepted"] == sum(row["accepted"] for row in table)
    by_class = {name: count["accepted"] for name, count in made["counts"]["classes"].items()}
    assert by_class == {
        name: sum(row["accepted"] for row in table if row["label"] == name) for name in by_class
    }
    return rule


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run on 150 pictures, 12 of each class labelled, that asks for 10 %."""
    folder = tmp_path_factory.mktemp("audit")
    truth = write_flat(folder / "photos", 50)
    with open(folder / "labels.csv", "w", encoding="utf-8") as file:
        file.write("path,label\n" + "".join(f"{name},{truth[name]}\n" for name in list(truth)[:36]))
    run(
        folder / "photos",
        folder / "out",
        labels=folder / "labels.csv",
        settings=RunSettings(
            backbone=str(make_image_module(folder / "module")), target_error=0.1, min_confidence=0.0
        ),
        cache_dir=folder / "cache",
        progress=False,
    )
    return folder / "out"


@pytest.fixture
def out(done, tmp_path):
    import shutil

    return shutil.copytree(done, tmp_path / "out")


def test_right_answers_certify_and_all_files_agree(out):
    fill(out, yes)
    result = certify_run(out)
    assert (result.state, result.needed.more, result.wrong) == ("certified", 0, 0)
    rule = assert_consistent(out)
    assert not any(rule["barred"])
    assert record(out)["certificate"]["kind"] == "certified"
    assert record(out)["certificate"]["pool_accepted"] == record(out)["counts"]["accepted"]


def test_a_folder_with_the_earlier_names_is_audited_and_its_model_labels(out, tmp_path):
    as_before_the_renaming(out)
    fill(out, yes)
    assert certify_run(out).state == "certified"
    assert_consistent(out)
    assert record(out)["counts"]["unreadable"] == 0
    check_whole(out, record(out))
    (tmp_path / "more").mkdir()
    write_flat(tmp_path / "more" / "photos", 2)
    assert tal.label(out / "model", tmp_path / "more" / "photos", tmp_path / "more.csv").total == 6


def test_what_was_looked_at_becomes_a_persons_label(out):
    listed = rows(out / "audit.csv")
    other = next(name for name in ("blue", "green", "red") if name != listed[1]["label"])
    fill(out, lambda number, row: {0: "no", 1: other, 2: "yes"}.get(number, ""))
    result = certify_run(out)
    assert (result.answered, result.wrong) == (3, 2)
    labels = {row["id"]: row for row in rows(out / "predictions.csv")}
    first, second, third = (labels[row["id"]] for row in listed[:3])
    assert (first["origin"], first["reason"], first["accepted"]) == ("human", FOUND_WRONG, "false")
    assert (second["label"], second["accepted"], second["confidence"]) == (other, "true", "1.000000")
    assert (third["origin"], third["accepted"]) == ("human", "true")
    assert sum(row["origin"] == "human" for row in labels.values()) == 3
    assert_consistent(out)


def test_one_wrong_answer_early_decides_nothing(out):
    before = record(out)["acceptance"]
    fill(out, lambda number, row: "no" if number == 0 else "yes" if number < 6 else "")
    result = certify_run(out)
    assert result.state == "undecided"
    needed = result.needed
    assert 10 < needed.more < needed.to_list <= needed.pool_size
    assert needed.to_dict() == record(out)["audit"]["needed"]
    assert draw_audit_list(out) == (out / "audit.csv", needed.to_list, needed), "one figure everywhere"
    fill(out, lambda number, row: "no" if number == 0 else "yes" if number < needed.if_right else "")
    assert certify_run(out).state == "certified", "as many as it said, all of them right"
    fill(out, lambda number, row: "no" if number == 0 else "yes" if number < needed.if_right - 1 else "")
    result = certify_run(out)
    assert (result.state, result.needed.more) == ("undecided", 1)
    assert assert_consistent(out) == before


def test_labels_that_are_known_to_be_worse_than_the_target_are_barred_until_answers_change(out):
    before = record(out)
    fill(out, lambda number, row: "no" if number < 8 else "")
    result = certify_run(out)
    assert result.state == "refuted"
    assert all(assert_consistent(out)["barred"])
    assert record(out)["counts"]["accepted"] == 0
    fill(out, lambda number, row: "yes" if number < 2 else "")
    assert certify_run(out).state == "undecided"
    assert assert_consistent(out) == before["acceptance"]
    assert record(out)["certificate"] == before["certificate"]


def test_a_stricter_target_that_is_not_reached_leaves_what_was_certified(out):
    fill(out, yes)
    certify_run(out)
    before, labels = record(out), (out / "predictions.csv").read_bytes()
    result = certify_run(out, target_error=0.001, confidence=0.999)
    assert result.state in ("undecided", "refuted")
    assert result.standing.target_error == 0.1
    assert assert_consistent(out) == before["audit"]["acceptance"]
    assert record(out)["certificate"] == before["certificate"]
    assert (out / "predictions.csv").read_bytes() == labels


def test_answers_out_of_order_are_refused_and_nothing_changes(out):
    fill(out, lambda number, row: "" if number == 1 else "yes")
    before = [(out / name).read_bytes() for name in ("predictions.csv", "run.json")]
    with pytest.raises(ValueError, match=r"answer in row 3 .* none in row 2"):
        certify_run(out)
    assert [(out / name).read_bytes() for name in ("predictions.csv", "run.json")] == before


def test_a_longer_list_keeps_answers_and_another_seed_is_refused(out):
    listed = len(rows(out / "audit.csv"))
    fill(out, lambda number, row: "yes" if number < 2 else "")
    assert draw_audit_list(out, n=listed + 5)[1] == listed + 5
    assert [row["correct"] for row in rows(out / "audit.csv")][:3] == ["yes", "yes", ""]
    with pytest.raises(ValueError, match=r"stays 0 once answers are given.*seed=1"):
        draw_audit_list(out, seed=1)
    fill(out, lambda number, row: "")
    draw_audit_list(out, seed=1)
    assert record(out)["audit"]["seed"] == 1


@pytest.mark.parametrize("levels", [{"target_error": 0}, {"confidence": 0}, {"target_error": 1}])
def test_levels_that_are_no_shares_are_refused(out, levels):
    for job in (draw_audit_list, certify_run):
        with pytest.raises(ValueError, match="between 0 and 1, both excluded"):
            job(out, **levels)


def test_an_empty_list_is_refused(out):
    with pytest.raises(ValueError, match="n=0"):
        draw_audit_list(out, n=0)


def test_one_call_after_the_other_lists_what_to_look_at_and_certifies_by_the_answers(out):
    (out / "audit.csv").unlink()
    assert tal.audit(out, n=5) is None
    assert len(rows(out / "audit.csv")) == 5
    assert tal.audit(out, target_error=0.2) is None
    fill(out, yes)
    found = tal.audit(out, target_error=0.2)
    assert (found.state, found.wrong) == ("certified", 0)
    assert found.certificate.pool_accepted == record(out)["counts"]["accepted"]
    assert_consistent(out)
