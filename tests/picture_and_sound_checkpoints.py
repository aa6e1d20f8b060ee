"""Small Hugging Face checkpoints of image and sound models with made-up weights, the same at every call.

Names and shapes are those that transformers writes.
"""

import json
import struct
from pathlib import Path

import numpy as np

WIDTH, HEADS, HIDDEN, DEPTH = 32, 4, 48, 2
CONVOLUTIONS = ((8, 10, 5), (8, 3, 2), (8, 2, 2))
"""Width, kernel and step of each."""


def write_safetensors(path, tensors):
    """Float32 tensors to a safetensors file."""
    header, place = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [place, place + value.nbytes]}
        place += value.nbytes
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(v.tobytes() for v in tensors.values()))


class _Weights(dict):
    """Tensors by name, drawn one after the other."""

    def __init__(self):
        super().__init__()
        self._rng = np.random.default_rng(7)

    def draw(self, name, *shape, scale=None, around=0.0):
        scale = (1.5 / np.sqrt(np.prod(shape[1:]))) if scale is None else scale
        self[name] = np.asarray(around + scale * self._rng.normal(size=shape), "<f4")

    def dense(self, name, inputs, outputs, bias=True):
        self.draw(f"{name}.weight", outputs, inputs)
        if bias:
            self.draw(f"{name}.bias", outputs, scale=0.2)

    def norm(self, name, width=WIDTH):
        self.draw(f"{name}.weight", width, scale=0.2, around=1.0)
        self.draw(f"{name}.bias", width, scale=0.2)

    def convolution(self, name, outputs, inputs, *sides, bias=True):
        self.draw(f"{name}.weight", outputs, inputs, *sides)
        if bias:
            self.draw(f"{name}.bias", outputs, scale=0.2)


def _vit(config, prefix):
    weights, kind, patch = _Weights(), config["model_type"], config["patch_size"]
    first = 2 if kind == "deit" else 1
    place = f"{prefix}embeddings."
    weights.draw(f"{place}cls_token", 1, 1, WIDTH, scale=0.5)
    if kind == "deit":
        weights.draw(f"{place}distillation_token", 1, 1, WIDTH, scale=0.5)
    if kind == "dinov2":
        weights.draw(f"{place}mask_token", 1, WIDTH)
    positions = (config["image_size"] // patch) ** 2 + first
    weights.draw(f"{place}position_embeddings", 1, positions, WIDTH, scale=0.5)
    weights.convolution(f"{place}patch_embeddings.projection", WIDTH, 3, patch, patch)
    for index in range(DEPTH):
        place = f"{prefix}encoder.layer.{index}."
        for part in ("query", "key", "value"):
            weights.dense(f"{place}attention.attention.{part}", WIDTH, WIDTH, config["qkv_bias"])
        weights.dense(f"{place}attention.output.dense", WIDTH, WIDTH)
        if kind != "dinov2":
            for part in ("layernorm_before", "layernorm_after"):
                weights.norm(place + part)
            weights.dense(f"{place}intermediate.dense", WIDTH, HIDDEN)
            weights.dense(f"{place}output.dense", HIDDEN, WIDTH)
            continue
        for number in "12":
            weights.norm(f"{place}norm{number}")
            weights.draw(f"{place}layer_scale{number}.lambda1", WIDTH, scale=0.5, around=1.0)
        if config["use_swiglu_ffn"]:
            hidden = (int(WIDTH * config["mlp_ratio"] * 2 / 3) + 7) // 8 * 8
            weights.dense(f"{place}mlp.weights_in", WIDTH, 2 * hidden)
            weights.dense(f"{place}mlp.weights_out", hidden, WIDTH)
        else:
            weights.dense(f"{place}mlp.fc1", WIDTH, WIDTH * config["mlp_ratio"])
            weights.dense(f"{place}mlp.fc2", WIDTH * config["mlp_ratio"], WIDTH)
    weights.norm(f"{prefix}layernorm")
    return weights


def _wav2vec2(config, prefix, position_names):
    weights, inputs = _Weights(), 1
    for index, (width, kernel, _) in enumerate(CONVOLUTIONS):
        place = f"{prefix}feature_extractor.conv_layers.{index}."
        weights.convolution(f"{place}conv", width, inputs, kernel, bias=config["conv_bias"])
        if config["feat_extract_norm"] == "layer" or index == 0:
            weights.norm(f"{place}layer_norm", width)
        inputs = width
    if config.get("feat_proj_layer_norm", True):
        weights.norm(f"{prefix}feature_projection.layer_norm", inputs)
    weights.dense(f"{prefix}feature_projection.projection", inputs, WIDTH)
    place = f"{prefix}encoder.pos_conv_embed.conv."
    kernel, groups = config["num_conv_pos_embeddings"], config["num_conv_pos_embedding_groups"]
    weights.draw(place + position_names[0], 1, 1, kernel, scale=0.2, around=1.0)
    weights.draw(place + position_names[1], WIDTH, WIDTH // groups, kernel)
    weights.draw(f"{place}bias", WIDTH, scale=0.2)
    weights.norm(f"{prefix}encoder.layer_norm")
    for index in range(DEPTH):
        place = f"{prefix}encoder.layers.{index}."
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            weights.dense(f"{place}attention.{part}", WIDTH, WIDTH)
        weights.norm(f"{place}layer_norm")
        weights.dense(f"{place}feed_forward.intermediate_dense", WIDTH, HIDDEN)
        weights.dense(f"{place}feed_forward.output_dense", HIDDEN, WIDTH)
        weights.norm(f"{place}final_layer_norm")
    return weights


def _whisper(config, prefix):
    weights = _Weights()
    place = f"{prefix}encoder."
    weights.convolution(f"{place}conv1", WIDTH, config["num_mel_bins"], 3)
    weights.convolution(f"{place}conv2", WIDTH, WIDTH, 3)
    weights.draw(f"{place}embed_positions.weight", config["max_source_positions"], WIDTH, scale=0.5)
    for index in range(DEPTH):
        part = f"{place}layers.{index}."
        weights.dense(f"{part}self_attn.k_proj", WIDTH, WIDTH, bias=False)
        for name in ("v_proj", "q_proj", "out_proj"):
            weights.dense(f"{part}self_attn.{name}", WIDTH, WIDTH)
        weights.norm(f"{part}self_attn_layer_norm")
        weights.dense(f"{part}fc1", WIDTH, HIDDEN)
        weights.dense(f"{part}fc2", HIDDEN, WIDTH)
        weights.norm(f"{part}final_layer_norm")
    weights.norm(f"{place}layer_norm")
    return weights


_COMMON = {
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
    "intermediate_size": HIDDEN,
    "hidden_act": "gelu",
}
_IMAGE = _COMMON | {"image_size": 24, "patch_size": 6, "layer_norm_eps": 1e-6, "qkv_bias": True}
_DINO = _IMAGE | {"model_type": "dinov2", "mlp_ratio": 3, "use_swiglu_ffn": False}
_SOUND = _COMMON | {
    "model_type": "wav2vec2",
    "layer_norm_eps": 1e-5,
    "conv_dim": [width for width, _, _ in CONVOLUTIONS],
    "conv_kernel": [kernel for _, kernel, _ in CONVOLUTIONS],
    "conv_stride": [step for _, _, step in CONVOLUTIONS],
    "conv_bias": False,
    "num_feat_extract_layers": len(CONVOLUTIONS),
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "do_stable_layer_norm": False,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
_STABLE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
_WHISPER = {
    "model_type": "whisper",
    "d_model": WIDTH,
    "encoder_layers": DEPTH,
    "encoder_attention_heads": HEADS,
    "encoder_ffn_dim": HIDDEN,
    "decoder_layers": 1,
    "decoder_attention_heads": HEADS,
    "decoder_ffn_dim": HIDDEN,
    "activation_function": "gelu",
    "max_source_positions": 1500,
}
_PIXELS = {
    "do_resize": True,
    "size": {"height": 24, "width": 24},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
_CROPPED = _PIXELS | {"size": {"shortest_edge": 40}, "crop_size": {"height": 36, "width": 36}}
_SAMPLES = {"sampling_rate": 16_000, "do_normalize": True}
_MEL = {"sampling_rate": 16_000, "n_fft": 400, "hop_length": 160, "chunk_length": 30}
_NEW = ("parametrizations.weight.original0", "parametrizations.weight.original1")
_OLD = ("weight_g", "weight_v")

MODELS = {
    "vit": (_IMAGE | {"model_type": "vit"}, _PIXELS, lambda c: _vit(c, "vit.")),
    "vit-no-bias": (_IMAGE | {"model_type": "vit", "qkv_bias": False}, _PIXELS, lambda c: _vit(c, "")),
    "deit": (_IMAGE | {"model_type": "deit"}, _PIXELS, lambda c: _vit(c, "")),
    "dinov2": (_DINO, _CROPPED, lambda c: _vit(c, "")),
    "dinov2-gated": (_DINO | {"use_swiglu_ffn": True}, _CROPPED, lambda c: _vit(c, "dinov2.")),
    "wav2vec2": (_SOUND, _SAMPLES, lambda c: _wav2vec2(c, "wav2vec2.", _OLD)),
    "wav2vec2-stable": (_SOUND | _STABLE, _SAMPLES, lambda c: _wav2vec2(c, "", _NEW)),
    "wav2vec2-odd": (
        _SOUND | {"num_conv_pos_embeddings": 15},
        _SAMPLES | {"do_normalize": False},
        lambda c: _wav2vec2(c, "", _NEW),
    ),
    "hubert": (
        _SOUND | {"model_type": "hubert", "feat_proj_layer_norm": False},
        _SAMPLES,
        lambda c: _wav2vec2(c, "", _OLD),
    ),
    "whisper": (
        _WHISPER | {"num_mel_bins": 80},
        _MEL | {"feature_size": 80},
        lambda c: _whisper(c, "model."),
    ),
    "whisper-128": (
        _WHISPER | {"num_mel_bins": 128},
        _MEL | {"feature_size": 128},
        lambda c: _whisper(c, ""),
    ),
}
"""Config, preprocessing settings and a function of the config that gives the tensors."""


def write_checkpoint(folder, name, **changes):
    """Writes one of `MODELS`, with changes to its config, into a folder; gives the folder."""
    config, prepared, weights = MODELS[name]
    config = config | changes
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    write_safetensors(folder / "model.safetensors", weights(config))
    return folder
