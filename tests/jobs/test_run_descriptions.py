"""`run` with descriptions of the classes, without and with labels, and what comes after it."""

import json
from collections import Counter

import pytest
from command import tfautolabel
from csv_files import read_rows, write_rows

from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.jobs import audit
from tfautolabel.jobs.refit import refit
from tfautolabel.jobs.run import run
from tfautolabel.runs import RunSettings

WORDS = {"good": ("good", "great"), "bad": ("bad", "poor")}
TEXTS = "good: [good great, great great]\nbad: bad poor\n"


def rows_of(count, labelled=0):
    for number in range(count):
        truth = ("good", "bad")[number % 2]
        words = [WORDS[truth][number // 2 >> bit & 1] for bit in range(6)]
        yield {"id": f"r{number:03d}", "text": " ".join(words), "label": truth if number < labelled else ""}


def truth_of(name):
    return ("good", "bad")[int(name[1:]) % 2]


@pytest.fixture(scope="module")
def unlabelled(text_module, tmp_path_factory):
    """A run of descriptions alone."""
    folder = tmp_path_factory.mktemp("described")
    (folder / "classes.yaml").write_text(TEXTS, "utf-8")
    data = write_rows(folder / "texts.csv", ({"id": row["id"], "text": row["text"]} for row in rows_of(80)))
    options = ["--describe", str(folder / "classes.yaml"), "--backbone", text_module]
    done = tfautolabel("run", str(data), *options, "--out", str(folder / "out"))
    assert done.returncode == 0, done.stderr
    return folder, done, json.loads((folder / "out/run.json").read_text("utf-8"))


def test_everything_is_labelled_and_nothing_accepted(unlabelled):
    folder, done, record = unlabelled
    found = read_rows(folder / "out/predictions.csv")
    assert sum(truth_of(row["id"]) == row["label"] for row in found) > 72
    assert {row["accepted"] for row in found} == {"false"}
    assert {row["origin"] for row in found} == {"description"}
    assert "described  there are no labels, so the head follows the descriptions" in done.stdout
    assert "nothing is accepted" in done.stdout
    assert "look at the" in done.stdout
    assert record["audit"]["listed"]


def test_the_record_and_the_report_keep_the_descriptions(unlabelled):
    folder, _, record = unlabelled
    told = record["inputs"]["descriptions"]
    assert told["texts"] == {"good": ["good great", "great great"], "bad": ["bad poor"]}
    assert record["descriptions"]["shares"] == {"descriptions": 1.0}
    page = (folder / "out/report.html").read_text("utf-8")
    assert f"--describe {folder / 'classes.yaml'}" in page
    assert "good great · great great" in page
    assert "Descriptions of 2 classes taught a model to label 80 others" in page
    described = json.loads((folder / "out/model/1/labeler.json").read_text("utf-8"))
    assert described["descriptions"] == record["descriptions"]


def test_the_id_of_a_run_changes_with_its_descriptions_only(unlabelled, text_module, tmp_path):
    folder, _, record = unlabelled
    ids = set()
    others = {"bad": "bad poor", "good": ["good great", "great great"]}, {"bad": "bad", "good": "good"}
    for number, texts in enumerate(others):
        result = run(
            folder / "texts.csv",
            tmp_path / str(number),
            descriptions=ClassDescriptions.of(texts),
            settings=RunSettings(backbone=text_module),
            cache_dir=tmp_path / "cache",
            progress=False,
        )
        ids.add(result.record["id"])
    assert record["id"] in ids
    assert len(ids) == 2


def test_an_audit_accepts_labels(unlabelled):
    folder, _, _ = unlabelled
    listed = read_rows(folder / "out" / "audit.csv")
    for row in listed:
        row["correct"] = "yes" if truth_of(row["id"]) == row["label"] else truth_of(row["id"])
    write_rows(folder / "audited.csv", listed)
    audit(folder / "out", folder / "audited.csv", target_error=0.2)
    after = read_rows(folder / "out/predictions.csv")
    assert Counter(row["accepted"] for row in after)["true"] >= len(listed)
    assert {row["origin"] for row in after} == {"human", "description"}


def test_answers_are_learnt_beside_the_descriptions_of_the_record(text_module, tmp_path):
    data = write_rows(tmp_path / "texts.csv", ({"id": row["id"], "text": row["text"]} for row in rows_of(60)))
    options = {"cache_dir": tmp_path / "cache", "progress": False}
    described = ClassDescriptions.of_names(["good", "bad"])
    settings = RunSettings(backbone=text_module)
    run(data, tmp_path / "out", descriptions=described, settings=settings, **options)
    write_rows(
        tmp_path / "answers.csv", ({"id": f"r{i:03d}", "label": truth_of(f"r{i:03d}")} for i in range(16))
    )
    result = refit(tmp_path / "out", tmp_path / "answers.csv", **options)
    assert result.record["inputs"]["descriptions"]["names_only"]
    assert result.record["descriptions"]["worth"]["with"] > 0.7
    assert {row["origin"] for row in read_rows(tmp_path / "out/predictions.csv")} <= {"model", "human_copy"}
    assert "--classes good,bad" in (tmp_path / "out/report.html").read_text("utf-8")


def test_mistakes_end_in_one_sentence(text_module, tmp_path):
    data = str(write_rows(tmp_path / "texts.csv", rows_of(40, labelled=20)))
    (tmp_path / "other.yaml").write_text("good: great\nother: film\n", "utf-8")
    out = ["--backbone", text_module, "--out", str(tmp_path / "out")]
    done = tfautolabel("run", data, "--describe", str(tmp_path / "other.yaml"), *out)
    assert done.returncode == 2
    assert "every class needs a description. Received: labels of bad" in done.stderr
    done = tfautolabel("run", data, "--describe", str(tmp_path / "other.yaml"), "--classes", "good,bad", *out)
    assert done.returncode == 2
    assert "Received: none for bad" in done.stderr


def test_a_query_asks_by_the_descriptions(unlabelled, text_module, tmp_path):
    folder, _, _ = unlabelled
    asked = tfautolabel("query", str(folder / "out"), "-n", "10", "--out", str(tmp_path / "ask.csv"))
    assert asked.returncode == 0, asked.stderr
    reasons = {row["reason"] for row in read_rows(tmp_path / "ask.csv")}
    assert not any("knows nothing" in reason for reason in reasons)
    assert f"--describe {folder / 'classes.yaml'}" in asked.stdout
    data, out = str(folder / "texts.csv"), str(tmp_path / "new.csv")
    words = ["--backbone", text_module, "--classes", "bad,good", "-n", "10"]
    asked = tfautolabel("query", data, *words, "--out", out)
    assert asked.returncode == 0, asked.stderr
    assert "(so far: bad, good)" in asked.stdout
    assert "--classes bad,good" in asked.stdout


def test_descriptions_are_one_more_rule_beside_rules(text_module, tmp_path):
    data = write_rows(tmp_path / "texts.csv", rows_of(80, labelled=20))
    (tmp_path / "rules.csv").write_text("label,pattern\ngood,great\nbad,poor\n", "utf-8")
    result = run(
        data,
        tmp_path / "out",
        rules=tmp_path / "rules.csv",
        descriptions=ClassDescriptions.of({"good": ["good great"], "bad": ["bad poor"]}),
        settings=RunSettings(backbone=text_module),
        cache_dir=tmp_path / "cache",
        progress=False,
    )
    rules = result.record["rules"]["rules"]
    assert [one["rule"] for one in rules] == ["good: great", "bad: poor", "descriptions"]
    assert rules[2]["Coverage"] == 1.0
    assert result.record["descriptions"] is None
