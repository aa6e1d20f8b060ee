import keras
import numpy as np
import pytest
from small_networks import preprocessing

from tfautolabel._cpu import why_bf16_is_slow
from tfautolabel._precision import BF16, FLOAT16, FLOAT32
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.features import extract_features
from tfautolabel.features.engines import ENGINES, bf16, choose_engine, engine_of, gpu
from tfautolabel.preprocessors import Preprocessor


def dense(factor=1.0):
    """A backbone of one layer, which XLA compiles soon; its kernel can be made too large for float16."""
    pixels = keras.Input((16, 16, 3), name="pixels")
    x = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 128, -1)(pixels))
    kernel = keras.initializers.GlorotUniform(seed=0)
    network = keras.Model(pixels, keras.layers.Dense(8, kernel_initializer=kernel)(keras.layers.Flatten()(x)))
    network.set_weights([weight * factor for weight in network.get_weights()])
    preprocessor, prepare = preprocessing(16)
    backbone = Backbone(f"test:{factor:g}", preprocessor, network, "dense")
    backbone.prepare = prepare
    return backbone


@pytest.fixture(scope="module")
def backbone():
    return dense()


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Has the GPU's engine run on the CPU."""
    monkeypatch.setattr(gpu, "visible_gpus", lambda: ("/CPU:0",))


def chosen(choice):
    return choice.name, choice.device, choice.precision


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_cpu_computes_in_float32_unless_asked(backbone, device):
    choice = choose_engine(backbone, device)
    assert chosen(choice) == ("cpu", "cpu", FLOAT32)
    assert choice.key("abc") == "abc", "features of earlier versions are found again"
    assert ("TensorFlow sees no GPU: " in choice.why) == (device == "auto")
    assert choice.sentence().startswith("features are computed on the CPU in float32, because ")


def test_bf16_on_a_cpu_if_asked(backbone):
    choice = choose_engine(backbone, "auto", BF16)
    assert chosen(choice) == ("bf16", "cpu", BF16)
    said = "that was asked for (precision=bf16)"
    assert choice.why == "; ".join(filter(None, [said, why_bf16_is_slow()]))
    assert choice.key("abc") == "abc-bf16"


def test_a_gpu_is_taken_if_there_is_one(backbone, pretended_gpu):
    backbone = dense()
    assert chosen(choose_engine(backbone)) == ("gpu", "gpu", FLOAT16)
    assert chosen(choose_engine(backbone, precision=FLOAT32)) == ("gpu", "gpu", FLOAT32)
    assert chosen(choose_engine(backbone, "cpu")) == ("cpu", "cpu", FLOAT32)


def test_float16_is_left_where_its_range_does_not_do(backbone, pretended_gpu):
    """Values above 65,504 are infinite in float16."""
    large = dense(1e6)
    choice = choose_engine(large)
    assert chosen(choice) == ("gpu", "gpu", FLOAT32)
    assert "float16 moves its features too far" in choice.why
    with pytest.raises(ValueError, match=r"precision='float16' cannot be used with test:1e\+06: .* moves"):
        choose_engine(large, precision=FLOAT16)


@pytest.mark.parametrize(("device", "precision"), [("gpu", "auto"), ("gpu", FLOAT32), ("auto", FLOAT16)])
def test_what_needs_a_gpu_is_refused_without_one(backbone, device, precision):
    with pytest.raises(ValueError, match=r"cannot be used: TensorFlow sees no GPU: \w+"):
        choose_engine(backbone, device, precision)


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError])
def test_a_gpu_that_fails_is_left_alone(backbone, pretended_gpu, monkeypatch, kind):
    def broken(*_):
        raise kind("libcudnn is missing\nand more")

    backbone = dense()
    monkeypatch.setattr(gpu, "on_devices", broken)
    choice = choose_engine(backbone)
    assert chosen(choice) == ("cpu", "cpu", FLOAT32)
    assert f"the GPU cannot run it in float16 ({kind.__name__}: libcudnn is missing)" in choice.why


def test_bf16_that_is_none_is_refused(backbone, monkeypatch):
    """TensorFlow says nothing on a CPU without the kernels; the features would be float32's."""
    backbone = dense()
    monkeypatch.setattr(bf16, "_in_bf16", lambda graphs: False)
    with pytest.raises(ValueError, match="no bf16 on this CPU for this network: AVX-512 or newer is needed"):
        choose_engine(backbone, "cpu", BF16)


def test_a_network_that_takes_strings_has_float32_only(backbone, pretended_gpu):
    strings = keras.Input((), dtype="string")
    network = keras.Model(strings, keras.layers.Hashing(9, output_mode="multi_hot")(strings[:, None]))
    for name in ("gpu", "bf16"):
        assert "its network takes strings" in ENGINES[name].unfit(network)
    assert ENGINES["cpu"].unfit(network) == ""


def test_other_weights_are_checked_again(backbone):
    changing = dense()
    before = engine_of(changing, "bf16", BF16)
    assert engine_of(changing, "bf16", BF16) is before
    changing.network.set_weights([weight + 0.01 for weight in changing.network.get_weights()])
    assert engine_of(changing, "bf16", BF16) is not before


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_gives_the_features_of_the_network(backbone, pretended_gpu, name, tmp_path):
    """Each in a cache of its own: what one precision computed, another one computes again."""
    kind = ENGINES[name]
    dataset = Dataset.from_inputs(backbone.preprocessor.recorded_examples())
    options = {"cache_dir": tmp_path, "device": kind.device}
    right = extract_features(dataset, backbone, use_cache=False, device="cpu")
    extract_features(dataset, backbone, cache_dir=tmp_path, device="cpu")
    for precision in kind.precisions:
        first = extract_features(dataset, backbone, precision=precision, **options)
        again = extract_features(dataset, backbone, precision=precision, **options)
        assert (first.computed, again.computed) == (0 if precision == FLOAT32 else 5, 0)
        np.testing.assert_array_equal(first.features, again.features)
        np.testing.assert_allclose(first.features, right.features, atol=0.02 * right.features.max())
        assert (precision == FLOAT32) == np.array_equal(first.features, right.features)
        assert first.arithmetic == precision
        assert first.unreadable == right.unreadable
    assert set(kind.least_cosine) == set(kind.most_difference) == set(kind.precisions)
    assert kind.least_cosine.get(FLOAT32, 0.99999) == 0.99999
    assert kind.most_difference.get(FLOAT32, 1e-4) == 1e-4


def test_only_texts_and_sounds_are_filled_up():
    assert Preprocessor.filling is None
