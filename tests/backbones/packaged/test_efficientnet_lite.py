import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.backbones.packaged.efficientnet_lite import (
    FEATURE_DIM,
    VARIANTS,
    _tensor_names,
    build_efficientnet_lite,
    load_checkpoint,
)

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def model():
    return build_efficientnet_lite("lite0")


@pytest.fixture
def tensors(model):
    """A checkpoint with random numbers for every weight of the model, in PyTorch's order and names."""
    rng = np.random.default_rng(0)
    made = {"_fc.weight": np.zeros((1000, FEATURE_DIM)), "_bn0.num_batches_tracked": np.array(3)}
    for layer in model.layers:
        for name, weight in zip(
            _tensor_names(layer.name) if layer.weights else [], layer.weights, strict=True
        ):
            order = (2, 3, 0, 1) if "depthwise_conv" in layer.name else (3, 2, 0, 1)
            array = rng.random(weight.shape, dtype="float32")
            made[name] = array.transpose(order) if array.ndim == 4 else array
    return made


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_shape_and_names(variant):
    model = build_efficientnet_lite(variant)
    size = VARIANTS[variant].input_size
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, FEATURE_DIM)
    assert all(layer.name[0].isalpha() and ":" not in layer.name for layer in model.layers)
    assert model(np.full((2, size, size, 3), 255, "uint8")).dtype == "float32"


def test_unknown_variant_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"\['lite0', 'lite2'\].*'lite9'"):
        build_efficientnet_lite("lite9")


def test_loads_every_weight_in_keras_order(model, tensors):
    load_checkpoint(model, tensors)
    stem = model.get_layer("stem_conv").kernel.numpy()
    np.testing.assert_array_equal(stem[1, 2, 0, 5], tensors["_conv_stem.weight"][5, 0, 1, 2])
    depthwise = model.get_layer("block3_depthwise_conv").kernel.numpy()
    np.testing.assert_array_equal(
        depthwise[4, 0, 7, 0], tensors["_blocks.3._depthwise_conv.weight"][7, 0, 4, 0]
    )
    variance = model.get_layer("top_bn").moving_variance.numpy()
    np.testing.assert_array_equal(variance, tensors["_bn1.running_var"])


def test_checkpoint_that_does_not_fit_changes_nothing(model, tensors):
    before = [weight.numpy() for weight in model.weights]
    missing = {name: array for name, array in tensors.items() if name != "_bn1.running_var"}
    with pytest.raises(ValueError, match=r"lacks \['_bn1.running_var'\], which layer top_bn"):
        load_checkpoint(model, missing)
    with pytest.raises(
        ValueError, match=r"_conv_head.weight must have shape \(1, 1, 320, 1280\).*\(1, 1, 320, 7\)"
    ):
        load_checkpoint(model, {**tensors, "_conv_head.weight": np.zeros((7, 320, 1, 1))})
    with pytest.raises(ValueError, match=r"no layer for: \['_blocks.99._bn0.weight'\]"):
        load_checkpoint(model, {**tensors, "_blocks.99._bn0.weight": np.zeros(3)})
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_another_model_is_refused(tensors):
    import keras

    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    with pytest.raises(ValueError, match="layer dense is not one of an EfficientNet-Lite"):
        load_checkpoint(other, tensors)


@pytest.mark.packaged
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_golden_parity(variant):
    """The features of four photographs, computed once with the original PyTorch package."""
    from tfautolabel.backbones.packaged import PACKAGED, build

    name = f"efficientnet-{variant}"
    with np.load(GOLDEN / f"efficientnet_{variant}.npz") as golden:
        ends = golden["jpeg_offsets"]
        files = [golden["jpeg"][a:b].tobytes() for a, b in itertools.pairwise(ends)]
        expected = golden["features_torch"]
    pixels = np.stack([tf.io.decode_jpeg(file, 3, dct_method="INTEGER_ACCURATE") for file in files])
    preprocessor, model = build(name)
    features = model.predict(pixels.astype("float32"), verbose=0)
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((features * expected).sum(1) / lengths).min() > 0.99999
    assert np.abs(features - expected).max() < 1e-4
    assert sum(weight.numpy().size for weight in model.trainable_weights) == PACKAGED[name].parameters
    assert features.shape[1] == PACKAGED[name].feature_dim
    assert model.input_shape[1] == preprocessor.size == VARIANTS[variant].input_size
