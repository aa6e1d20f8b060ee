"""`run --rules-in-model`: the exported model gives the votes that the run counted."""

import csv
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from command import tfautolabel
from hub_modules import make_text_module

from tfautolabel import Dataset, RunSettings, check_saved_model, load_exported, read_rules
from tfautolabel.export import CheckFailure, rule_graph
from tfautolabel.jobs import run
from tfautolabel.rules import cast_votes
from tfautolabel.serving.servable import load_servable

RULES = r"""label,pattern,kind,field,rule
good,good|great,,,
bad,bad,,,
bad,\bpoor\b,regex,,poor
bad,(?<=the )poor,regex,,behind
bad,poor.txt,list,,listed
good,3,min,length,long
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in_model")
    (folder / "rules.csv").write_text(RULES, "utf-8")
    (folder / "poor.txt").write_text("the poor\nso bad\n", "utf-8")
    with (folder / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for number in range(40):
            words = ("good", "bad", "GREAT", "the  Poor")[number % 4]
            writer.writerow([f"r{number:02d}", f"{words} film " + "the " * (number % 3)])
    settings = RunSettings(backbone=str(make_text_module(folder / "module")), rules_in_model=True)
    said = []
    result = run(
        folder / "texts.csv",
        folder / "out",
        rules=folder / "rules.csv",
        settings=settings,
        cache_dir=folder / "cache",
        progress=False,
        say=said.append,
    )
    return folder, result, said


def test_the_model_votes_as_the_rules_do(done):
    folder, result, _ = done
    texts = ["A GOOD one", "so\nbad", "the poor", "poorly", "xgood", "", "Bad, great"]
    kept = [rule for rule in read_rules(folder / "rules.csv") if rule.name not in ("behind", "long")]
    expected = cast_votes(kept, Dataset.from_inputs(texts, modality="text"), result.classes, progress=False)
    model = load_exported(result.model)
    assert [name.decode() for name in model.module.rule_names().numpy()] == [rule.name for rule in kept]
    found = model.module.signatures["serving_default"](examples=tf.constant(texts))
    assert found["votes"].dtype == tf.int64
    np.testing.assert_array_equal(found["votes"], expected.matrix)
    assert np.unique(expected.matrix).tolist() == [-1, 0, 1]


def test_it_is_said_which_rules_are_not_in_it_and_why(done):
    _, result, said = done
    entry = result.record["rules"]["model"]
    assert [one["rule"] for one in entry["in_model"]] == [
        "good: good|great", "bad: bad", "poor", "listed",
    ]  # fmt: skip
    assert entry["left_out"] == {
        "behind": "it looks ahead or behind",
        "long": "its kind is 'min': a graph looks at texts only",
    }
    assert entry["compared"] == 40
    assert entry["awkward"] > 400
    assert "rule 'behind' is not in the model: it looks ahead or behind" in said
    assert any(sentence.startswith("4 of 6 rules are in the model") for sentence in said)
    described = json.loads((result.model / "labeler.json").read_text("utf-8"))
    assert described["rules"] == entry
    assert "--rules-in-model" in (result.out / "report.html").read_text("utf-8")


def test_with_labels_enough_the_pool_and_the_model_follow_the_votes_alike(tmp_path):
    (tmp_path / "rules.csv").write_text("label,pattern\ngood,superb\nbad,dreadful\n", "utf-8")
    rng = np.random.default_rng(0)
    with (tmp_path / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label"])
        for number in range(200):
            truth = number % 2
            known = ("bad", "good")[truth if rng.random() < 0.8 else 1 - truth]
            word = ("dreadful", "superb")[truth] if rng.random() < 0.6 else ""
            label = ("bad", "good")[truth] if number < 80 else ""
            writer.writerow([f"r{number:03d}", f"the film {known} {word} {number}", label])
    settings = RunSettings(backbone=str(make_text_module(tmp_path / "module")), rules_in_model=True)
    said = []
    result = run(
        tmp_path / "texts.csv", tmp_path / "out", rules=tmp_path / "rules.csv", settings=settings,
        cache_dir=tmp_path / "cache", progress=False, say=said.append,
    )  # fmt: skip
    votes = result.record["rules"]["votes"]
    assert votes["count"]
    assert votes["why"] in said
    assert votes["why"][1:] in (result.out / "report.html").read_text("utf-8")
    assert result.record["cross_validation"]["accuracy"] == pytest.approx(
        votes["accuracies"]["with"], abs=1e-4
    )
    with (tmp_path / "texts.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["label"]]
    again = load_exported(result.model).label(
        Dataset.from_inputs([row["text"] for row in rows], modality="text"), progress=False
    )
    with (result.out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["id"] for row in written] == [row["id"] for row in rows]
    np.testing.assert_allclose([float(row["confidence"]) for row in written], again.confidence, atol=1e-4)
    assert [row["label"] for row in written] == list(again.predicted)
    assert [row["accepted"] for row in written] == [str(one).lower() for one in again.accepted.tolist()]


def test_a_server_gives_the_votes_beside_the_labels(done):
    _, result, _ = done
    signature = load_servable("films", 1, result.model).signature("serving_default")
    assert signature.has_rows
    outputs = signature.call({"examples": np.array([b"good", b"nothing"], object)})
    assert outputs["votes"].tolist() == [[1, -1, -1, -1], [-1] * 4]


def test_a_model_with_other_votes_than_the_recorded_ones_fails_its_check(done, tmp_path):
    _, result, _ = done
    copy = tmp_path / "model" / "1"
    shutil.copytree(result.model, copy)
    described = json.loads((copy / "labeler.json").read_text("utf-8"))
    recorded = [example["votes"] for example in described["examples"]]
    assert [1, -1, -1, -1] in recorded
    described["examples"][0]["votes"][1] = 0
    (copy / "labeler.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(CheckFailure, match="votes of its rules"):
        check_saved_model(copy)


def test_a_rule_that_votes_otherwise_in_a_graph_is_left_out(done, monkeypatch):
    folder, _, _ = done
    from tfautolabel.export import rules_in_graph as module

    right = module.rule_in_re2

    def wrong(rule):
        found = right(rule)
        return found._replace(patterns=("good",)) if rule.name == "good: good|great" else found

    monkeypatch.setattr(module, "rule_in_re2", wrong)
    texts = Dataset.from_inputs(["a GREAT film", "bad"], modality="text")
    graph = rule_graph(folder / "rules.csv", ["bad", "good"], [texts])
    assert "good: good|great" not in graph.names
    assert "votes otherwise on" in graph.left_out["good: good|great"]
    assert "'a GREAT film'" in graph.left_out["good: good|great"]
    assert graph.without(dict.fromkeys(graph.names, "gone")) is None
    some = graph.without({"poor": "too slow"})
    assert (some.left_out["poor"], "poor" in some.names, len(some.class_ids)) == ("too slow", False, 2)


def test_searches_that_take_too_long_in_the_comparison_do_not_stop_the_rule_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tfautolabel.rules.search_pattern.LIMIT_SECONDS", 0.05)
    (tmp_path / "rules.csv").write_text("label,pattern,kind\ngood,(a|aa)+$,regex\nbad,bad,\n", "utf-8")
    rules = read_rules(tmp_path / "rules.csv")
    texts = Dataset.from_inputs(["a" * 40, "bad"], modality="text")
    graph = rule_graph(rules, ["bad", "good"], [texts])
    assert graph.names == ("bad: bad",)
    assert "took more than" in graph.left_out["good: (a|aa)+$"]
    votes = cast_votes(rules, texts, ["bad", "good"], progress=False)
    assert votes.matrix.tolist() == [[1, -1], [-1, 0]]
    assert votes.stopped == []


def test_rules_of_which_none_can_go_in_and_pictures_are_refused(tmp_path):
    (tmp_path / "rules.csv").write_text("label,pattern,kind\ngood,(?<=a)b,regex\nbad,a(?!b),regex\n", "utf-8")
    texts = Dataset.from_inputs(["ab"], modality="text")
    with pytest.raises(ValueError, match="at least one rule must be one that a model can hold"):
        rule_graph(tmp_path / "rules.csv", ["bad", "good"], [texts])
    pictures = Dataset.from_inputs([b"x"], modality="image")
    with pytest.raises(ValueError, match="models of texts only"):
        rule_graph(tmp_path / "rules.csv", ["bad", "good"], [pictures])


def test_the_option_needs_rules(tmp_path):
    (tmp_path / "texts.csv").write_text("text,label\na,x\nb,y\nc,\n", "utf-8")
    found = tfautolabel(
        "run", str(tmp_path / "texts.csv"), "--rules-in-model", "--out", str(tmp_path / "out")
    )
    assert found.returncode == 2
    assert "--rules-in-model puts the rules of --rules into the model" in found.stderr
