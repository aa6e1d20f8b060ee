import json
from pathlib import Path

import numpy as np
import pytest
from picture_and_sound_checkpoints import write_checkpoint

from tfautolabel.backbones.huggingface.checkpoint import read_checkpoint
from tfautolabel.backbones.huggingface.vit import build_vit, cubic_weights

GOLDEN = Path(__file__).parents[2] / "golden"


def pixels_of(side):
    with np.load(GOLDEN / "hugging_face_vit.npz") as golden:
        return golden[f"pixels_{side}"].astype("float32")


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
    ("name", "size", "side"),
    [
        ("vit", None, 24),
        ("vit", 36, 36),
        ("vit-no-bias", None, 24),
        ("deit", None, 24),
        ("dinov2", None, 36),
        ("dinov2", 24, 24),
        ("dinov2-gated", None, 36),
    ],
)
def test_golden_parity(name, size, side, pooling, tmp_path):
    """Features of transformers, also where position embeddings are interpolated."""
    preprocessor, network = build_vit(
        read_checkpoint(write_checkpoint(tmp_path, name)), pooling=pooling, size=size
    )
    with np.load(GOLDEN / "hugging_face_vit.npz") as golden:
        wanted = golden[f"{name}{f'-{size}' if size else ''}_{pooling}"]
    assert preprocessor.size == side
    np.testing.assert_allclose(network(pixels_of(side)), wanted, atol=2e-5)


def test_pixels_are_scaled_as_the_checkpoint_says(tmp_path):
    """Without rescaling or normalising, the network is shown what it is given."""
    folder = write_checkpoint(tmp_path, "vit")
    usual = build_vit(read_checkpoint(folder))[1](pixels_of(24))
    prepared = json.loads((folder / "preprocessor_config.json").read_text())
    bare = prepared | {"do_rescale": False, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(bare))
    scaled = (pixels_of(24) / 255 - prepared["image_mean"]) / prepared["image_std"]
    np.testing.assert_allclose(build_vit(read_checkpoint(folder))[1](scaled), usual, atol=1e-5)


def test_what_is_left_beside_whole_patches_is_not_seen(tmp_path):
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, "vit"))
    preprocessor, network = build_vit(checkpoint, size=27)
    assert preprocessor.size == 27
    pixels = np.zeros((2, 27, 27, 3), "float32")
    pixels[:, :24, :24] = pixels_of(24)
    pixels[:, 24:] = 255
    np.testing.assert_allclose(network(pixels), build_vit(checkpoint)[1](pixels_of(24)), atol=1e-6)


def test_interpolation_keeps_what_is_constant_and_what_is_there():
    np.testing.assert_allclose(cubic_weights(5, 5), np.eye(5), atol=1e-12)
    for old, new in ((3, 8), (37, 16), (1, 4)):
        np.testing.assert_allclose(cubic_weights(old, new).sum(axis=1), 1)


def test_missing_parts_are_named(tmp_path):
    folder = write_checkpoint(tmp_path, "vit", num_hidden_layers=3)
    with pytest.raises(ValueError, match=r"a tensor 'vit\.encoder\.layer\.2\.attention.*none of that name"):
        build_vit(read_checkpoint(folder))
    folder = write_checkpoint(tmp_path, "vit", layer_norm_eps=None)
    with pytest.raises(ValueError, match=r"config\.json must say 'layer_norm_eps'"):
        build_vit(read_checkpoint(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0, 0, 0]}))
    with pytest.raises(ValueError, match=r"preprocessor_config\.json must say 'image_std'"):
        build_vit(read_checkpoint(folder))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"must hold preprocessor_config\.json"):
        build_vit(read_checkpoint(folder))
    folder = write_checkpoint(tmp_path, "whisper")
    with pytest.raises(ValueError, match=r"'embeddings\.patch_embeddings.*tensors of other names"):
        build_vit(read_checkpoint(folder))


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"pooling": "max"}, r"one of \['cls', 'mean'\]\. Received: 'max'"),
        ({}, {"size": 5}, r"from 6 on\. Received: 5"),
        ({}, {"size": 24.0}, r"Received: 24\.0"),
        ({"hidden_act": "tanh"}, {}, r"'gelu_new'.*Received: 'tanh'"),
        ({"num_attention_heads": 5}, {}, r"must divide the width\. Received: 5 and 32"),
    ],
)
def test_what_is_not_valid(changes, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        build_vit(read_checkpoint(write_checkpoint(tmp_path, "vit", **changes)), **options)
