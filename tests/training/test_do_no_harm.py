import time

import numpy as np
import pytest
from small_networks import changed, coloured, convolutional, values

from tfautolabel.heads import build_head
from tfautolabel.training import ContrastiveSettings, FineTuneSettings
from tfautolabel.training.do_no_harm import compare, compare_and_keep
from tfautolabel.training.fine_tune import FineTuning

QUICK = FineTuneSettings(scope="last:1", epochs=3, batch_size=8, learning_rate=1e-2, augment=0.0, pull=0.0)


def noisy(n, right, sure, seed=0):
    """(n, 2) probabilities of which a share is right, with so much on the class that they favour."""
    rng = np.random.default_rng(seed)
    class_ids = rng.integers(0, 2, n)
    said = np.where(rng.random(n) < right, class_ids, 1 - class_ids)
    probabilities = np.full((n, 2), 1 - sure)
    probabilities[np.arange(n), said] = sure
    return probabilities, class_ids


def test_a_clear_gain_counts_and_a_small_one_does_not():
    good, class_ids = noisy(200, 0.95, 0.9)
    poor, _ = noisy(200, 0.6, 0.6)
    clear = compare(poor, good, class_ids)
    assert clear.is_better
    assert not clear.is_worse
    assert compare(good, poor, class_ids).is_worse
    same = compare(good, good, class_ids)
    assert not same.is_better
    assert not same.is_worse
    worse = np.full((8, 2), 0.5)
    worse[np.arange(8), class_ids[:8]] = 0.9
    worse[np.arange(8), 1 - class_ids[:8]] = 0.1
    better = worse.copy()
    worse[0] = worse[0, ::-1]  # one example of eight is right by tuning only
    one = compare(worse, better, class_ids[:8])
    assert one.gain > 0.0
    assert not one.is_better


def test_overconfidence_alone_is_no_harm():
    """Both sides get a temperature before they are compared."""
    sharp, class_ids = noisy(400, 0.8, 0.999)
    honest, _ = noisy(400, 0.8, 0.8)
    comparison = compare(honest, sharp, class_ids)
    assert abs(comparison.gain) < 0.05
    assert not comparison.is_worse


@pytest.mark.parametrize("method", ["model", "contrastive"])
def test_what_is_not_better_beyond_noise_leaves_everything_as_it_was(method):
    backbone, head, data = convolutional(), build_head("linear", 8, 3), coloured(4, noise=1.0)
    before, head_before = values(backbone.network), head.get_weights()
    settings = QUICK if method == "model" else ContrastiveSettings(steps=10, augment=0.0)
    tuning = compare_and_keep(method, backbone, head, data, data.class_ids, settings=settings)
    assert not tuning.kept
    assert "not better beyond noise" in tuning.reason
    assert tuning.out_of_fold is None
    assert changed(before, values(backbone.network)) == set()
    for one, other in zip(head_before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert backbone.network.trainable_variables == []


def test_what_is_not_worse_is_kept_where_that_is_the_demand():
    backbone, head, data = convolutional(), build_head("linear", 8, 3), coloured(6)
    before, told = values(backbone.network), []
    tuning = compare_and_keep(
        "model", backbone, head, data, data.class_ids, settings=QUICK, demand="not worse", advance=told.append
    )
    assert tuning.kept
    assert told == [1] * 4
    assert tuning.out_of_fold.shape == (18, 3)
    np.testing.assert_allclose(tuning.out_of_fold.sum(axis=1), 1, atol=1e-4)
    assert 1 <= tuning.epochs <= 3
    assert changed(before, values(backbone.network))
    assert tuning.to_dict()["comparison"]["tuned_accuracy"] == tuning.comparison.tuned_accuracy


def test_out_of_time_leaves_everything_as_it_was():
    backbone, head, data = convolutional(), build_head("linear", 8, 3), coloured(6)
    before = values(backbone.network)
    tuning = compare_and_keep(
        "model", backbone, head, data, data.class_ids, settings=QUICK, until=time.monotonic()
    )
    assert (tuning.kept, tuning.comparison) == (False, None)
    assert "longer" in tuning.reason
    assert changed(before, values(backbone.network)) == set()


ABSURD = {
    "model": FineTuneSettings(scope="all", epochs=2, batch_size=8, learning_rate=1e30, statistics=True),
    "contrastive": ContrastiveSettings(scope="all", steps=4, learning_rate=1e30, augment=0.0),
}


@pytest.mark.parametrize("method", ABSURD)
def test_what_diverges_leaves_everything_as_it_was(method, tmp_path):
    backbone, head, data = convolutional(), build_head("linear", 8, 3), coloured(3)
    before, head_before = values(backbone.network), head.get_weights()
    tuning = compare_and_keep(
        method, backbone, head, data, data.class_ids,
        settings=ABSURD[method], demand="not worse", checkpoints=tmp_path / "states",
    )  # fmt: skip
    assert (tuning.kept, tuning.comparison, tuning.out_of_fold) == (False, None, None)
    assert tuning.reason.startswith("it diverged: ")
    assert changed(before, values(backbone.network)) == set()
    assert all(np.isfinite(value).all() for value in values(backbone.network).values())
    for one, other in zip(head_before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "states").exists()


def test_an_interrupted_tuning_leaves_everything_as_it_was():
    backbone, head, data = convolutional(), build_head("linear", 8, 3), coloured(3)
    before = values(backbone.network)

    def interrupt(_):
        assert changed(before, values(backbone.network))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_and_keep("model", backbone, head, data, data.class_ids, settings=QUICK, advance=interrupt)
    assert changed(before, values(backbone.network)) == set()


def test_folds_that_are_done_are_not_trained_again(tmp_path, monkeypatch):
    data = coloured(6)
    folder = tmp_path / "states"
    whole = compare_and_keep(
        "model",
        convolutional(),
        build_head("linear", 8, 3),
        data,
        data.class_ids,
        settings=QUICK,
        demand="not worse",
    )

    def broken(count):
        if len(list(folder.glob("fold*.npz"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_and_keep(
            "model", convolutional(), build_head("linear", 8, 3), data, data.class_ids,
            settings=QUICK, demand="not worse", checkpoints=folder, advance=broken,
        )  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == ["fold0.npz", "fold1.npz"]
    runs = []
    original = FineTuning.run
    monkeypatch.setattr(
        FineTuning,
        "run",
        lambda self, *rows, **options: runs.append(rows) or original(self, *rows, **options),
    )
    resumed = compare_and_keep(
        "model", convolutional(), build_head("linear", 8, 3), data, data.class_ids,
        settings=QUICK, demand="not worse", checkpoints=folder,
    )  # fmt: skip
    assert len(runs) == 2, "one fold and the training on all examples"
    np.testing.assert_allclose(resumed.out_of_fold, whole.out_of_fold, atol=1e-5)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "prompt"}, "method is one of model, contrastive"),
        ({"demand": "good"}, "demand one of better, not worse"),
        ({"settings": ContrastiveSettings()}, "settings of model are FineTuneSettings"),
    ],
)
def test_misuse_is_refused(options, message):
    data = coloured(2)
    given = {"method": "model"} | options
    with pytest.raises(ValueError, match=message):
        compare_and_keep(
            given.pop("method"), convolutional(), build_head("linear", 8, 3), data, data.class_ids, **given
        )
