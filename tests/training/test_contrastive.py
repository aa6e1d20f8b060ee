import keras
import numpy as np
import pytest
from small_networks import changed, coloured, convolutional, values
from unit_rows import unit

from tfautolabel.heads import build_head
from tfautolabel.training import ContrastiveSettings, contrastive_tune
from tfautolabel.training.checkpoints import Checkpoint
from tfautolabel.training.contrastive import (
    LOSSES,
    STEPS_PER_EPOCH,
    ContrastiveTuning,
    balanced,
    default_steps,
)

QUICK = {"steps": 20, "augment": 0.0, "learning_rate": 1e-2, "scope": "all"}


def cosines(vectors):
    rows = unit(vectors)
    return rows @ rows.T


@pytest.mark.parametrize("loss", LOSSES)
def test_classes_draw_together_and_apart(loss):
    data = coloured(5)
    backbone, head = convolutional(), build_head("linear", 8, 3)
    same = data.class_ids[:, None] == data.class_ids[None]
    rows = np.arange(len(data))
    with ContrastiveTuning(
        backbone, head, data, data.class_ids, ContrastiveSettings(loss=loss, **QUICK)
    ) as tuning:
        before = cosines(tuning.frozen)
        tuning.run(rows)
        after = cosines(tuning.part.features(rows))
    gap = [matrix[same].mean() - matrix[~same].mean() for matrix in (before, after)]
    assert gap[1] > gap[0] + 0.05


def test_the_losses_are_those_of_the_papers():
    """Checked against plain loops over pairs."""
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(6, 4)).astype(np.float32))
    class_ids = np.array([0, 0, 1, 1, 1, 2])
    similar = vectors @ vectors.T
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    within = [(similar[i, j] - 1) ** 2 for i, j in pairs if class_ids[i] == class_ids[j]]
    between = [similar[i, j] ** 2 for i, j in pairs if class_ids[i] != class_ids[j]]
    cosine = float(LOSSES["cosine"](0.1)(class_ids, vectors))
    assert cosine == pytest.approx(np.mean(within) + np.mean(between), rel=1e-5)
    terms = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        total = np.log(np.sum(np.exp(similar[i, others] / 0.5)))
        mates = [similar[i, j] / 0.5 - total for j in others if class_ids[j] == class_ids[i]]
        terms.append(-np.mean(mates) if mates else 0.0)
    assert float(LOSSES["supervised"](0.5)(class_ids, vectors)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_the_backbone_moves_where_asked_and_the_head_is_fitted():
    backbone, head, data = convolutional(), build_head("linear", 8, 3), coloured()
    before = values(backbone.network)
    history = contrastive_tune(
        backbone, head, data, settings=ContrastiveSettings(**QUICK | {"scope": "last:1"})
    )
    assert len(history.epoch) == 20 // STEPS_PER_EPOCH
    moved = changed(before, values(backbone.network))
    assert moved == {"block1_conv/kernel", "block1_bn/gamma", "block1_bn/beta"}
    assert backbone.network.trainable_variables == []
    assert head.C_ > 0


class _Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_an_interrupted_tuning_goes_on_and_ends_like_an_unbroken_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    settings = ContrastiveSettings(**QUICK | {"steps": 40})
    data, file = coloured(), tmp_path / "states" / "tuning.npz"
    whole, broken, resumed = (convolutional() for _ in range(3))
    contrastive_tune(whole, build_head("linear", 8, 3), data, settings=settings)
    head = build_head("linear", 8, 3)
    with pytest.raises(KeyboardInterrupt):
        contrastive_tune(broken, head, data, settings=settings, callbacks=[_Interrupt()], checkpoint=file)
    assert file.exists()
    assert contrastive_tune(resumed, head, data, settings=settings, checkpoint=file).epoch == [2, 3]
    assert not file.exists()
    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_batches_hold_every_class_that_has_room_and_only_the_rows_given():
    class_ids = np.repeat(np.arange(5), 6)
    rows = np.flatnonzero(np.arange(30) % 6 < 4)
    batches = balanced(class_ids, 16, 10)(rows, np.random.default_rng(0))
    assert len(batches) == 10
    for batch in batches:
        assert set(batch) <= set(rows.tolist())
        assert len(set(batch.tolist())) == len(batch)
        counts = np.bincount(class_ids[batch], minlength=5)
        assert sorted(counts.tolist()) == [0, 4, 4, 4, 4]
    assert {c for batch in batches for c in class_ids[batch]} == set(range(5))


def test_more_labels_take_more_steps():
    assert default_steps(16) < default_steps(1000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "triplet"}, r"loss must be one of cosine, supervised\. Received: loss='triplet'"),
        ({"steps": 0}, r"steps must be positive\. Received: steps=0"),
        ({"batch_size": 2}, "batch_size must be at least 4"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveSettings(**settings)


def test_a_head_of_ones_own_is_fitted_too():
    backbone, data = convolutional(), coloured()
    head = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, "softmax")])
    head.compile("adam", "sparse_categorical_crossentropy")
    before = head.get_weights()[0]
    contrastive_tune(backbone, head, data, settings=ContrastiveSettings(**QUICK))
    assert np.abs(head.get_weights()[0] - before).max() > 1e-3
