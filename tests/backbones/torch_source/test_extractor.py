import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from collections import OrderedDict  # noqa: E402

from torch import nn  # noqa: E402
from torch_networks import Residual, Transformer  # noqa: E402

from tfautolabel.backbones.torch_source.extractor import extractor, load_weights, read_weights  # noqa: E402


class Classifier(nn.Module):
    """Averages its pictures' colours; the classifier has the name and the form that it is given."""

    def __init__(self, name, classifier):
        super().__init__()
        setattr(self, name, classifier)
        self.name = name

    def forward(self, x):
        return getattr(self, self.name)(x.mean((2, 3)))


PICTURES = torch.rand(2, 3, 4, 4)
COLOURS = PICTURES.mean((2, 3))


@pytest.mark.parametrize(
    ("name", "classifier", "head"),
    [
        ("fc", nn.Linear(3, 7), "fc"),
        ("_fc", nn.Linear(3, 7), "_fc"),
        ("classifier", nn.Linear(3, 7), "classifier"),
        ("classifier", nn.Sequential(nn.Dropout(), nn.Linear(3, 7)), "classifier.1"),
        ("head", nn.Linear(3, 7), "head"),
        ("head", nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(3, 7)), nn.Dropout()), "head.1.0"),
        ("heads", nn.Sequential(OrderedDict(head=nn.Linear(3, 7))), "heads.head"),
        ("last_linear", nn.Linear(3, 7), "last_linear"),
    ],
)
def test_head_is_taken_out(name, classifier, head):
    module = Classifier(name, classifier)
    features, found = extractor(module, keep_head=False)
    assert found == head
    torch.testing.assert_close(features(PICTURES), COLOURS)
    assert module(PICTURES).shape == (2, 7), "the user's own module is as it was"
    kept, found = extractor(module, keep_head=True)
    assert found == ""
    torch.testing.assert_close(kept(PICTURES), module.eval()(PICTURES))


def test_only_the_last_layer_of_a_classifier_goes():
    classifier = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 7))
    features, head = extractor(Classifier("classifier", classifier), keep_head=False)
    assert head == "classifier.3"
    torch.testing.assert_close(features(PICTURES), classifier[:2](COLOURS))


@pytest.mark.parametrize("classifier", [nn.Identity(), nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))])
def test_what_does_not_end_in_a_linear_layer_stays(classifier):
    module = Classifier("classifier", classifier)
    features, head = extractor(module, keep_head=False)
    assert head == ""
    torch.testing.assert_close(features(PICTURES), module(PICTURES))


def test_timm_takes_its_own_head_out():
    class Timm(nn.Module):
        """Has timm's method, and a linear layer that is no head although it is named like one."""

        def __init__(self):
            super().__init__()
            self.fc, self.top = nn.Linear(3, 3), nn.Linear(3, 7)

        def reset_classifier(self, num_classes):
            assert num_classes == 0
            self.top = nn.Identity()

        def forward(self, x):
            return self.top(self.fc(x.mean((2, 3))))

    module = Timm()
    features, head = extractor(module, keep_head=False)
    assert head == "reset_classifier"
    torch.testing.assert_close(features(PICTURES), module.fc(COLOURS))
    assert isinstance(module.top, nn.Linear)


def test_maps_are_averaged_and_half_precision_is_widened():
    module = nn.Conv2d(3, 5, 1).half()
    features, _ = extractor(module, keep_head=False)
    expected = module.float()(PICTURES).mean((2, 3))
    torch.testing.assert_close(features(PICTURES), expected)


def test_dropout_does_nothing():
    features, _ = extractor(nn.Sequential(nn.Dropout(0.9), nn.Flatten()), keep_head=False)
    torch.testing.assert_close(features(PICTURES), PICTURES.flatten(1))


@pytest.mark.parametrize(
    ("result", "received"),
    [
        (lambda x: (x, x), "tuple"),
        (lambda x: {"features": x}, "dict"),
        (lambda x: x.flatten(2), r"shape \(2, 3, 16\)"),
    ],
)
def test_result_that_is_no_vector(result, received):
    class Odd(nn.Module):
        def forward(self, x):
            return result(x)

    with pytest.raises(TypeError, match=f"one tensor .*Received: {received}"):
        extractor(Odd(), keep_head=False)[0](PICTURES)


def fresh():
    torch.manual_seed(1)
    return Residual().eval()


def saved(tensors, folder, suffix):
    """A weights file, with safetensors written by hand: a length, a header, raw tensors."""
    path = folder / f"weights{suffix}"
    if suffix != ".safetensors":
        torch.save(tensors, path)
        return path
    import json

    header, body = {}, b""
    for name, tensor in tensors.items():
        content = tensor.numpy().tobytes()
        kind = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}[tensor.dtype]
        place = [len(body), len(body) + len(content)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": place}
        body += content
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
def test_weights_are_read(suffix, tmp_path):
    source = fresh()
    file = saved(source.state_dict(), tmp_path, suffix)
    module = Residual().eval()
    load_weights(module, file, module)
    pictures = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(module(pictures), source(pictures))


@pytest.mark.parametrize("prefix", ["module.", "model.", "state_dict.", "state_dict.module."])
def test_prefixes_of_training_programs(prefix, tmp_path):
    source = fresh()
    tensors = {prefix + name: value for name, value in source.state_dict().items()}
    file = saved({**tensors, "optimizer.step": torch.ones(1)}, tmp_path, ".pth")
    module = Residual().eval()
    load_weights(module, file, module)
    torch.testing.assert_close(module.state_dict(), source.state_dict())


def test_checkpoint_with_nested_state_and_numbers(tmp_path):
    source = fresh()
    file = saved({"epoch": 3, "state_dict": source.state_dict()}, tmp_path, ".pt")
    module = Residual().eval()
    load_weights(module, file, module)
    torch.testing.assert_close(module.state_dict(), source.state_dict())


def test_head_for_other_classes_is_left_out(tmp_path):
    torch.manual_seed(1)
    source = Residual(classes=9)
    file = saved(source.state_dict(), tmp_path, ".safetensors")
    features, _ = extractor(Residual(classes=3), keep_head=False, weights=file)
    torch.testing.assert_close(features.network.conv1.weight.data, source.conv1.weight.data)
    with pytest.raises(ValueError, match=r"fc\.bias in .* shape \(3,\) for Residual\. Received: \(9,\)"):
        extractor(Residual(classes=3), keep_head=True, weights=file)


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    module = Residual()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tensors = fresh().state_dict()
    other = saved(Transformer().state_dict(), tmp_path, ".pt")
    with pytest.raises(ValueError, match=r"weights of Residual; it lacks \['bn1\.bias'.* Received: \["):
        load_weights(module, other, module)
    wrong = saved({**tensors, "last.weight": torch.zeros(2, 2)}, tmp_path, ".pth")
    with pytest.raises(ValueError, match=r"last\.weight in .* shape \(12, 8, 1, 1\) .* Received: \(2, 2\)"):
        load_weights(module, wrong, module)
    more = saved({**tensors, "unheard.of": torch.zeros(2)}, tmp_path, ".bin")
    with pytest.raises(ValueError, match=r"a place for\. Received: \['unheard\.of'\]"):
        load_weights(module, more, module)
    torch.testing.assert_close(module.state_dict(), before)


class Hostile:
    def __reduce__(self):
        return (open, (HOSTILE_FILE, "w"))


HOSTILE_FILE = ""


@pytest.mark.parametrize("write", ["torch", "pickle", "module"])
def test_hostile_pickle_is_refused(write, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "HOSTILE_FILE", str(tmp_path / "owned"))
    file = tmp_path / "weights.pt"
    if write == "pickle":
        file.write_bytes(pickle.dumps(Hostile()))
    else:
        torch.save(Residual() if write == "module" else {"a": Hostile()}, file)
    with pytest.raises(ValueError, match="is not a PyTorch checkpoint that can be read"):
        load_weights(Residual(), file, Residual())
    assert not (tmp_path / "owned").exists()


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent\.pt"):
        read_weights(tmp_path / "absent.pt")
    with pytest.raises(ValueError, match=r"ends in \.safetensors, .*Received: .*weights\.h5"):
        read_weights(tmp_path / "weights.h5")
    (tmp_path / "weights.safetensors").write_bytes(np.zeros(3).tobytes())
    with pytest.raises(ValueError, match="is not a safetensors file"):
        read_weights(tmp_path / "weights.safetensors")
