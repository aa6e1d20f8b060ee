import keras
import numpy as np
import pytest

from tfautolabel.heads import LinearHead
from tfautolabel.heads.voting import MARGIN, PART, VoteMixing, voted_head

K, D = 3, 4
RULES = np.array([0, 1, 1])
"""The class of each rule."""


def mixing(kernel=None, bias=None, weight=1.0):
    of_class = weight * np.eye(K)[RULES]
    return VoteMixing(
        of_class,
        2.0 * of_class,
        np.zeros((D, K)) if kernel is None else kernel,
        np.zeros(K) if bias is None else bias,
    )


def mixed(layer, probabilities, votes):
    rows = len(votes)
    found = layer(
        np.tile(np.float32(probabilities), (rows, 1)), np.zeros((rows, D), np.float32), np.array(votes)
    )
    return np.asarray(found)


FOR = np.array([-5.0, 5.0, -5.0])
"""The bias of a head of the labels that says class 1."""
HEAD = [0.6, 0.3, 0.1]


def test_an_agreed_vote_counts_in_part_and_others_not_at_all():
    layer = mixing(bias=FOR)
    agreed, other, none, both = mixed(layer, HEAD, [[-1, 1, 1], [0, -1, -1], [-1, -1, -1], [0, 1, -1]])
    said = np.asarray(layer.said(np.array([[-1, 1, 1]]))[0])[0]
    np.testing.assert_allclose(agreed, (1 - PART) * np.array(HEAD) + PART * said, atol=1e-6)
    assert agreed.argmax() == 1
    for same in (other, none, both):  # another class, no vote, a tie
        np.testing.assert_allclose(same, HEAD, atol=1e-6)


def test_rules_without_weight_say_nothing():
    np.testing.assert_allclose(mixed(mixing(bias=FOR, weight=0.0), HEAD, [[-1, 1, 1]])[0], HEAD, atol=1e-6)


@pytest.mark.parametrize("lead", [-0.2, 0.0, MARGIN / 2, MARGIN, 0.3])
def test_votes_count_by_degrees_near_the_border_of_agreement(lead):
    # A head of the labels that gives classes 1 and 0 the probabilities p + lead and p.
    p = (0.96 - lead) / 2
    (found,) = mixed(mixing(bias=np.log([p, p + lead, 0.04])), HEAD, [[-1, 1, -1]])
    (full,) = mixed(mixing(bias=FOR), HEAD, [[-1, 1, -1]])
    share = np.clip(lead / MARGIN, 0, 1)
    np.testing.assert_allclose(found, HEAD + share * (full - np.array(HEAD)), atol=1e-5)


def test_rows_sum_to_one_whatever_is_said():
    rng = np.random.default_rng(0)
    layer = mixing(rng.normal(size=(D, K)), rng.normal(size=K))
    votes = np.where(rng.random((200, 3)) < 0.5, RULES, -1)
    given = rng.dirichlet(np.ones(K), 200).astype(np.float32)
    found = np.asarray(layer(given, rng.normal(size=(200, D)).astype(np.float32), votes))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert not np.allclose(found, given)


def test_the_model_of_features_and_votes_corrects_afterwards_and_shares_the_weights():
    head = LinearHead(D, K)
    head.normalization.adapt(np.random.default_rng(0).normal(size=(30, D)).astype(np.float32))
    layer = mixing(bias=FOR)
    scale, bias = np.array([2.0, 1.0, 1.0]), np.array([0.1, 0.0, -0.2])
    model = voted_head(head, head.normalization, layer, scale, bias)
    features = np.random.default_rng(1).normal(size=(5, D)).astype(np.float32)
    votes = np.array([[-1, 1, 1]] * 5)
    before = np.asarray(layer(head(features), head.normalization(features), votes))
    expected = keras.ops.softmax(scale * np.log(before) + bias, axis=-1)
    np.testing.assert_allclose(model([features, votes]), expected, atol=1e-5)
    head.dense.bias.assign([9.0, 0.0, 0.0])
    assert not np.allclose(model([features, votes]), expected)
