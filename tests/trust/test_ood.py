import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfautolabel.trust import OodGate, fit_ood_gate
from tfautolabel.trust.ood import METHODS, enough_to_judge


def blobs(seed, per_class=40, d=24, k=4):
    """Features of k classes, of the last of which no labels are given."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * 1.5 + 2.0
    class_ids = np.repeat(np.arange(k), 10 * per_class)
    features = (centres[class_ids] + rng.normal(size=(len(class_ids), d))).astype(np.float32)
    labelled = np.zeros(len(class_ids), bool)
    for number in range(k - 1):
        labelled[rng.choice(np.flatnonzero(class_ids == number), per_class, replace=False)] = True
    return features, class_ids, labelled


@pytest.mark.parametrize("method", METHODS)
def test_an_unseen_class_is_more_unlike(method):
    features, class_ids, labelled = blobs(0)
    gate = fit_ood_gate(features[labelled], class_ids[labelled], features[~labelled], method=method)
    unseen = class_ids[~labelled] == 3
    assert roc_auc_score(unseen, gate.score(features[~labelled])) > 0.95
    refused = gate.refuses(features[~labelled])
    assert refused[unseen].mean() > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_about_the_share_asked_for_is_refused_of_what_is_like_the_labelled(method):
    shares = []
    for seed in range(8):
        features, class_ids, labelled = blobs(seed)
        like = ~labelled & (class_ids != 3)
        gate = fit_ood_gate(
            features[labelled], class_ids[labelled], features[like], method=method, refused=0.05
        )
        shares.append(gate.refuses(features[like]).mean())
    assert 0.01 < np.mean(shares) < 0.1


def test_with_few_labels_a_kind_in_the_pool_that_has_none_is_refused():
    unseen_passed, like_refused = [], []
    for seed in range(6):
        features, class_ids, labelled = blobs(seed, per_class=6)
        gate = fit_ood_gate(features[labelled], class_ids[labelled], features[~labelled])
        refused, unseen = gate.refuses(features[~labelled]), class_ids[~labelled] == 3
        unseen_passed.append(1 - refused[unseen].mean())
        like_refused.append(refused[~unseen].mean())
    assert np.mean(unseen_passed) < 0.1
    assert np.mean(like_refused) < 0.35


def alike(rng, per_class, pool, shares=(0.5, 0.5), d=200):
    """Features of two classes that overlap, labelled class by class, and a pool with such shares of them."""
    class_ids = np.concatenate([np.repeat([0, 1], per_class), rng.choice(2, pool, p=shares)])
    features = 1.0 + 0.15 * class_ids[:, None] * np.ones(d) + rng.normal(size=(len(class_ids), d))
    known = np.arange(len(class_ids)) < 2 * per_class
    return features[known], class_ids[known], features[~known]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1)])
@pytest.mark.parametrize("pool", [100, 400])
@pytest.mark.parametrize("per_class", [5, 20, 50])
def test_little_is_refused_of_a_pool_that_is_like_the_labels_however_few(per_class, pool, shares):
    refused = []
    for seed in range(8):
        known, ids, rest = alike(np.random.default_rng(seed), per_class, pool, shares)
        refused.append(fit_ood_gate(known, ids, rest).refuses(rest).mean())
    assert np.mean(refused) <= 0.04
    assert np.max(refused) <= 0.15


def test_a_gate_says_when_so_few_labels_show_no_more():
    known, ids, rest = alike(np.random.default_rng(1), 5, 400)
    found = [fit_ood_gate(known, ids, rest[:size], seed=0) for size in (400, 0)]
    assert not found[1].few
    few = [fit_ood_gate(*alike(np.random.default_rng(seed), 5, 400)).few for seed in range(8)]
    many = [fit_ood_gate(*alike(np.random.default_rng(seed), 50, 400)).few for seed in range(8)]
    assert any(few)
    assert not any(many)


def test_a_gate_of_an_earlier_version_can_be_read():
    features, class_ids, labelled = blobs(3)
    gate = fit_ood_gate(features[labelled], class_ids[labelled])
    settings = {name: value for name, value in gate.to_dict().items() if name != "few"}
    assert OodGate.from_dict(settings, gate.arrays()).threshold == gate.threshold


def test_the_order_of_the_labels_does_not_matter():
    features, class_ids, labelled = blobs(6, per_class=6)
    known, ids, pool = features[labelled], class_ids[labelled], features[~labelled]
    gate, order = fit_ood_gate(known, ids, pool), np.random.default_rng(0).permutation(len(ids))
    again = fit_ood_gate(known[order], ids[order], pool)
    assert again.threshold == pytest.approx(gate.threshold, rel=1e-4)
    np.testing.assert_array_equal(again.refuses(pool), gate.refuses(pool))


def test_more_features_than_labels_give_the_same_gate_as_the_whole_covariance():
    features, class_ids, labelled = blobs(7, per_class=5, d=40)
    known, ids = features[labelled], class_ids[labelled]
    gate = fit_ood_gate(known, ids, features)
    from sklearn.covariance import LedoitWolf

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    means = np.array([unit[labelled & (class_ids == number)].mean(axis=0) for number in range(3)])
    precision = LedoitWolf(assume_centered=True).fit(unit[labelled] - means[ids]).precision_
    towards = precision @ (means - unit.mean(axis=0)).T
    np.testing.assert_allclose(gate.weights, -2 * towards, rtol=1e-3, atol=1e-3)


def test_a_gate_needs_ten_labels_in_classes_with_more_than_one():
    assert enough_to_judge(np.repeat([0, 1], 5))
    assert not enough_to_judge(np.array([0] * 9 + [1]))


def test_the_default_score_is_the_difference_of_two_mahalanobis_distances():
    features, class_ids, labelled = blobs(1)
    known, ids = features[labelled], class_ids[labelled]
    gate = fit_ood_gate(known, ids, features)
    from sklearn.covariance import LedoitWolf

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    means = np.array([unit[labelled & (class_ids == number)].mean(axis=0) for number in range(3)])
    precision = LedoitWolf(assume_centered=True).fit(unit[labelled] - means[ids]).precision_

    def distances(centre):
        return np.einsum("nd,de,ne->n", unit - centre, precision, unit - centre)

    nearest = np.min([distances(mean) for mean in means], axis=0)
    expected = nearest - distances(unit.mean(axis=0))
    np.testing.assert_allclose(gate.score(features), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_lengths_of_features_do_not_matter(method):
    features, class_ids, labelled = blobs(2)
    gate = fit_ood_gate(features[labelled], class_ids[labelled], features, method=method)
    np.testing.assert_allclose(gate.score(features * 7), gate.score(features), rtol=1e-3, atol=1e-3)
    assert np.isfinite(gate.score(np.zeros((1, 24)))).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_gate_survives_a_file(method, tmp_path):
    features, class_ids, labelled = blobs(3)
    gate = fit_ood_gate(features[labelled], class_ids[labelled], method=method)
    np.savez(tmp_path / "gate.npz", **gate.arrays())
    settings = json.loads(json.dumps(gate.to_dict()))
    read = OodGate.from_dict(settings, dict(np.load(tmp_path / "gate.npz")))
    np.testing.assert_array_equal(read.refuses(features), gate.refuses(features))


def test_few_labels_of_more_dimensions_are_enough():
    rng = np.random.default_rng(0)
    gate = fit_ood_gate(rng.normal(size=(6, 50)), np.array([0, 0, 0, 1, 1, 2]))
    assert np.isfinite(gate.score(rng.normal(size=(20, 50)))).all()
    same = fit_ood_gate(np.ones((4, 5)), np.array([0, 0, 1, 1]))
    assert not same.refuses(np.ones((3, 5))).any()


def test_the_only_example_of_a_class_does_not_open_the_gate():
    features, class_ids, labelled = blobs(5)
    alone = labelled | (np.arange(len(labelled)) == np.flatnonzero(class_ids == 3)[0])
    gates = [
        fit_ood_gate(features[rows], class_ids[rows], features, refused=0.01) for rows in (labelled, alone)
    ]
    shares = [gate.refuses(features[~alone & (class_ids != 3)]).mean() for gate in gates]
    assert abs(shares[0] - shares[1]) < 0.03
    assert shares[1] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "method must be one of"),
        ({"refused": 0.0}, "refused must lie between 0 and 1"),
        ({"features": np.ones((1, 3)), "class_ids": np.zeros(1, int)}, "n at least 2"),
        ({"class_ids": np.zeros(3, int)}, r"class_ids \(n,\)"),
    ],
)
def test_what_is_not_valid_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit_ood_gate(**{"features": np.ones((4, 3)), "class_ids": np.zeros(4, int)} | options)


def test_features_of_another_backbone_are_refused():
    features, class_ids, labelled = blobs(4)
    gate = fit_ood_gate(features[labelled], class_ids[labelled])
    with pytest.raises(ValueError, match=r"shape \(n, 24\)"):
        gate.score(np.ones((2, 25)))
