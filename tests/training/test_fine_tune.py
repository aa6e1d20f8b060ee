import keras
import numpy as np
import pytest
from hub_modules import make_image_module
from small_networks import changed, coloured, convolutional, values

from tfautolabel.backbones import load_backbone
from tfautolabel.data import Dataset
from tfautolabel.heads import build_head
from tfautolabel.training import FineTuneSettings, fine_tune
from tfautolabel.training.backbone_training import default_rate, default_scope
from tfautolabel.training.checkpoints import Checkpoint
from tfautolabel.training.fine_tune import FineTuning
from tfautolabel.training.moving_part import DivergedError

QUICK = {"epochs": 2, "batch_size": 6, "augment": 0.0, "learning_rate": 1e-2, "pull": 0.0}
STATISTICS = {
    f"{block}_bn/moving_{kind}" for block in ("stem", "block0", "block1") for kind in ("mean", "variance")
}
WEIGHTS = {f"{b}_{w}" for b in ("stem", "block0", "block1") for w in ("conv/kernel", "bn/gamma", "bn/beta")}


@pytest.mark.parametrize(
    ("scope", "statistics", "expected"),
    [
        ("head", False, set()),
        ("norm", False, {path for path in WEIGHTS if "bn" in path}),
        ("last:1", False, {path for path in WEIGHTS if path.startswith("block1")}),
        ("last:1", True, {path for path in WEIGHTS | STATISTICS if path.startswith("block1")}),
        ("all", False, WEIGHTS),
        ("all", True, WEIGHTS | STATISTICS),
    ],
)
def test_what_was_asked_to_move_moves_and_nothing_else(scope, statistics, expected):
    backbone, head = convolutional(), build_head("linear", 8, 3)
    before = values(backbone.network)
    fine_tune(
        backbone, head, coloured(), settings=FineTuneSettings(scope=scope, statistics=statistics, **QUICK)
    )
    assert changed(before, values(backbone.network)) == expected
    assert backbone.network.trainable_variables == []


@pytest.mark.parametrize("statistics", [False, True])
def test_a_hub_module_moves_with_its_statistics_only_where_asked(tmp_path, statistics):
    backbone = load_backbone(str(make_image_module(tmp_path / "module")))
    before, fingerprint = values(backbone.network), backbone.fingerprint
    settings = FineTuneSettings(scope="all", statistics=statistics, **QUICK)
    fine_tune(backbone, build_head("linear", 16, 3), coloured(), settings=settings)
    moved = changed(before, values(backbone.network))
    assert any("kernel" in path for path in moved)
    assert any("moving" in path for path in moved) == statistics
    assert backbone.fingerprint != fingerprint


def test_the_head_learns_from_where_the_probe_left_it():
    backbone, head = convolutional(), build_head("linear", 8, 3)
    data = coloured(6)
    with FineTuning(backbone, head, data, data.class_ids, FineTuneSettings(**QUICK)) as tuning:
        tuning.probe(np.arange(len(data)))
        probe = tuning.predict(np.arange(len(data)))
        tuning.run(np.arange(len(data)))
        tuned = tuning.predict(np.arange(len(data)))
    truth = np.arange(len(data)), data.class_ids
    assert (probe.argmax(axis=1) == data.class_ids).mean() > 0.5
    assert -np.log(tuned[truth]).mean() < -np.log(probe[truth]).mean()


def test_a_run_repeats_and_starts_from_the_beginning():
    def once(backbone, head, data):
        with FineTuning(backbone, head, data, data.class_ids, FineTuneSettings(**QUICK), seed=3) as tuning:
            first = tuning.run(np.arange(9), np.arange(9, 12))
            second = tuning.run(np.arange(9), np.arange(9, 12))
        return first, second

    data = coloured()
    first, second = once(convolutional(), build_head("linear", 8, 3), data)
    third, _ = once(convolutional(), build_head("linear", 8, 3), data)
    for one, again, anew in zip(first, second, third, strict=True):
        np.testing.assert_allclose(one, again, atol=1e-5)
        np.testing.assert_allclose(one, anew, atol=1e-5)
    assert len(first) == 2


def test_held_out_examples_are_not_learnt_from():
    data, outcomes = coloured(), []
    for held_out in (data.class_ids[9:], np.roll(data.class_ids[9:], 1)):
        class_ids = np.concatenate([data.class_ids[:9], held_out])
        backbone, head = convolutional(), build_head("linear", 8, 3)
        with FineTuning(
            backbone, head, data, class_ids, FineTuneSettings(**QUICK | {"patience": 9})
        ) as tuning:
            outcomes.append(tuning.run(np.arange(9), np.arange(9, 12)))
    for one, another in zip(*outcomes, strict=True):
        np.testing.assert_allclose(one, another, atol=1e-6)


def test_blocks_near_the_input_move_less_and_the_pull_holds_them():
    def distance(decay, pull):
        backbone = convolutional()
        before = values(backbone.network)
        settings = FineTuneSettings(scope="all", **QUICK | {"layer_decay": decay, "pull": pull})
        fine_tune(backbone, build_head("linear", 8, 3), coloured(), settings=settings)
        after = values(backbone.network)
        return {
            path: np.abs(after[path] - before[path]).sum()
            for path in ("stem_conv/kernel", "block1_conv/kernel")
        }

    free, decayed, pulled = distance(1.0, 0.0), distance(0.1, 0.0), distance(1.0, 30.0)
    assert decayed["stem_conv/kernel"] < 0.2 * free["stem_conv/kernel"]
    assert decayed["block1_conv/kernel"] > 0.5 * free["block1_conv/kernel"]
    assert pulled["stem_conv/kernel"] < 0.9 * free["stem_conv/kernel"]


def test_class_weights_and_callbacks_reach_the_training():
    losses = []
    for weight in (1.0, 3.0):
        seen = []
        record = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, seen=seen: seen.append(logs["loss"])
        )
        fine_tune(
            convolutional(),
            build_head("linear", 8, 3),
            coloured(),
            settings=FineTuneSettings(**QUICK | {"learning_rate": 1e-9, "head_learning_rate": 1e-9}),
            class_weight=dict.fromkeys(range(3), weight),
            callbacks=[record],
        )
        losses.append(seen)
    assert len(losses[0]) == 2
    # The head that training starts from differs a little: its penalty counts for less against more weight.
    np.testing.assert_allclose(losses[1], np.multiply(losses[0], 3), rtol=0.03)


class _Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_and_ends_like_an_unbroken_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tfautolabel.training.checkpoints.SECONDS", 0.0)
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    settings = FineTuneSettings(**QUICK | {"epochs": 4, "augment": 1.0})
    data, file = coloured(), tmp_path / "states" / "training.npz"
    whole, broken = convolutional(), convolutional()
    fine_tune(whole, build_head("linear", 8, 3), data, settings=settings)
    head = build_head("linear", 8, 3)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(broken, head, data, settings=settings, callbacks=[_Interrupt()], checkpoint=file)
    assert broken.network.trainable_variables == []
    resumed = convolutional()
    history = fine_tune(resumed, head, data, settings=settings, checkpoint=file)
    assert history.epoch == [2, 3]
    assert not file.exists()
    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_checkpoint_of_another_training_is_ignored(tmp_path):
    file = tmp_path / "state.npz"
    np.savez(file, epoch=3, results=0, variable0=np.zeros(5))
    assert Checkpoint(file, [keras.Variable(np.zeros(4, np.float32))], []).restore() == 0
    file.write_bytes(b"PK damaged")
    assert Checkpoint(file, [keras.Variable(np.zeros(4, np.float32))], []).restore() == 0


def test_a_training_that_diverges_is_refused_and_leaves_everything_as_it_was(tmp_path):
    backbone, head, file = convolutional(), build_head("linear", 8, 3), tmp_path / "state.npz"
    before, head_before = values(backbone.network), head.get_weights()
    settings = FineTuneSettings(scope="all", statistics=True, **QUICK | {"learning_rate": 1e30})
    with pytest.raises(DivergedError, match=r"it diverged: the .* is not finite any more"):
        fine_tune(backbone, head, coloured(), settings=settings, checkpoint=file)
    assert changed(before, values(backbone.network)) == set()
    for one, other in zip(head_before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not file.exists()


def test_examples_that_cannot_be_read_are_refused():
    inputs = coloured(1).read([0, 1, 2])
    data = Dataset.from_inputs(
        [inputs[0], b"no picture", inputs[2]], ["blue", "green", "red"], ["a", "b", "c"]
    )
    with pytest.raises(ValueError, match=r"must be readable\. Received: b, which is not"):
        fine_tune(convolutional(), build_head("linear", 8, 3), data, settings=FineTuneSettings(**QUICK))


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("learning_rate", -1.0), ("layer_decay", 0.0), ("layer_decay", 1.1), ("pull", -0.1)],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} must .*Received: {name}={value}"):
        FineTuneSettings(**{name: value})


def test_defaults_follow_the_network():
    backbone = convolutional()
    assert default_scope(backbone) == "last:2"
    assert default_rate(backbone.network) == 20 * default_rate(keras.Sequential([keras.layers.Dense(2)]))
