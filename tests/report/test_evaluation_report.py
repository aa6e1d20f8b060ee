import numpy as np
import pytest

from tfautolabel.data import Dataset
from tfautolabel.labels import Labels
from tfautolabel.measures import evaluate_predictions, evaluate_probabilities
from tfautolabel.report import write_evaluation_report

CLASSES = ("<b>bold</b>", "dog")


@pytest.fixture
def evaluated():
    rng = np.random.default_rng(0)
    class_ids = np.arange(60) % 2
    probabilities = np.where(np.eye(2)[class_ids] > 0, 0.8, 0.2)
    probabilities[7] = [0.99, 0.01]
    probabilities[11] = [0.6, 0.4]
    probabilities += rng.uniform(0, 1e-3, probabilities.shape)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    ids = [f"<i>{row}</i>" for row in range(60)]
    return class_ids, Labels.from_probabilities(ids, probabilities, CLASSES)


def test_everything_is_shown(tmp_path, evaluated):
    class_ids, labels = evaluated
    texts = Dataset.from_inputs([f"text {row}" for row in range(60)], ids=labels.ids.tolist())
    page = write_evaluation_report(
        tmp_path / "evaluation.html",
        evaluate_predictions(class_ids, labels.probabilities.argmax(axis=1), CLASSES),
        evaluate_probabilities(class_ids, labels.probabilities, resamples=50),
        labels=labels,
        class_ids=class_ids,
        dataset=texts,
        model="out/model",
        min_confidence=0.7,
    ).read_text(encoding="utf-8")
    assert "<title>Evaluation of out/model</title>" in page
    assert "96.7\u00a0% of the labels are right" in page
    assert page.index("text 7<") < page.index("text 11<")
    assert "true: dog" in page
    assert "98.3\u00a0% are accepted and 1.7\u00a0% of these are wrong" in page
    assert page.count('role="img"') == 2
    assert "log loss" in page
    assert "<b>bold" not in page
    assert "<i>7" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_counts_alone_are_enough(tmp_path, evaluated):
    class_ids, labels = evaluated
    evaluation = evaluate_predictions(class_ids, labels.probabilities.argmax(axis=1), CLASSES)
    page = write_evaluation_report(tmp_path / "new" / "evaluation.html", evaluation).read_text("utf-8")
    assert "Worst mistakes" not in page
    assert "<svg" not in page
    assert 'class="matrix"' in page


def test_the_truth_is_needed_for_each_label(tmp_path, evaluated):
    class_ids, labels = evaluated
    evaluation = evaluate_predictions(class_ids, labels.probabilities.argmax(axis=1), CLASSES)
    with pytest.raises(ValueError, match=r"the truth is needed for each of 60 labels\. Received: 3"):
        write_evaluation_report(tmp_path / "page.html", evaluation, labels=labels, class_ids=class_ids[:3])
