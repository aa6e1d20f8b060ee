import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfautolabel.data.shares import SAMPLINGS, believed_shares, share_weights

COUNTS = st.lists(st.integers(1, 1000), min_size=2, max_size=12)


@given(COUNTS, st.sampled_from(sorted(SAMPLINGS)))
def test_believed_shares_lie_between_equal_ones_and_those_of_the_labels(counts, sampling):
    counts = np.array(counts)
    shares, own, equal = believed_shares(counts, sampling), counts / counts.sum(), 1 / len(counts)
    assert shares.sum() == pytest.approx(1)
    assert (shares >= np.minimum(own, equal) - 1e-12).all()
    assert (shares <= np.maximum(own, equal) + 1e-12).all()
    assert (np.argsort(shares[np.argsort(counts, kind="stable")], kind="stable") == range(len(counts))).all()


@given(COUNTS)
def test_a_random_sample_is_believed_the_most_and_a_chosen_one_not_at_all(counts):
    spread = {name: np.ptp(believed_shares(np.array(counts), name)) for name in SAMPLINGS}
    assert spread["random"] >= spread["unknown"] >= spread["chosen"] == 0


@given(COUNTS, st.sampled_from(sorted(SAMPLINGS)))
def test_weights_give_each_class_its_believed_share(counts, sampling):
    class_ids = np.repeat(np.arange(len(counts)), counts)
    weights = share_weights(class_ids, len(counts), sampling)
    if len(set(counts)) == 1:
        assert weights is None
        return
    totals = np.array([weights[number] * count for number, count in enumerate(counts)])
    assert totals.sum() == pytest.approx(sum(counts))
    np.testing.assert_allclose(totals / totals.sum(), believed_shares(np.array(counts), sampling))


def test_a_class_without_examples_has_no_share():
    weights = share_weights(np.array([0, 0, 0, 2]), 4, "chosen")
    assert weights == {0: pytest.approx(2 / 3), 1: 1.0, 2: 2.0, 3: 1.0}


def test_another_word_is_refused():
    with pytest.raises(ValueError, match=r"one of unknown, random, chosen\. Received: sampling='drawn'"):
        share_weights(np.array([0, 1]), 2, "drawn")
