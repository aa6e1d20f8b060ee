"""`run` with a file of rules, with and without labels, and what comes after it."""

import json
from collections import Counter

import numpy as np
import pytest
from command import tfautolabel
from csv_files import read_rows, write_rows

from tfautolabel.jobs import audit, rule_votes
from tfautolabel.jobs.rule_votes import conflicts, rows_to_learn_from
from tfautolabel.jobs.run import run
from tfautolabel.runs import RunSettings

WORDS = {"good": ("good", "great"), "bad": ("bad", "poor")}
RULES = "label,pattern\ngood,good\ngood,great\nbad,bad\nbad,poor\nbad,the good\ngood,never here\n"


def rows_of(count, labelled=0):
    for number in range(count):
        truth = ("good", "bad")[number % 2]
        words = [WORDS[truth][number // 2 % 2]] * 3 + ["film", "the"] * (number % 4)
        if number % 10 == 0:
            words += ["the", "good"]  # a rule for the other class
        yield {"id": f"r{number:03d}", "text": " ".join(words), "label": truth if number < labelled else ""}


@pytest.fixture(scope="module")
def unlabelled(text_module, tmp_path_factory):
    """A run of rules alone."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.csv").write_text(RULES, "utf-8")
    without = ({"id": row["id"], "text": row["text"]} for row in rows_of(80))
    said = []
    result = run(
        write_rows(folder / "texts.csv", without),
        folder / "out",
        rules=folder / "rules.csv",
        settings=RunSettings(backbone=text_module),
        cache_dir=folder / "cache",
        progress=False,
        say=said.append,
    )
    return folder, result, said


def test_rules_alone_label_everything_and_accept_nothing(unlabelled):
    folder, result, said = unlabelled
    truth = {row["id"]: ("good", "bad")[number % 2] for number, row in enumerate(rows_of(80))}
    found = read_rows(folder / "out" / "predictions.csv")
    assert sum(truth[row["id"]] == row["label"] for row in found) > 70
    assert {row["accepted"] for row in found} == {"false"}
    assert {row["reason"] for row in found} == {"not_earned"}
    assert Counter(row["origin"] for row in found)["rule"] > 60
    assert any("6 rules vote on 80 of 80 examples" in sentence for sentence in said)
    assert result.record["cross_validation"]["examples"] == 0


def test_the_record_and_the_report_show_the_rules(unlabelled):
    folder, result, _ = unlabelled
    entry = result.record["rules"]
    assert entry["rules"][0]["rule"] == "good: good"
    assert (
        entry["by_rules"]
        == Counter(row["origin"] for row in read_rows(folder / "out/predictions.csv"))["rule"]
    )
    assert any("never" in finding for finding in entry["findings"])
    assert {one["id"] for one in entry["conflicts"]} <= {f"r{number:03d}" for number in range(0, 80, 10)}
    assert result.record["inputs"]["rules"] == str(folder / "rules.csv")
    assert len(result.record["inputs"]["rules_sha256"]) == 64
    page = (folder / "out/report.html").read_text("utf-8")
    assert "Where rules disagree" in page
    assert "good: never here" in page
    assert f"--rules {folder / 'rules.csv'}" in page
    assert "no label is a person&#39;s" in page or "no label is a person's" in page


def test_the_list_to_look_at_is_there_and_its_answers_accept_labels(unlabelled):
    folder, result, _ = unlabelled
    assert result.record["audit"]["needed"] is not None
    truth = {row["id"]: ("good", "bad")[number % 2] for number, row in enumerate(rows_of(80))}
    listed = read_rows(folder / "out" / "audit.csv")
    for row in listed:
        row["correct"] = "yes" if truth[row["id"]] == row["label"] else truth[row["id"]]
    write_rows(folder / "audited.csv", listed)
    before = {row["id"]: row["origin"] for row in read_rows(folder / "out/predictions.csv")}
    answered = {row["id"] for row in listed}
    audit(folder / "out", folder / "audited.csv", target_error=0.2)
    after = {row["id"]: row["origin"] for row in read_rows(folder / "out/predictions.csv")}
    assert all(after[name] == "human" for name in answered)
    assert all(after[name] == origin for name, origin in before.items() if name not in answered)
    # Answers that are taken back: each label comes again from where it came from.
    half = len(listed) // 2
    withdrawn = {row["id"] for row in listed[half:]}
    assert {before[name] for name in withdrawn} >= {"rule"}
    write_rows(folder / "audited.csv", [*listed[:half], *(row | {"correct": ""} for row in listed[half:])])
    audit(folder / "out", folder / "audited.csv", target_error=0.2)
    after = {row["id"]: row["origin"] for row in read_rows(folder / "out/predictions.csv")}
    assert {name: after[name] for name in withdrawn} == {name: before[name] for name in withdrawn}


def test_rules_beside_labels_by_the_command(text_module, tmp_path):
    (tmp_path / "rules.csv").write_text(RULES, "utf-8")
    data = write_rows(tmp_path / "texts.csv", rows_of(140, labelled=60))
    rules, out = str(tmp_path / "rules.csv"), str(tmp_path / "out")
    done = tfautolabel("run", str(data), "--rules", rules, "--backbone", text_module, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "rules      6 vote on 80 of 80 (100%) examples" in done.stdout
    record = json.loads((tmp_path / "out/run.json").read_text("utf-8"))
    assert record["cross_validation"]["examples"] == 60
    assert record["rules"]["way"] in record["rules"]["accuracies"]
    assert [rule["Right without"] for rule in record["rules"]["rules"]] == record["rules"]["worth"]["without"]
    assert "with all rules it is" in (tmp_path / "out/report.html").read_text("utf-8")
    assert "never" in done.stdout


def test_a_folder_needs_rules_or_labels_and_rules_bring_their_classes(text_module, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for row in rows_of(24):
        (folder / f"{row['id']}.txt").write_text(row["text"], "utf-8")
    (folder / "rules.csv").write_text(RULES, "utf-8")
    result = run(
        folder,
        tmp_path / "out",
        rules=folder / "rules.csv",
        settings=RunSettings(backbone=text_module, modality="text"),
        cache_dir=tmp_path / "cache",
        progress=False,
    )
    assert result.classes == ("bad", "good")
    assert result.record["counts"]["to_label"] == 24


def test_other_votes_make_another_run_so_that_answers_of_an_audit_do_not_count_for_it(text_module, tmp_path):
    data = write_rows(tmp_path / "texts.csv", ({"id": r["id"], "text": r["text"]} for r in rows_of(30)))
    lines = "label,pattern,kind\ngood,good.txt,list\nbad,bad,\nbad,poor,\n"
    (tmp_path / "rules.csv").write_text(lines, "utf-8")
    found = []
    for terms in ("good\n", "great\n", "good\n"):
        (tmp_path / "good.txt").write_text(terms, "utf-8")
        result = run(
            data,
            tmp_path / "out",
            rules=tmp_path / "rules.csv",
            settings=RunSettings(backbone=text_module),
            cache_dir=tmp_path / "cache",
            progress=False,
        )
        found.append(result.record["id"])
    assert found[0] == found[2] != found[1]


CODE = """from tfautolabel import ABSTAIN, labeling_function
@labeling_function({classes})
def praise(text):
    return "good" if "great" in text or "good" in text else ABSTAIN
@labeling_function({classes})
def blame(text):
    return "bad" if {word!r} in text else ABSTAIN
"""


def test_rules_in_python_code_label_too_and_a_run_depends_on_their_votes(text_module, tmp_path):
    data = write_rows(tmp_path / "texts.csv", ({"id": r["id"], "text": r["text"]} for r in rows_of(30)))
    options = {
        "settings": RunSettings(backbone=text_module),
        "cache_dir": tmp_path / "cache",
        "progress": False,
    }
    code, said, found = tmp_path / "rules.py", [], []
    for word in ("bad", "poor"):
        code.write_text(CODE.format(classes='classes=["good", "bad"]', word=word), "utf-8")
        result = run(data, tmp_path / "out", rules=code, say=said.append, **options)
        found.append(result.record["id"])
    assert f"{code}: its code is run" in said
    assert found[0] != found[1]
    assert [rule["rule"] for rule in result.record["rules"]["rules"]] == ["praise", "blame"]
    code.write_text(CODE.format(classes="", word="bad"), "utf-8")
    with pytest.raises(ValueError, match="each function says what it votes for"):
        run(data, tmp_path / "out", rules=code, **options)
    run(write_rows(tmp_path / "some.csv", rows_of(30, labelled=10)), tmp_path / "out", rules=code, **options)


def test_the_most_divided_votes_come_first():
    votes = np.array([[0, 1, -1, -1], [0, 0, 1, -1], [0, 0, 0, -1], [0, 0, 1, 1], [-1, -1, -1, -1]], np.int8)
    assert conflicts(votes, 10).tolist() == [3, 0, 1]
    assert conflicts(votes, 1).tolist() == [3]
    assert conflicts(np.full((3, 2), -1, np.int8), 5).tolist() == []


def test_rules_for_other_classes_than_the_labels_are_refused_and_new_ones_are_said(text_module, tmp_path):
    data = write_rows(tmp_path / "texts.csv", rows_of(40, labelled=20))
    options = {
        "settings": RunSettings(backbone=text_module),
        "cache_dir": tmp_path / "cache",
        "progress": False,
    }
    (tmp_path / "others.csv").write_text("label,pattern\npositive,good\nnegative,bad\n", "utf-8")
    with pytest.raises(ValueError, match="must be about the same classes"):
        run(data, tmp_path / "out", rules=tmp_path / "others.csv", **options)
    (tmp_path / "more.csv").write_text(RULES + "dull,quite dull\n", "utf-8")
    said = []
    with pytest.raises(ValueError, match="or a vote of a rule"):  # no text holds it, and no label is of it
        run(data, tmp_path / "out", rules=tmp_path / "more.csv", say=said.append, **options)
    assert "classes without a label, which only rules know: dull" in said


def test_a_rule_on_less_than_half_of_all_examples_counts_though_few_others_have_a_vote(text_module, tmp_path):
    # Only examples with a vote teach the head. Nine of ten of these are the first rule's.
    (tmp_path / "rules.csv").write_text("label,pattern\ngood,good\nbad,bad\n", "utf-8")
    words = ["good"] * 36 + ["great"] * 4 + ["bad"] * 4 + ["poor"] * 36
    texts = ({"id": f"r{number:02d}", "text": f"{word} " * 3} for number, word in enumerate(words))
    result = run(
        write_rows(tmp_path / "texts.csv", texts),
        tmp_path / "out",
        rules=tmp_path / "rules.csv",
        settings=RunSettings(backbone=text_module),
        cache_dir=tmp_path / "cache",
        progress=False,
    )
    assert result.record["rules"]["covered"] == 40
    assert result.record["rules"]["left_out"] == {}
    found = {row["id"]: row["label"] for row in read_rows(tmp_path / "out/predictions.csv")}
    assert {found[f"r{number:02d}"] for number in range(36)} == {"good"}
    assert {found[f"r{number:02d}"] for number in range(40, 44)} == {"bad"}


def test_answers_of_a_person_come_beside_the_rules_and_not_instead_of_them(text_module, tmp_path):
    import tfautolabel as tal

    (tmp_path / "rules.csv").write_text(RULES, "utf-8")
    data = write_rows(tmp_path / "texts.csv", ({"id": r["id"], "text": r["text"]} for r in rows_of(30)))
    options = {"cache_dir": tmp_path / "cache", "progress": False}
    run(
        data,
        tmp_path / "out",
        rules=tmp_path / "rules.csv",
        settings=RunSettings(backbone=text_module),
        **options,
    )
    for _ in range(2):  # the second time, the session goes on
        review = tal.open_review(None, tmp_path / "out", **options)
        review.answer("me", review.next(), "good")
        review.answers.close()
    review = tal.open_review(None, tmp_path / "out", **options)
    result = tal.finish_review(review, **options)
    review.answers.close()
    assert result.record["inputs"]["rules"] == str(tmp_path / "rules.csv")
    assert result.record["counts"]["labelled"] == 2
    assert result.record["rules"]["covered"] == 28


def test_as_many_examples_without_a_vote_teach_as_examples_with_one(monkeypatch):
    covered = np.arange(100) % 4 == 0
    rows = rows_to_learn_from(covered, seed=1)
    assert (covered[rows].sum(), len(rows)) == (25, 50)
    assert rows.tolist() == sorted(set(rows.tolist())) == rows_to_learn_from(covered, seed=1).tolist()
    monkeypatch.setattr(rule_votes, "LEARNT", 10)
    assert covered[rows_to_learn_from(covered, seed=1)].sum() == 10
    assert rows_to_learn_from(np.zeros(5, bool), seed=0).tolist() == []
    assert len(rows_to_learn_from(np.ones(5, bool), seed=0)) == 5
