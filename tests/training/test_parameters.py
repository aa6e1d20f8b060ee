import keras
import numpy as np
import pytest
import tensorflow as tf
from hub_modules import make_image_module
from small_networks import convolutional

from tfautolabel.backbones import load_backbone
from tfautolabel.training.parameters import Snapshot, cut_network, moving, parameters, select_parameters


def names(network, scope):
    chosen = select_parameters(network, scope)
    return [parameter.variable.path for parameter in parameters(network) if id(parameter.variable) in chosen]


def test_blocks_are_told_by_the_names_of_layers():
    network = convolutional().network
    blocks = [parameter.block for parameter in parameters(network)]
    assert blocks == ["stem"] * 3 + ["block0"] * 3 + ["block1"] * 3
    assert [parameter.normalizes for parameter in parameters(network)] == [False, True, True] * 3


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("head", []),
        ("last:1", ["block1_conv/kernel", "block1_bn/gamma", "block1_bn/beta"]),
        ("first:1", ["stem_conv/kernel", "stem_bn/gamma", "stem_bn/beta"]),
        ("norm", [f"{b}_bn/{w}" for b in ("stem", "block0", "block1") for w in ("gamma", "beta")]),
    ],
)
def test_scopes(scope, expected):
    assert names(convolutional().network, scope) == expected


def test_all_is_every_weight_and_no_statistic():
    network = convolutional().network
    assert names(network, "all") == names(network, "last:99")
    assert not any("moving" in name for name in names(network, "all"))


def test_depth_is_counted_from_the_output():
    network = convolutional().network
    chosen = select_parameters(network, "all")
    depth = {p.block: chosen[id(p.variable)] for p in parameters(network)}
    assert depth == {"stem": 2, "block0": 1, "block1": 0}


@pytest.mark.parametrize("scope", ["last:0", "last:", "half", "first:-1", "last:1.5"])
def test_unknown_scopes_are_refused(scope):
    with pytest.raises(ValueError, match=rf"scope must be head, norm, first:n.*Received: scope='{scope}'"):
        select_parameters(convolutional().network, scope)


def test_a_network_without_such_parameters_is_refused():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="which has no such parameters"):
        select_parameters(network, "norm")


def test_a_module_for_inference_only_says_so(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable(tf.ones([3, 4]))
    spec = tf.TensorSpec([None, 32, 32, 3], tf.float32)
    run = tf.function(
        lambda x: {"default": tf.reduce_mean(x, [1, 2]) @ module.weight}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"default": run})
    with pytest.raises(ValueError, match="which is for inference only"):
        select_parameters(load_backbone(str(tmp_path)).network, "all")


def test_variables_of_a_module_are_blocks_too(tmp_path):
    network = load_backbone(str(make_image_module(tmp_path / "module"))).network
    everything = names(network, "all")
    assert len(everything) == 5
    assert all("gamma" in name or "beta" in name for name in names(network, "norm"))


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("scope", ["norm", "last:1", "first:2", "all"])
def test_what_moves_is_what_was_chosen_and_is_frozen_again_afterwards(scope, statistics):
    network = convolutional().network
    with moving(network, select_parameters(network, scope), statistics):
        assert [variable.path for variable in network.trainable_variables] == names(network, scope)
    assert network.trainable_variables == []
    network.trainable = True
    assert len(network.trainable_variables) == 9


@pytest.mark.parametrize("scope", ["last:1", "first:1", "norm", "all"])
def test_the_two_parts_of_a_cut_network_give_what_it_gives(scope):
    network = convolutional().network
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    cut = cut_network(network, select_parameters(network, scope))
    between = pixels if cut.before is None else cut.before(pixels)
    np.testing.assert_allclose(cut.behind(between), network(pixels), atol=1e-6)
    before = set() if cut.before is None else {weight.path for weight in cut.before.weights}
    assert before.isdisjoint(names(network, scope))


def test_a_cut_lies_before_the_first_parameter_that_moves():
    network = convolutional().network
    cut = cut_network(network, select_parameters(network, "last:1"))
    assert [layer.name for layer in cut.behind.layers if layer.weights] == ["block1_conv", "block1_bn"]
    assert cut_network(network, {}).behind is None


def test_a_network_that_was_cut_behind_one_of_its_inputs_can_still_be_saved(tmp_path):
    given = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    vectors = keras.Input((4,), name="vectors")
    inner = keras.layers.Dense(4, name="block0")(vectors)
    network = keras.Model(vectors, keras.layers.Add()([keras.layers.Dense(4, name="block1")(inner), vectors]))
    for _ in range(2):
        cut = cut_network(network, select_parameters(network, "last:1"))
        np.testing.assert_allclose(cut.behind(cut.before(given)), network(given), atol=1e-6)
        network.save(tmp_path / "network.keras")
        again = keras.saving.load_model(tmp_path / "network.keras")
        np.testing.assert_array_equal(again(given), network(given))


def test_a_snapshot_puts_everything_back():
    network = convolutional().network
    before = network.get_weights()
    snapshot = Snapshot(network.weights)
    for weight in network.weights:
        weight.assign(weight.numpy() + 1)
    snapshot.restore()
    for value, restored in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(value, restored)
