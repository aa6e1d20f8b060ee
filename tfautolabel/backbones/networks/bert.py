"""The encoder of BERT (Devlin et al. 2019, arXiv 1810.04805) and of similar models, for token ids.

All weights of a text model are in a few layers. The dense layers work on (tokens, width) matrices, because
TensorFlow fuses this form with bias and activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.networks.pooling import TokenPooling, UnitLength
from tfautolabel.backbones.networks.shapes import Shape

ACTIVATIONS = {
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: tf.nn.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
    "silu": tf.nn.silu,
}
"""Activations by their names in configurations."""

_RELATIVE_BUCKETS, _FARTHEST = 32, 128
"""MPNet's number of distance buckets, and the distance in tokens from which on all share one bucket."""


@keras.saving.register_keras_serializable("tfautolabel")
class TokenEmbedding(layers.Layer):
    """Adds token, position and type embeddings, and normalises the sum.

    Args:
        vocabulary: number of tokens.
        width: d.
        positions: the most tokens of a text.
        epsilon: epsilon of the layer norm.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        tokens: (w, l) int32, -1 after a text's end.

    Returns:
        (w, l, d) float32.
    """

    def __init__(self, vocabulary: int, width: int, positions: int, epsilon: float, **options: Any) -> None:
        super().__init__(**options)
        self.vocabulary, self.width, self.positions = vocabulary, width, positions
        self.epsilon = epsilon
        self.token = self.add_weight(shape=(vocabulary, width), name="token")
        # There is only one sentence, so its type embedding is added to the positions once.
        self.position = self.add_weight(shape=(positions, width), name="position")
        self.norm = layers.LayerNormalization(epsilon=epsilon, name="norm")
        self.norm.build((None, None, width))
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = tf.gather(self.token.value, tf.maximum(tokens, 0))
        return self.norm(rows + self.position.value[: tf.shape(tokens)[1]])

    def compute_output_shape(self, tokens_shape: Shape) -> Shape:
        """Returns (w, l, d)."""
        return (*tokens_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        own = {"vocabulary": self.vocabulary, "width": self.width, "positions": self.positions}
        return {**super().get_config(), **own, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("tfautolabel")
class EncoderBlock(layers.Layer):
    """Self-attention and a two-layer perceptron, each added to its input and normalised.

    Args:
        width: d.
        heads: number of attention heads.
        hidden: width of the perceptron.
        epsilon: epsilon of the layer norms.
        activation: one of `ACTIVATIONS`.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, l, d) float32.
        tokens: (w, l) int32, -1 at positions that are not attended to.
        bias: (heads, l, l) float32, added to the attention scores; none by default.

    Returns:
        (w, l, d) float32.

    Raises:
        ValueError: If the activation is unknown or the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        epsilon: float,
        activation: str = "gelu",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if activation not in ACTIVATIONS:
            raise ValueError(f"an activation must be one of {list(ACTIVATIONS)}. Received: {activation!r}")
        if width % heads:
            raise ValueError(f"the attention heads must divide the width. Received: {heads} and {width}")
        self.activation = activation
        self.width, self.heads, self.hidden, self.epsilon = width, heads, hidden, epsilon
        shapes = {"qkv": (width, 3 * width), "out": (width, width), "expand": (width, hidden)}
        shapes["contract"] = (hidden, width)
        self.kernels = {n: self.add_weight(shape=s, name=f"{n}_kernel") for n, s in shapes.items()}
        self.biases = {
            n: self.add_weight(shape=s[1:], initializer="zeros", name=f"{n}_bias") for n, s in shapes.items()
        }
        self.attention_norm = layers.LayerNormalization(epsilon=epsilon, name="attention_norm")
        self.output_norm = layers.LayerNormalization(epsilon=epsilon, name="output_norm")
        for norm in (self.attention_norm, self.output_norm):
            norm.build((None, width))
        self.built = True

    def call(self, rows: tf.Tensor, tokens: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        """See the class."""
        shape = tf.shape(rows)
        flat = tf.reshape(rows, [-1, self.width])
        flat = self.attention_norm(flat + self._dense(self._attend(flat, shape, tokens, bias), "out"))
        hidden = ACTIVATIONS[self.activation](self._dense(flat, "expand"))
        flat = self.output_norm(flat + self._dense(hidden, "contract"))
        return tf.reshape(flat, shape)

    def _dense(self, flat: tf.Tensor, name: str) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(flat, self.kernels[name].value), self.biases[name].value)

    def _attend(
        self, flat: tf.Tensor, shape: tf.Tensor, tokens: tf.Tensor, bias: tf.Tensor | None
    ) -> tf.Tensor:
        """Maps (w * l, d) to (w * l, d)."""
        size = self.width // self.heads
        split = tf.reshape(self._dense(flat, "qkv"), [shape[0], shape[1], 3, self.heads, size])
        query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]), num=3)
        scores = tf.matmul(query * size**-0.5, key, transpose_b=True)
        if bias is not None:
            scores += bias
        scores += tf.where(tokens >= 0, 0.0, -1e9)[:, None, None, :]
        mixed = tf.matmul(tf.nn.softmax(scores), value)
        return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, self.width])

    def compute_output_shape(self, rows_shape: Any, tokens_shape: Any, bias_shape: Any = None) -> Any:  # noqa: ARG002
        """Returns (w, l, d)."""
        return rows_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        names = ("width", "heads", "hidden", "epsilon", "activation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfautolabel")
class RelativePositions(layers.Layer):
    """Gives the attention bias of each head for the distance between two tokens, as in MPNet.

    Song et al. 2020, arXiv 2004.09297, after Raffel et al. 2020, arXiv 1910.10683.

    Args:
        heads: number of attention heads.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        tokens: (w, l) int32.

    Returns:
        (heads, l, l) float32.
    """

    def __init__(self, heads: int, **options: Any) -> None:
        super().__init__(**options)
        self.heads = heads
        self.table = self.add_weight(shape=(_RELATIVE_BUCKETS, heads), name="table")
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        place = tf.range(tf.shape(tokens)[1])
        distance = place[None, :] - place[:, None]
        half = _RELATIVE_BUCKETS // 2
        exact = half // 2
        size = tf.abs(distance)
        scale = tf.math.log(tf.maximum(tf.cast(size, tf.float32), 1.0) / exact) / np.log(_FARTHEST / exact)
        far = tf.minimum(exact + tf.cast(scale * (half - exact), tf.int32), half - 1)
        bucket = tf.where(size < exact, size, far) + tf.where(distance > 0, half, 0)
        return tf.transpose(tf.gather(self.table.value, bucket), [2, 0, 1])

    def compute_output_shape(self, tokens_shape: Shape) -> Shape:
        """Returns (heads, l, l)."""
        return (self.heads, tokens_shape[1], tokens_shape[1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "heads": self.heads}


@dataclass(frozen=True)
class BlockNames:
    """A checkpoint's names for the parts of a block. The defaults are BERT's names.

    Attributes:
        block: the text before a block's number.
        qkv: query, key and value.
        out: the dense layer after the attention.
        attention_norm: the norm after `out`.
        expand: the first dense layer of the perceptron.
        contract: the second dense layer of the perceptron.
        output_norm: the norm after `contract`.
    """

    block: str = "encoder.layer."
    qkv: tuple[str, str, str] = ("attention.self.query", "attention.self.key", "attention.self.value")
    out: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    expand: str = "intermediate.dense"
    contract: str = "output.dense"
    output_norm: str = "output.LayerNorm"


BERT_NAMES = BlockNames()

RELATIVE_BIAS = "encoder.relative_attention_bias.weight"
"""A tensor that only MPNet has."""

PROJECTION = "embeddings_project"
"""The dense layer between embedding and blocks in small ELECTRA models."""


def build_encoder(
    weights: Mapping[str, np.ndarray],
    *,
    heads: int,
    epsilon: float,
    positions: int | None = None,
    first_position: int = 0,
    activation: str = "gelu",
    names: BlockNames = BERT_NAMES,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Builds an encoder like BERT's with its weights, which decide sizes and depth.

    Args:
        weights: tensors under the names of a Hugging Face checkpoint, without the model's prefix.
        heads: number of attention heads.
        epsilon: epsilon of the layer norms.
        positions: the most tokens of a text, by default as many as the weights have.
        first_position: the row of the first token's position in the table of positions.
        activation: activation of the perceptrons, one of `ACTIVATIONS`.
        names: the names of the blocks' parts.

    Returns:
        The symbolic input, (w, l) int32 token ids with -1 after a text's end, and the symbolic (w, l, d) rows
        of the last block.

    Raises:
        ValueError: If a tensor is missing.
    """
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    try:
        rows = _embed(
            tokens, weights, epsilon, slice(first_position, positions and first_position + positions)
        )
        inputs = [tokens]
        if RELATIVE_BIAS in weights:
            relative = RelativePositions(heads, name="relative_positions")
            relative.set_weights([weights[RELATIVE_BIAS]])
            inputs.append(relative(tokens))
        depth = sum(key.startswith(names.block) and key.endswith(f"{names.expand}.bias") for key in weights)
        for index in range(depth):
            prefix = f"{names.block}{index}."
            hidden = len(weights[f"{prefix}{names.expand}.bias"])
            block = EncoderBlock(rows.shape[-1], heads, hidden, epsilon, activation, name=f"block{index}")
            _set_block(block, weights, prefix, names)
            rows = block(rows, *inputs)
    except KeyError as error:
        raise ValueError(
            f"weights of a BERT encoder must hold {error}. Received: none of that name"
        ) from error
    return tokens, rows


def build_bert(
    weights: Mapping[str, np.ndarray], *, heads: int, epsilon: float, name: str, positions: int | None = None
) -> keras.Model:
    """Builds an encoder followed by the mean over each text's tokens, scaled to unit length.

    Args:
        weights: tensors under the names of a Hugging Face BERT checkpoint.
        heads: number of attention heads.
        epsilon: epsilon of the layer norms.
        name: the model's name.
        positions: the most tokens of a text, by default as many as the weights have.

    Returns:
        A functional model from (w, l) int32 token ids, -1 after a text's end, to (w, d) unit vectors.

    Raises:
        ValueError: If a tensor is missing.
    """
    tokens, rows = build_encoder(weights, heads=heads, epsilon=epsilon, positions=positions)
    pooled = TokenPooling(["mean"], name="pool")(rows, tokens)
    return keras.Model(tokens, UnitLength(name="unit_length")(pooled), name=name)


def _embed(
    tokens: keras.KerasTensor, weights: Mapping[str, np.ndarray], epsilon: float, places: slice
) -> keras.KerasTensor:
    token = weights["embeddings.word_embeddings.weight"]
    position = np.asarray(weights["embeddings.position_embeddings.weight"][places], np.float32)
    if "embeddings.token_type_embeddings.weight" in weights:
        position = position + weights["embeddings.token_type_embeddings.weight"][0]
    norm = [weights[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")]
    embedding = TokenEmbedding(len(token), token.shape[1], len(position), epsilon, name="embedding")
    embedding.set_weights([token, position, *norm])
    rows = embedding(tokens)
    if f"{PROJECTION}.weight" in weights:
        kernel = weights[f"{PROJECTION}.weight"].T
        projection = layers.Dense(kernel.shape[1], name="projection")
        rows = projection(rows)
        projection.set_weights([kernel, weights[f"{PROJECTION}.bias"]])
    return rows


def _set_block(
    block: EncoderBlock, weights: Mapping[str, np.ndarray], prefix: str, names: BlockNames
) -> None:
    def dense(*parts: str) -> tuple[np.ndarray, np.ndarray]:
        kernels = [weights[f"{prefix}{part}.weight"].T for part in parts]
        return np.concatenate(kernels, axis=1), np.concatenate([weights[f"{prefix}{p}.bias"] for p in parts])

    values = {
        "qkv": dense(*names.qkv),
        "out": dense(names.out),
        "expand": dense(names.expand),
        "contract": dense(names.contract),
    }
    for part, (kernel, bias) in values.items():
        block.kernels[part].assign(kernel)
        block.biases[part].assign(bias)
    for norm, name in ((block.attention_norm, names.attention_norm), (block.output_norm, names.output_norm)):
        norm.set_weights([weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"]])
