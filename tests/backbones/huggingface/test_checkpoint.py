import json

import numpy as np
import pytest
from text_checkpoints import make_text_checkpoint, write, write_safetensors

import tfautolabel as tal
from tfautolabel.backbones.huggingface import FAMILIES
from tfautolabel.backbones.huggingface.checkpoint import read_checkpoint

TENSORS = {"a.weight": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.ones(2, "<f4")}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "config.json", {"model_type": "lenet"})
    write_safetensors(tmp_path / "model.safetensors", TENSORS)
    return tmp_path


def test_config_tensors_and_further_files(folder):
    read = read_checkpoint(folder)
    assert (read.folder, read.config) == (folder, {"model_type": "lenet"})
    assert set(read.tensors) == set(TENSORS)
    np.testing.assert_array_equal(read.tensors["a.weight"], TENSORS["a.weight"])
    assert read.json("preprocessor_config.json") is None
    write(folder, "preprocessor_config.json", {"size": 3})
    assert read.json("preprocessor_config.json") == {"size": 3}


def test_shards(folder):
    (folder / "model.safetensors").unlink()
    names = {name: f"model-{number}.safetensors" for number, name in enumerate(TENSORS)}
    for name, file in names.items():
        write_safetensors(folder / file, {name: TENSORS[name]})
    write(folder, "model.safetensors.index.json", {"metadata": {}, "weight_map": names})
    assert set(read_checkpoint(folder).tensors) == set(TENSORS)
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists model-1\.safetensors, .*config\.json, model-0"):
        read_checkpoint(folder)
    for hostile in ({"a": "../model.safetensors"}, {"a": 3}, {}, None):
        write(folder, "model.safetensors.index.json", {"weight_map": hostile})
        with pytest.raises(ValueError, match="must list each tensor's file in the same folder"):
            read_checkpoint(folder)


def test_halves_are_widened_and_old_names_renewed(folder):
    values = np.array([1.5, -2.25, 3e-5, 65504], np.float32)
    bfloat = (values.view("<u4") >> 16).astype("<u2")
    parts = {
        "x.LayerNorm.gamma": ("F16", values.astype("<f2")),
        "x.LayerNorm.beta": ("BF16", bfloat),
        "gamma": ("F64", values.astype("<f8")),
    }
    header, body = {}, b""
    for name, (kind, value) in parts.items():
        header[name] = {"dtype": kind, "shape": [4], "data_offsets": [len(body), len(body) + value.nbytes]}
        body += value.tobytes()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    tensors = read_checkpoint(folder).tensors
    assert set(tensors) == {"x.LayerNorm.weight", "x.LayerNorm.bias", "gamma"}
    np.testing.assert_array_equal(tensors["x.LayerNorm.weight"], values.astype("<f2").astype(np.float32))
    np.testing.assert_array_equal(tensors["x.LayerNorm.bias"], (bfloat.astype("<u4") << 16).view("<f4"))
    assert {name: value.dtype.name for name, value in tensors.items()} == {
        "x.LayerNorm.weight": "float32",
        "x.LayerNorm.bias": "float32",
        "gamma": "float64",
    }


def test_what_is_missing_is_said_with_what_is_there(folder):
    (folder / "model.safetensors").rename(folder / "weights.h5")
    with pytest.raises(
        FileNotFoundError, match=r"model\.safetensors or pytorch_model\.bin.*with config\.json, weights\.h5"
    ):
        read_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"must hold config\.json\. Received: .* with weights\.h5"):
        read_checkpoint(folder)
    with pytest.raises(FileNotFoundError, match="which is no folder"):
        read_checkpoint(folder / "nowhere")


@pytest.mark.parametrize(("content", "message"), [("{", "is not JSON"), ("[]", "must be a JSON object")])
def test_a_config_that_is_none(folder, content, message):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(folder)


def test_a_family_that_is_not_known(folder):
    with pytest.raises(ValueError, match=r"model_type must be one of bert, .*Received: 'lenet' in "):
        tal.load_backbone(f"hf:{folder}")
    assert "lenet" not in FAMILIES


def test_a_folder_may_be_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_text_checkpoint(tmp_path / "bert", "bert")
    assert tal.load_backbone("hf:~/bert").feature_dim == 32
