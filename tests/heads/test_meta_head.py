"""The head that weighs a meta-learner's map: where it helps, where it harms, and what the graph computes."""

import keras
import numpy as np
import pytest

from tfautolabel.heads import LinearHead
from tfautolabel.heads.meta import LEAST_LABELS, MetaHead


def task(per_class, noise, seed=0, d=12, k=3, rows=600):
    """Classes differ in the first half of the features; the second half is noise of a given size."""
    rng = np.random.default_rng(seed)
    class_ids = np.arange(per_class * k + rows) % k
    features = rng.normal(0.0, 0.5, (len(class_ids), d))
    features[:, : d // 2] += rng.normal(size=(k, d // 2))[class_ids]
    features[:, d // 2 :] *= 2.0 * noise
    n = per_class * k
    features = features.astype(np.float32)
    return features[:n], class_ids[:n], features[n:], class_ids[n:]


def kept(first, d=12):
    """A map that all but removes one half of the features."""
    scale = np.full(d, 0.01, np.float32)
    scale[: d // 2] = 1.0
    return np.diag(scale if first else scale[::-1])


def fitted(features, class_ids, matrix, **options):
    head = MetaHead(12, 3, **options)
    head.compile()
    head.use_map(matrix, 1.0)
    head.fit(features, class_ids)
    return head


def plain(features, class_ids):
    head = LinearHead(12, 3)
    head.compile()
    head.fit(features, class_ids)
    return head


def right(head, features, class_ids):
    return (predicted(head, features).argmax(axis=1) == class_ids).mean()


def predicted(head, features):
    return keras.ops.convert_to_numpy(head(features, training=False))


def test_a_map_that_fits_helps_and_the_record_says_so():
    gains = []
    for seed in range(4):
        features, class_ids, others, truth = task(7, noise=3.0, seed=seed)
        head = fitted(features, class_ids, kept(first=True))
        assert head.meta_["used"]
        assert head.meta_["nats"] > 0.0
        gains.append(right(head, others, truth) - right(plain(features, class_ids), others, truth))
    assert np.mean(gains) > 0.1


def test_a_map_that_harms_is_left_out():
    for seed in range(4):
        features, class_ids, others, truth = task(7, noise=0.2, seed=seed)
        head = fitted(features, class_ids, kept(first=False))
        before = right(plain(features, class_ids), others, truth)
        assert right(head, others, truth) >= before - 0.01
        assert not head.meta_["used"]
        assert "not used" in head.meta_["why"]


def test_an_unused_map_leaves_the_plain_head():
    features, class_ids, others, _ = task(7, noise=0.2)
    head = fitted(features, class_ids, kept(first=False))
    expected = predicted(plain(features, class_ids), others)
    np.testing.assert_allclose(predicted(head, others), expected, atol=1e-6)


def test_too_few_held_out_labels_say_nothing():
    per_class = (LEAST_LABELS - 1) // 3
    features, class_ids, others, _ = task(per_class, noise=3.0)
    head = fitted(features, class_ids, kept(first=True))
    assert not head.meta_["used"]
    assert f"{3 * per_class} held-out labels" in head.meta_["why"]
    expected = predicted(plain(features, class_ids), others)
    np.testing.assert_allclose(predicted(head, others), expected, atol=1e-6)


def test_the_record_is_of_labels_that_had_no_say():
    features, class_ids, _, _ = task(8, noise=3.0)
    head, before = fitted(features, class_ids, kept(first=True)), plain(features, class_ids)
    own = np.arange(len(class_ids)), class_ids
    nats = np.log(head.out_of_fold_[own]).sum() - np.log(before.out_of_fold_[own]).sum()
    assert head.meta_["nats"] == pytest.approx(nats, abs=0.01)


def test_the_average_is_of_both_heads_as_weighed():
    features, class_ids, others, _ = task(7, noise=3.0)
    head, before = fitted(features, class_ids, kept(first=True)), plain(features, class_ids)
    layer = head.mapped_head
    share, (first, second) = float(layer.share), layer.exponents.numpy()
    scores = keras.ops.convert_to_numpy(layer.mapped(others)) @ layer.kernel.numpy() + layer.bias.numpy()
    mapped = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = 0.0
    for weight, rows, exponent in ((1 - share, predicted(before, others), first), (share, mapped, second)):
        rows = np.maximum(rows / rows.sum(axis=1, keepdims=True), 1e-6) ** exponent
        expected = expected + weight * rows / rows.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predicted(head, others), expected, atol=1e-5)


def test_a_second_fit_forgets_the_first_but_not_the_map():
    features, class_ids, others, _ = task(7, noise=3.0)
    head = fitted(features, class_ids, kept(first=True))
    once = predicted(head, others)
    head.fit(*task(7, noise=0.2, seed=3)[:2])
    head.fit(features, class_ids)
    np.testing.assert_allclose(predicted(head, others), once, atol=1e-6)


def test_it_is_saved_whole(tmp_path):
    features, class_ids, others, _ = task(7, noise=3.0)
    head = fitted(features, class_ids, kept(first=True), fingerprint="f" * 64)
    head.save(tmp_path / "head.keras")
    again = keras.saving.load_model(tmp_path / "head.keras")
    np.testing.assert_allclose(predicted(again, others), predicted(head, others), atol=1e-6)
    assert again.fingerprint == head.fingerprint


def test_gradient_training_leaves_the_map_out():
    features, class_ids, _, _ = task(7, noise=3.0)
    head = MetaHead(12, 3)
    head.use_map(kept(first=True), 1.0)
    head.compile(optimizer="adam")
    head.fit(features, class_ids, epochs=1, verbose=0)
    assert not head.meta_["used"]
    assert float(head.mapped_head.share) == 0.0
