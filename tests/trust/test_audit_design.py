import json

import numpy as np
import pytest

from tfautolabel.trust import AuditDesign, design_audit, draw_audit


def confident(m, seed=0):
    """Confidences with a long tail of doubt, as heads give them."""
    rng = np.random.default_rng(seed)
    return (1.0 / (1.0 + np.exp(rng.normal(-5.0, 2.0, m)))).astype(np.float32)


def test_a_longer_list_begins_with_a_shorter_one_and_is_drawn_without_replacement():
    scores = confident(500)
    design = design_audit(scores, target_error=0.05, seed=3)
    order = design.order(scores)
    assert sorted(order) == list(range(500))
    np.testing.assert_array_equal(design.order(scores, 90), order[:90])
    read = AuditDesign.from_dict(json.loads(json.dumps(design.to_dict())))
    np.testing.assert_array_equal(read.order(scores), order)


def test_labels_alike_are_a_simple_random_sample():
    design = design_audit(np.full(300, 0.8), target_error=0.05, seed=5)
    assert design.weights == (1.0,)
    np.testing.assert_array_equal(
        design.order(np.full(300, 0.8))[: design.uniform], draw_audit(300, 300, 5)[: design.uniform]
    )
    np.testing.assert_array_equal(AuditDesign.simple(5).order(np.ones(300)), draw_audit(300, 300, 5))


def test_doubtful_labels_weigh_more_and_none_is_left_out():
    design = design_audit(confident(2000), target_error=0.05)
    weights = np.array(design.weights)
    assert (np.diff(weights) >= 0).all()
    assert 0.5 < weights[0] < 1.0 < weights[-1] < 4.0
    assert 55 <= design.uniform <= 68


def test_the_next_label_is_drawn_in_proportion_to_the_weights():
    scores = np.repeat(np.float32([0.9, 0.5]), [30, 10])
    firsts = [AuditDesign(seed, 2, (0.7,), (1.0, 3.0)).order(scores, 3) for seed in range(4000)]
    doubtful = np.array([(scores[order] < 0.7) for order in firsts])
    assert doubtful[:, 0].mean() == pytest.approx(0.25, abs=0.03)
    left = 10 - doubtful[:, :2].sum(axis=1)
    expected = (3 * left / (3 * left + 38 - left)).mean()
    assert doubtful[:, 2].mean() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_targets_that_are_no_shares_are_refused(target):
    with pytest.raises(ValueError, match="target_error must lie between 0 and 1"):
        design_audit(confident(10), target_error=target)
