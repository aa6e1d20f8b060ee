"""Builds both towers of CLIP (Radford et al. 2021, arXiv 2103.00020) from a checkpoint.

The tower for pictures is the backbone. The tower for texts takes descriptions of classes to where the
pictures are. For the same pixels and tokens, both equal those of transformers. The pixels differ as for
`build_vit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.huggingface.tensors import NamedTensors, preprocessor_settings
from tfautolabel.backbones.huggingface.tokenizers import build_tokenizer
from tfautolabel.backbones.huggingface.transformer import TransformerBlock, set_block
from tfautolabel.backbones.huggingface.vit import PatchEmbedding, PoolTokens, normalised
from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.preprocessors import Preprocessor
from tfautolabel.preprocessors.pictures.image import ImagePreprocessor

if TYPE_CHECKING:
    from tfautolabel.backbones.huggingface.checkpoint import Checkpoint

_NAMES = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.out_proj",),
    "expand": ("mlp.fc1",),
    "contract": ("mlp.fc2",),
    "attention_norm": ("layer_norm1",),
    "perceptron_norm": ("layer_norm2",),
}

_USUAL: dict[str, dict[str, Any]] = {
    "vision_config": {"num_attention_heads": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    "text_config": {"num_attention_heads": 8, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
}
"""What config.json means where it says nothing: transformers leaves out its defaults."""


@keras.saving.register_keras_serializable("tfautolabel")
class TokenRows(layers.Layer):
    """Gives each token its embedding and that of its position.

    Args:
        vocabulary: number of tokens.
        positions: the most tokens of a text.
        width: d.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        tokens: (w, l) int32, padded with -1; l is at most `positions`.

    Returns:
        (w, l, d) float32.
    """

    def __init__(self, vocabulary: int, positions: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.vocabulary, self.positions, self.width = vocabulary, positions, width
        self.embeddings = self.add_weight(shape=(vocabulary, width), name="embeddings")
        self.position = self.add_weight(shape=(positions, width), name="position")
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = tf.gather(self.embeddings.value, tf.maximum(tokens, 0))
        return rows + self.position.value[: tf.shape(tokens)[1]]

    def compute_output_shape(self, tokens_shape: Shape) -> Shape:
        """Returns (w, l, d)."""
        return (*tokens_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        names = ("vocabulary", "positions", "width")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfautolabel")
class RowAtEnd(layers.Layer):
    """Returns the row of the first token that ends a text, which has seen the whole text.

    Args:
        end: the id of that token.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, l, d) float32.
        tokens: (w, l) int32.

    Returns:
        (w, d) float32.
    """

    def __init__(self, end: int, **options: Any) -> None:
        super().__init__(**options)
        self.end = end

    def call(self, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        place = tf.argmax(tf.cast(tokens == self.end, tf.int32), axis=1)
        return tf.gather(rows, place, batch_dims=1)

    def compute_output_shape(self, rows_shape: Shape, tokens_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, d)."""
        return (rows_shape[0], rows_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "end": self.end}


def build_clip(checkpoint: Checkpoint) -> tuple[ImagePreprocessor, keras.Model]:
    """Builds the decoder, and the network from pixels in [0, 255] to the space that both towers share.

    Args:
        checkpoint: a checkpoint of model_type "clip", with preprocessor_config.json.

    Raises:
        ValueError: If a tensor or setting is missing.
    """
    prepared = preprocessor_settings(checkpoint.json("preprocessor_config.json"))
    config = _settings(checkpoint, "vision_config")
    mark = "vision_model.embeddings.patch_embedding.weight"
    tensors = NamedTensors(checkpoint.tensors, mark)
    kernel = tensors[mark]
    width, channels, patch = kernel.shape[:3]
    if channels != 3 or kernel.shape[3] != patch:
        raise ValueError(f"patches must be square and of 3 colours. Received: {kernel.shape[1:]}")
    position = tensors["vision_model.embeddings.position_embedding.weight"]
    side = round((len(position) - 1) ** 0.5)
    if side * side != len(position) - 1:
        raise ValueError(f"the position embeddings must be those of a square. Received: {len(position) - 1}")
    pixels = keras.Input((side * patch, side * patch, 3), name="pixels")
    embedding = PatchEmbedding(patch, width, side * side, 1, name="embedding")
    before, after = (
        layers.LayerNormalization(epsilon=config["layer_norm_eps"], name=name) for name in ("first", "norm")
    )
    rows = before(embedding(normalised(prepared)(pixels)))
    for block in _blocks(tensors, "vision_model.", config, width, causal=False):
        rows = block(rows)
    row = after(PoolTokens("cls", 1, name="pool")(rows))
    projection = np.asarray(tensors["visual_projection.weight"], np.float32)
    project = layers.Dense(len(projection), use_bias=False, name="projection")
    model = keras.Model(pixels, project(row), name="clip_pictures")
    token = tensors["vision_model.embeddings.class_embedding"].reshape(1, width) + position[:1]
    embedding.set_weights([kernel.transpose(2, 3, 1, 0), np.zeros(width), token, position[1:]])
    before.set_weights(tensors.pair("vision_model.pre_layrnorm"))
    after.set_weights(tensors.pair("vision_model.post_layernorm"))
    project.set_weights([projection.T])
    return ImagePreprocessor(side * patch), model


def build_clip_texts(checkpoint: Checkpoint) -> tuple[Preprocessor, keras.Model]:
    """Builds the tokenizer, and the network from token ids to the space that both towers share.

    Args:
        checkpoint: a checkpoint of model_type "clip", with a tokenizer.

    Raises:
        ValueError: If a tensor or setting is missing.
    """
    config = _settings(checkpoint, "text_config")
    mark = "text_model.embeddings.token_embedding.weight"
    tensors = NamedTensors(checkpoint.tensors, mark)
    embeddings, position = tensors[mark], tensors["text_model.embeddings.position_embedding.weight"]
    preprocessor = build_tokenizer(checkpoint, len(position), "truncate")
    _, end = preprocessor.marks()
    width = embeddings.shape[1]
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embed = TokenRows(len(embeddings), len(position), width, name="embedding")
    rows = embed(tokens)
    for block in _blocks(tensors, "text_model.", config, width, causal=True):
        rows = block(rows)
    norm = layers.LayerNormalization(epsilon=config["layer_norm_eps"], name="norm")
    row = RowAtEnd(end, name="pool")(norm(rows), tokens)
    projection = np.asarray(tensors["text_projection.weight"], np.float32)
    project = layers.Dense(len(projection), use_bias=False, name="projection")
    model = keras.Model(tokens, project(row), name="clip_texts")
    embed.set_weights([embeddings, position])
    norm.set_weights(tensors.pair("text_model.final_layer_norm"))
    project.set_weights([projection.T])
    return preprocessor, model


def _settings(checkpoint: Checkpoint, tower: str) -> dict[str, Any]:
    given = checkpoint.config.get(tower) or {}
    return _USUAL[tower] | {name: value for name, value in given.items() if value is not None}


def _blocks(
    tensors: NamedTensors, prefix: str, config: dict[str, Any], width: int, *, causal: bool
) -> list[TransformerBlock]:
    """Returns the blocks of a tower with their weights; the tensors tell how many there are."""
    blocks: list[TransformerBlock] = []
    while f"{prefix}encoder.layers.{len(blocks)}.mlp.fc1.weight" in tensors:
        place = f"{prefix}encoder.layers.{len(blocks)}."
        block = TransformerBlock(
            width,
            config["num_attention_heads"],
            len(tensors[f"{place}mlp.fc1.weight"]),
            config["layer_norm_eps"],
            activation=config["hidden_act"],
            causal=causal,
            name=f"block{len(blocks)}",
        )
        set_block(block, tensors, place, _NAMES)
        blocks.append(block)
    if not blocks:
        raise ValueError(f"the checkpoint must hold a tensor '{prefix}encoder.layers.0.mlp.fc1.weight'")
    return blocks
