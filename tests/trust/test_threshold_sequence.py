import numpy as np
import pytest
from scipy.stats import binom

from tfautolabel.trust.threshold_sequence import (
    efficient_counts,
    last_passed,
    sample_thresholds,
)


def test_each_count_affords_one_error_more_than_one_label_fewer_would():
    counts = efficient_counts(600, 0.05, 0.05)
    for errors, count in enumerate(counts):
        assert binom.cdf(errors, count, 0.05) <= 0.05 < binom.cdf(errors, count - 1, 0.05)


def test_thresholds_fall_and_accept_the_counts_that_are_worth_testing():
    scores = np.random.default_rng(0).random(200).astype(np.float32)
    thresholds = sample_thresholds(scores, 0.05, 0.05)
    assert (np.diff(thresholds) < 0).all()
    assert (scores >= thresholds[:, None]).sum(axis=1).tolist() == [93, 124, 153, 181, 200]
    thresholds = sample_thresholds(scores[:150], 0.05, 0.05)
    assert (scores[:150] >= thresholds[:, None]).sum(axis=1).tolist() == [59, 93, 124, 150]


def test_many_labels_start_where_errors_are_forgiven():
    scores = np.random.default_rng(0).random(1000).astype(np.float32)
    first = (scores >= sample_thresholds(scores, 0.05, 0.05)[0]).sum()
    assert first == 153


def test_equal_scores_are_accepted_together_or_not_at_all():
    scores = np.repeat(np.float32([0.9, 0.8, 0.7]), 40)
    accepted = (scores >= sample_thresholds(scores, 0.05, 0.05)[:, None]).sum(axis=1)
    assert accepted.tolist() == [80, 120]
    assert len(sample_thresholds(np.ones(100, np.float32), 0.05, 0.05)) == 1


def test_scores_may_be_negative():
    scores = -np.arange(100, dtype=np.float32)
    assert (scores >= sample_thresholds(scores, 0.05, 0.05)[-1]).all()


@pytest.mark.parametrize("n", [0, 1, 58])
def test_too_few_labels_have_nothing_to_test(n):
    assert len(sample_thresholds(np.ones(n, np.float32), 0.05, 0.05)) == 0


@pytest.mark.parametrize(
    ("p_values", "place"),
    [([0.2, 0.0], None), ([0.01, 0.02, 0.2, 0.0], 1), ([0.05], 0), ([np.nan, 0.0], None), ([], None)],
)
def test_the_sequence_ends_at_the_first_that_fails(p_values, place):
    assert last_passed(np.array(p_values), 0.05) == place
