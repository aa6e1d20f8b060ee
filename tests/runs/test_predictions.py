import numpy as np
import pytest

from tfautolabel.labels import UNLIKE, Labels
from tfautolabel.report.galleries import class_galleries, conflict_gallery, unlike_gallery
from tfautolabel.runs import predictions
from tfautolabel.runs.predictions import predictions_writers, read_predictions, read_shown

CLASSES = ("a", "b", "c")


def write(out, rows, seed):
    """A table of labels, of which many have equal confidences and scores."""
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.dirichlet([0.4, 0.3, 0.1], rows), 2).astype(np.float32)
    scores = np.round(rng.random(rows), 1).astype(np.float32)
    reason = np.where(rng.random(rows) < 0.4, UNLIKE, "").astype(object)
    names = [f"n{row}" for row in range(rows)]
    with predictions_writers(out) as writers:
        for start in range(0, rows, 70):
            part = slice(start, start + 70)
            labels = Labels.from_probabilities(
                names[part], probabilities[part], CLASSES, reason=reason[part], ood_score=scores[part]
            )
            for writer in writers:
                writer.write(labels)
    return out / "predictions.parquet"


@pytest.mark.parametrize("rows", [0, 49, 50, 51, 333])
def test_a_report_shows_the_same_of_what_is_kept_of_a_long_table(tmp_path, monkeypatch, rows):
    file = write(tmp_path, rows, rows)
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", 50)
    monkeypatch.setattr(predictions, "SHOWN_MOST", 24)
    conflicts = [{"id": f"n{row}", "votes": {"a": 1, "b": 2}} for row in (3, 200, 10**6, 47)]
    whole, shown = (
        read_predictions(file, CLASSES),
        read_shown(file, CLASSES, [one["id"] for one in conflicts]),
    )
    assert (len(shown) < len(whole)) == (rows > 300)
    assert shown.counts.tolist() == np.bincount(whole.class_ids, minlength=3).tolist()
    for gallery in (class_galleries, unlike_gallery):
        assert gallery(shown, CLASSES) == gallery(whole, CLASSES)
    assert conflict_gallery(conflicts, shown, CLASSES) == conflict_gallery(conflicts, whole, CLASSES)


def test_a_label_of_no_class_is_refused(tmp_path):
    file = write(tmp_path, 80, 0)
    for read in (read_predictions, lambda file, classes: read_shown(file, classes, [])):
        with pytest.raises(KeyError, match="c"):
            read(file, CLASSES[:2])
