"""Builds wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477) and HuBERT (Hsu et al. 2021, arXiv 2106.07447).

A clip's features are the mean of one hidden state over its real frames. They are the same in any batch. For a
single clip they equal those of transformers. In a padded batch, those of transformers change with the padding
if feat_extract_norm is "group". Ours do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from tfautolabel.backbones.huggingface.tensors import NamedTensors, preprocessor_settings, setting
from tfautolabel.backbones.huggingface.transformer import (
    MeanOverFrames,
    TransformerBlock,
    check_layer,
    set_block,
)
from tfautolabel.backbones.huggingface.wave_layers import (
    ConvolutionalPosition,
    FrameCounts,
    StandardisedWave,
    WaveConvolution,
    receptive_field,
)
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

if TYPE_CHECKING:
    from tfautolabel.backbones.huggingface.checkpoint import Checkpoint

WINDOW_SECONDS = 15.0
"""Longer clips are cut. This is about the longest clip in the training of the base models."""

_BLOCK_NAMES = {
    "qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    "out": ("attention.out_proj",),
    "expand": ("feed_forward.intermediate_dense",),
    "contract": ("feed_forward.output_dense",),
    "attention_norm": ("layer_norm",),
    "perceptron_norm": ("final_layer_norm",),
}


def build_wav2vec2(
    checkpoint: Checkpoint, *, layer: int | None = None, window_seconds: float = WINDOW_SECONDS
) -> tuple[WavePreprocessor, keras.Model]:
    """Builds the decoder, and the network from samples to vectors.

    Args:
        checkpoint: a checkpoint of model_type "wav2vec2" or "hubert", with preprocessor_config.json.
        layer: the hidden state to average. 0 is the input of the first block, and i is the output of block i.
            The number of blocks means the last output, after the last norm if there is one. The default is
            two thirds of the way up. The middle layers and those just above distinguish sounds and words
            best. The last layers return to what training predicts (Pasad et al. 2021, arXiv 2107.04734).
            Lower layers distinguish speakers better. The blocks above are left out.
        window_seconds: longer clips are cut into windows, and the mean over the windows is used.

    Returns:
        A `WavePreprocessor`, and a functional model from (w, t) float32 samples and (w,) int32 lengths to
        (w, d) float32.

    Raises:
        ValueError: If a tensor or setting is missing, the network has parts that are not known here, or an
            option is not valid.
    """
    config = checkpoint.config
    prepared = preprocessor_settings(checkpoint.json("preprocessor_config.json"))
    tensors = NamedTensors(checkpoint.tensors, "feature_projection.projection.weight")
    _check_parts(config)
    if not window_seconds > 0:
        raise ValueError(f"window_seconds must be more than 0. Received: {window_seconds!r}")
    depth = setting(config, "num_hidden_layers")
    used = check_layer(round(depth * 2 / 3) if layer is None else layer, depth)
    kernels, strides = setting(config, "conv_kernel"), setting(config, "conv_stride")
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    samples = waves
    if prepared.get("do_normalize", True):
        samples = StandardisedWave(name="standardised")(waves, lengths)
    counts = FrameCounts(kernels, strides, name="counts")(lengths)
    rows = _convolutions(config, tensors, samples, lengths)
    rows = _projection(config, tensors, rows)
    rows = _position(config, tensors)(rows, counts)
    # The extra norm comes after all blocks if the blocks have their norms first, else before all blocks.
    stable = config.get("do_stable_layer_norm", False)
    if not stable:
        rows = _norm(config, tensors, "encoder.layer_norm", "norm")(rows)
    for block in _blocks(config, tensors, used, stable):
        rows = block(rows, counts)
    if stable and used == depth:
        rows = _norm(config, tensors, "encoder.layer_norm", "norm")(rows)
    features = MeanOverFrames(name="pool")(rows, counts)
    model = keras.Model([waves, lengths], features, name=config["model_type"])
    rate = setting(prepared, "sampling_rate", "preprocessor_config.json")
    return WavePreprocessor(rate, window_seconds, receptive_field(kernels, strides)), model


def _check_parts(config: dict[str, Any]) -> None:
    """Raises an error for parts of a checkpoint that this network does not support."""
    for part in ("conv_pos_batch_norm", "adapter_attn_dim"):
        if config.get(part):
            raise ValueError(f"config.json must not ask for {part}. Received: {config[part]!r}")


def _convolutions(
    config: dict[str, Any], tensors: NamedTensors, samples: keras.KerasTensor, lengths: keras.KerasTensor
) -> keras.KerasTensor:
    """Maps (w, t) samples to (w, f, c) frames."""
    kind = setting(config, "feat_extract_norm")
    rows = layers.Reshape((-1, 1), name="steps")(samples)
    reach, step = 1, 1
    sizes = zip(setting(config, "conv_kernel"), setting(config, "conv_stride"), strict=True)
    for index, (size, stride) in enumerate(sizes):
        prefix = f"feature_extractor.conv_layers.{index}."
        kernel = tensors[f"{prefix}conv.weight"].transpose(2, 1, 0)
        reach, step = reach + (size - 1) * step, step * stride
        convolution = WaveConvolution(
            kernel.shape[1],
            kernel.shape[2],
            size,
            stride,
            kind if kind == "layer" or index == 0 else "none",
            reach,
            step,
            setting(config, "feat_extract_activation"),
            name=f"convolution{index}",
        )
        rows = convolution(rows, lengths)
        bias = f"{prefix}conv.bias"
        values = [kernel, tensors[bias] if bias in tensors else np.zeros(kernel.shape[2], np.float32)]
        if convolution.norm != "none":
            values += tensors.pair(f"{prefix}layer_norm")
        convolution.set_weights(values)
    return rows


def _projection(config: dict[str, Any], tensors: NamedTensors, rows: keras.KerasTensor) -> keras.KerasTensor:
    """Maps (w, f, c) to (w, f, d)."""
    if config.get("feat_proj_layer_norm", True):
        rows = _norm(config, tensors, "feature_projection.layer_norm", "projection_norm")(rows)
    kernel, bias = tensors.dense("feature_projection.projection")
    dense = layers.Dense(kernel.shape[1], name="projection")
    rows = dense(rows)
    dense.set_weights([kernel, bias])
    return rows


def _norm(config: dict[str, Any], tensors: NamedTensors, stored: str, name: str) -> layers.LayerNormalization:
    """Returns a layer norm with its weights."""
    norm = layers.LayerNormalization(epsilon=setting(config, "layer_norm_eps"), name=name)
    weight, bias = tensors.pair(stored)
    norm.build((None, None, len(weight)))
    norm.set_weights([weight, bias])
    return norm


def _position(config: dict[str, Any], tensors: NamedTensors) -> ConvolutionalPosition:
    """Returns the layer with its weights. Its kernel is stored as directions and a length per position."""
    name = "encoder.pos_conv_embed.conv"
    parts = (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1")
    if parts[0] not in tensors:  # names before torch 2.0
        parts = (f"{name}.weight_g", f"{name}.weight_v")
    length, direction = (np.asarray(tensors[part], np.float32) for part in parts)
    direction = direction / np.sqrt(np.sum(np.square(direction), axis=(0, 1), keepdims=True))
    layer = ConvolutionalPosition(
        len(direction),
        direction.shape[2],
        setting(config, "num_conv_pos_embedding_groups"),
        setting(config, "feat_extract_activation"),
        name="position",
    )
    layer.set_weights([(length * direction).transpose(2, 1, 0), tensors[f"{name}.bias"]])
    return layer


def _blocks(
    config: dict[str, Any], tensors: NamedTensors, number: int, norm_first: bool
) -> list[TransformerBlock]:
    """Returns the first blocks with their weights."""
    blocks = []
    for index in range(number):
        block = TransformerBlock(
            setting(config, "hidden_size"),
            setting(config, "num_attention_heads"),
            setting(config, "intermediate_size"),
            setting(config, "layer_norm_eps"),
            norm_first,
            setting(config, "hidden_act"),
            name=f"block{index}",
        )
        set_block(block, tensors, f"encoder.layers.{index}.", _BLOCK_NAMES)
        blocks.append(block)
    return blocks
