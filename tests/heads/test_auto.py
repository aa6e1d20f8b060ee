"""The head that learns from a pool: its graph gives what the arithmetic says, and no pool is no harm."""

import keras
import numpy as np
import pytest
from scipy.special import softmax
from unit_rows import unit

from tfautolabel.heads import AutoHead, LinearHead, build_head
from tfautolabel.heads.auto import NEIGHBOUR_ROWS, POOL_ROWS
from tfautolabel.heads.covariance_power import POWERS, principal_axes


def task(per_class=8, pool_rows=600, d=24, k=3, seed=0):
    """Classes that differ along the axes in which the pool varies most, and noise in all other directions."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((k, d))
    centres[:, :3] = 3.0 * rng.normal(size=(k, 3))
    class_ids = np.concatenate([np.arange(k).repeat(per_class), rng.integers(0, k, pool_rows)])
    features = (centres[class_ids] + rng.normal(0, 1.0, (len(class_ids), d))).astype(np.float32)
    n = k * per_class
    return features[:n], class_ids[:n], features[n:], class_ids[n:]


def auto(d=24, k=3, **options):
    head = AutoHead(d, k, **options)
    head.compile()
    return head


def clusters(per_class=6, pool_rows=NEIGHBOUR_ROWS, seed=0, d=24):
    """Two classes of three clusters each, which noise blurs and an average over neighbours does not."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, d))
    n = 2 * per_class
    class_ids = np.concatenate([np.arange(n) % 2, rng.integers(0, 2, pool_rows)])
    of_class = rng.integers(0, 3, len(class_ids))
    noise = rng.normal(0, 0.8, (len(class_ids), d))
    features = (centres[class_ids * 3 + of_class] + noise).astype(np.float32)
    return features[:n], class_ids[:n], features[n:], class_ids[n:]


def predicted(head, features):
    return keras.ops.convert_to_numpy(head(features, training=False))


def test_the_graph_gives_what_the_arithmetic_says():
    features, class_ids, pool, _ = task()
    head = auto()
    head.fit(features, class_ids, pool=pool)
    rows = unit(pool)
    axes = principal_axes([unit(features), rows])
    total = float(head.pool_heads.shares[0]) * softmax(rows @ head.dense.kernel + head.dense.bias, axis=1)
    for number, power in enumerate(POWERS):
        scores = axes.scaled(rows, power) @ head.pool_heads.kernels[number] + head.pool_heads.biases[number]
        total += float(head.pool_heads.shares[number + 1]) * softmax(scores, axis=1)
    np.testing.assert_allclose(predicted(head, pool), total, atol=1e-5)
    assert float(head.pool_heads.shares[0]) < 0.9  # the other heads matter here


def test_a_pool_helps_where_classes_lie_along_its_axes():
    gains = []
    for seed in range(8):
        features, class_ids, pool, truth = task(per_class=3, seed=seed)
        linear, head = LinearHead(24, 3), auto()
        linear.compile()
        linear.fit(features, class_ids)
        head.fit(features, class_ids, pool=pool)
        right = [(predicted(one, pool).argmax(1) == truth).mean() for one in (linear, head)]
        gains.append(right[1] - right[0])
    assert np.mean(gains) > 0.02, gains


@pytest.mark.parametrize("rows", [None, 0, POOL_ROWS - 1])
def test_without_a_pool_that_says_enough_it_is_the_linear_head(rows):
    features, class_ids, pool, _ = task()
    linear, head = LinearHead(24, 3), auto()
    linear.compile()
    linear.fit(features, class_ids)
    head.fit(features, class_ids, pool=pool)
    head.fit(features, class_ids, pool=None if rows is None else pool[:rows])
    np.testing.assert_allclose(predicted(head, pool), predicted(linear, pool), atol=1e-6)
    np.testing.assert_array_equal(head.out_of_fold_, linear.out_of_fold_)
    assert head.pool_["level"] == "linear"
    assert "is the linear one" in head.pool_["why"]


def test_order_of_labels_and_pool_rows_changes_nothing():
    features, class_ids, pool, _ = task()
    order = np.random.default_rng(1).permutation(len(features))
    first, other = auto(), auto()
    first.fit(features, class_ids, pool=pool)
    other.fit(features[order], class_ids[order], pool=pool[::-1])
    np.testing.assert_allclose(predicted(first, pool), predicted(other, pool), atol=1e-4)
    np.testing.assert_allclose(first.out_of_fold_[order], other.out_of_fold_, atol=1e-4)


def test_it_is_saved_with_what_it_learnt_from_the_pool(tmp_path):
    features, class_ids, pool, _ = task()
    head = auto()
    head.fit(features, class_ids, pool=pool)
    head.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(predicted(again, pool), predicted(head, pool))
    assert again.learns_from_pool


def test_the_record_says_what_the_pool_was_worth_on_held_out_labels():
    features, class_ids, pool, _ = task(per_class=4, seed=3)
    linear, head = LinearHead(24, 3), auto()
    linear.compile()
    linear.fit(features, class_ids)
    head.fit(features, class_ids, pool=pool)
    gain = np.mean(head.out_of_fold_.argmax(1) == class_ids) - np.mean(
        linear.out_of_fold_.argmax(1) == class_ids
    )
    assert (head.pool_["level"], head.pool_["labels"]) == ("maps", 12)
    assert head.pool_["accuracy"] == pytest.approx(gain, abs=1e-3)
    own = [one.out_of_fold_[np.arange(12), class_ids] for one in (head, linear)]
    assert head.pool_["nats"] == pytest.approx(np.log(own[0] / own[1]).sum(), abs=0.01)
    assert f"{100 * gain:+.1f} points" in head.pool_["why"]
    assert sum(head.pool_["shares"].values()) == pytest.approx(1.0, abs=0.01)


def test_one_label_a_class_says_nothing_of_the_pools_worth():
    features, class_ids, pool, _ = task(per_class=1)
    head = auto()
    head.fit(features, class_ids, pool=pool)
    assert head.pool_["accuracy"] is None
    assert "no held-out label" in head.pool_["why"]
    np.testing.assert_allclose(predicted(head, pool).sum(axis=1), 1.0, atol=1e-5)


def test_step_by_step_training_is_that_of_the_linear_head():
    features, class_ids, _, _ = task()
    head = auto()
    head.compile(optimizer=keras.optimizers.Adam(0.05))
    head.fit(features, class_ids, epochs=20, verbose=0)
    assert not head.learns_from_pool
    assert (predicted(head, features).argmax(1) == class_ids).mean() > 0.9
    assert not head.pool_heads.weights


def test_a_pool_of_another_width_is_refused():
    features, class_ids, pool, _ = task()
    with pytest.raises(ValueError, match=r"shape \(m, 24\). Received: shape \(600, 23\)"):
        build_head("auto", 24, 3).fit(features, class_ids, pool=pool[:, 1:])


def test_neighbours_help_where_noise_blurs_clusters():
    gains = []
    for seed in range(4):
        features, class_ids, pool, truth = clusters(seed=seed)
        head, maps = auto(24, 2), auto(24, 2, level="maps")
        head.fit(features, class_ids, pool=pool)
        maps.fit(features, class_ids, pool=pool)
        assert (head.pool_["level"], maps.pool_["level"]) == ("neighbours", "maps")
        right = [(predicted(one, pool).argmax(1) == truth).mean() for one in (maps, head)]
        gains.append(right[1] - right[0])
    assert np.mean(gains) > 0.02, gains


def test_a_pool_of_too_few_rows_has_no_neighbours():
    features, class_ids, pool, _ = clusters(pool_rows=NEIGHBOUR_ROWS - 1)
    head = auto(24, 2)
    head.fit(features, class_ids, pool=pool)
    assert head.pool_["level"] == "maps"
    assert head.get_config()["anchors"] == 0


def test_a_head_with_neighbours_is_saved_and_fitted_again(tmp_path):
    features, class_ids, pool, _ = clusters()
    head = auto(24, 2)
    head.fit(features, class_ids, pool=pool)
    first = predicted(head, pool)
    head.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(predicted(again, pool), first)
    np.testing.assert_allclose(again.predict(pool, verbose=0), first, atol=1e-5)
    again.fit(features, class_ids, pool=pool[: NEIGHBOUR_ROWS - 1])
    assert len(again.weights) < len(head.weights)
    again.fit(features, class_ids)
    assert len(again.weights) == len(LinearHead(24, 2).weights)
    again.fit(features, class_ids, pool=pool)
    np.testing.assert_allclose(again.predict(pool, verbose=0), first, atol=1e-5)


def test_no_held_out_label_is_passed_along():
    """A row whose label nobody else shares must not find its own label among what its neighbours say."""
    rng = np.random.default_rng(0)
    features, class_ids, pool, _ = clusters(per_class=20)
    noise = rng.permutation(class_ids)  # labels that features say nothing about
    heads = [auto(24, 2) for _ in range(2)]
    heads[0].fit(features, noise, pool=pool)
    heads[1].fit(features, class_ids, pool=pool)
    right = [
        (head.out_of_fold_.argmax(1) == ids).mean()
        for head, ids in zip(heads, (noise, class_ids), strict=True)
    ]
    assert right[0] < 0.7 < 0.85 < right[1]


def test_the_order_of_a_pool_with_neighbours_changes_nothing():
    features, class_ids, pool, _ = clusters()
    first, other = auto(24, 2), auto(24, 2)
    first.fit(features, class_ids, pool=pool)
    other.fit(features[::-1], class_ids[::-1], pool=pool[::-1])
    np.testing.assert_allclose(predicted(first, pool), predicted(other, pool), atol=1e-4)


def test_other_shares_in_the_pool_are_corrected_and_said():
    features, class_ids, pool, truth = task(per_class=20, pool_rows=2_000, seed=1)
    rows = np.concatenate([np.flatnonzero(truth == 0), np.flatnonzero(truth > 0)[:40]])
    head, balanced = auto(), auto()
    head.fit(features, class_ids, pool=pool[rows])
    balanced.fit(features, class_ids, pool=pool)
    assert balanced.pool_["class_shares"] is None
    shares = head.pool_["class_shares"]
    assert shares[0] > 0.6
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    right = (predicted(head, pool[rows]).argmax(1) == truth[rows]).mean()
    linear = LinearHead(24, 3)
    linear.compile()
    linear.fit(features, class_ids)
    assert right >= (predicted(linear, pool[rows]).argmax(1) == truth[rows]).mean()


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match=r"one of maps, neighbours\. Received: level='all'"):
        AutoHead(3, 2, level="all")
