import json

import numpy as np
import pytest
from separable import CLASSES, NAMES, picture

from tfautolabel.data import Dataset
from tfautolabel.export import load_exported, rewrite_acceptance
from tfautolabel.trust.acceptance import Acceptance


@pytest.fixture(scope="module")
def pool():
    inputs = [picture(name, number) for number in range(10, 18) for name in CLASSES]
    return Dataset.from_inputs(inputs)


@pytest.mark.parametrize("barred", [[False, False, False], [True, False, True]])
def test_an_export_takes_other_thresholds_and_keeps_its_probabilities(copy, pool, barred):
    before = load_exported(copy).label(pool)
    bound = float(np.median(before.confidence))
    rule = Acceptance(np.array([bound, 0.0, 1.0], np.float32), np.array(barred))
    rewrite_acceptance(copy, rule, {"certificate": None})
    after = load_exported(copy).label(pool)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)
    expected = rule.reasons(after.confidence, after.probabilities.argmax(axis=1))
    assert after.reason.tolist() == expected.tolist()
    described = json.loads((copy / "labeler.json").read_text(encoding="utf-8"))
    assert described["acceptance"] == rule.to_dict()
    assert described["note"] == "ours"


def test_another_number_of_classes_is_refused_and_changes_nothing(copy):
    before = (copy / "labeler.json").read_bytes()
    with pytest.raises(ValueError, match="export it again"):
        rewrite_acceptance(copy, Acceptance.by_confidence(0.5, 7))
    assert (copy / "labeler.json").read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received"):
        rewrite_acceptance(tmp_path, Acceptance.by_confidence(0.5, len(NAMES)))


def test_the_export_gives_the_reasons_and_scores_of_the_labeler(labeler, exported, pool):
    ours, theirs = labeler.label(pool), load_exported(exported).label(pool)
    assert ours.reason.tolist() == theirs.reason.tolist()
    if ours.ood_score is not None:
        np.testing.assert_allclose(ours.ood_score, theirs.ood_score, rtol=1e-4, atol=1e-4)
