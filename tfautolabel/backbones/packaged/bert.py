"""The encoder of BERT (Devlin et al. 2019, arXiv 1810.04805) on token ids, pooled to one vector a text.

All weights of one text model are in few layers, and the dense ones work on (tokens, width) matrices, which
is the form that TensorFlow fuses with bias and activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("tfautolabel")
class TokenEmbedding(layers.Layer):
    """Token, position and type embeddings, added and normalised.

    Args:
        vocabulary: number of tokens.
        width: d.
        positions: the most tokens of a text.
        epsilon: of the layer norm.
        **options: of `keras.layers.Layer`.

    Call arguments:
        tokens: (w, l) int32, -1 behind a text's end.

    Returns:
        (w, l, d) float32.
    """

    def __init__(self, vocabulary: int, width: int, positions: int, epsilon: float, **options: Any) -> None:
        super().__init__(**options)
        self.vocabulary, self.width, self.positions = vocabulary, width, positions
        self.epsilon = epsilon
        self.token = self.add_weight(shape=(vocabulary, width), name="token")
        # The type of the only sentence never changes: it is added to the positions once and for all.
        self.position = self.add_weight(shape=(positions, width), name="position")
        self.norm = layers.LayerNormalization(epsilon=epsilon, name="norm")
        self.norm.build((None, None, width))
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = tf.gather(self.token.value, tf.maximum(tokens, 0))
        return self.norm(rows + self.position.value[: tf.shape(tokens)[1]])

    def compute_output_shape(self, tokens_shape: Any) -> tuple[int | None, ...]:
        """(w, l, d)."""
        return (*tokens_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        own = {"vocabulary": self.vocabulary, "width": self.width, "positions": self.positions}
        return {**super().get_config(), **own, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("tfautolabel")
class EncoderBlock(layers.Layer):
    """Self-attention and a two-layer perceptron, each added to its input and normalised.

    Args:
        width: d.
        heads: number of attention heads.
        hidden: width of the perceptron.
        epsilon: of the layer norms.
        **options: of `keras.layers.Layer`.

    Call arguments:
        rows: (w, l, d) float32.
        tokens: (w, l) int32, -1 where nothing is to be attended to.

    Returns:
        (w, l, d) float32.
    """

    def __init__(self, width: int, heads: int, hidden: int, epsilon: float, **options: Any) -> None:
        super().__init__(**options)
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

    def call(self, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        shape = tf.shape(rows)
        flat = tf.reshape(rows, [-1, self.width])
        flat = self.attention_norm(flat + self._dense(self._attend(flat, shape, tokens), "out"))
        hidden = tf.nn.gelu(self._dense(flat, "expand"), approximate=False)
        flat = self.output_norm(flat + self._dense(hidden, "contract"))
        return tf.reshape(flat, shape)

    def _dense(self, flat: tf.Tensor, name: str) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(flat, self.kernels[name].value), self.biases[name].value)

    def _attend(self, flat: tf.Tensor, shape: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """(w * l, d) to (w * l, d)."""
        size = self.width // self.heads
        split = tf.reshape(self._dense(flat, "qkv"), [shape[0], shape[1], 3, self.heads, size])
        query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]), num=3)
        scores = tf.matmul(query * size**-0.5, key, transpose_b=True)
        scores += tf.where(tokens >= 0, 0.0, -1e9)[:, None, None, :]
        mixed = tf.matmul(tf.nn.softmax(scores), value)
        return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, self.width])

    def compute_output_shape(self, rows_shape: Any, tokens_shape: Any) -> Any:  # noqa: ARG002
        """(w, l, d)."""
        return rows_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        own = {"width": self.width, "heads": self.heads, "hidden": self.hidden, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("tfautolabel")
class MeanOverTokens(layers.Layer):
    """The mean over a text's tokens, scaled to unit length.

    Call arguments:
        rows: (w, l, d) float32.
        tokens: (w, l) int32, -1 behind a text's end.

    Returns:
        (w, d) float32 of length 1.
    """

    def call(self, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        real = tf.cast(tokens >= 0, rows.dtype)[..., None]
        mean = tf.reduce_sum(rows * real, axis=1) / tf.maximum(tf.reduce_sum(real, axis=1), 1.0)
        return tf.math.l2_normalize(mean, axis=-1, epsilon=1e-24)

    def compute_output_shape(self, rows_shape: Any, tokens_shape: Any) -> Any:  # noqa: ARG002
        """(w, d)."""
        return (rows_shape[0], rows_shape[-1])


def build_bert(
    weights: Mapping[str, np.ndarray], *, heads: int, epsilon: float, name: str, positions: int | None = None
) -> keras.Model:
    """Builds an encoder of BERT's kind with its weights; sizes and depth are those of the weights.

    Args:
        weights: tensors under the names of a Hugging Face BERT checkpoint.
        heads: number of attention heads.
        epsilon: of the layer norms.
        name: of the model.
        positions: the most tokens of a text, by default as many as the weights know.

    Returns:
        A functional model from (w, l) int32 token ids, -1 behind a text's end, to (w, d) unit vectors.

    Raises:
        ValueError: If a tensor is missing.
    """
    try:
        return _build(weights, heads, epsilon, name, positions)
    except KeyError as error:
        raise ValueError(
            f"weights of a BERT encoder must hold {error}. Received: none of that name"
        ) from error


def _build(
    weights: Mapping[str, np.ndarray], heads: int, epsilon: float, name: str, positions: int | None
) -> keras.Model:
    token = weights["embeddings.word_embeddings.weight"]
    position = weights["embeddings.position_embeddings.weight"][:positions]
    kind = weights["embeddings.token_type_embeddings.weight"][0]
    hidden = len(weights["encoder.layer.0.intermediate.dense.bias"])
    depth = sum(key.endswith("intermediate.dense.bias") for key in weights)
    width = token.shape[1]
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedding = TokenEmbedding(len(token), width, len(position), epsilon, name="embedding")
    rows = embedding(tokens)
    blocks = [EncoderBlock(width, heads, hidden, epsilon, name=f"block{i}") for i in range(depth)]
    for block in blocks:
        rows = block(rows, tokens)
    model = keras.Model(tokens, MeanOverTokens(name="pool")(rows, tokens), name=name)
    norm = "embeddings.LayerNorm"
    embedding.set_weights([token, position + kind, weights[f"{norm}.weight"], weights[f"{norm}.bias"]])
    for index, block in enumerate(blocks):
        _set_block(block, weights, f"encoder.layer.{index}.")
    return model


def _set_block(block: EncoderBlock, weights: Mapping[str, np.ndarray], prefix: str) -> None:
    def dense(*names: str) -> tuple[np.ndarray, np.ndarray]:
        kernels = [weights[f"{prefix}{name}.weight"].T for name in names]
        return np.concatenate(kernels, axis=1), np.concatenate([weights[f"{prefix}{n}.bias"] for n in names])

    values = {
        "qkv": dense("attention.self.query", "attention.self.key", "attention.self.value"),
        "out": dense("attention.output.dense"),
        "expand": dense("intermediate.dense"),
        "contract": dense("output.dense"),
    }
    for name, (kernel, bias) in values.items():
        block.kernels[name].assign(kernel)
        block.biases[name].assign(bias)
    for norm, place in ((block.attention_norm, "attention.output"), (block.output_norm, "output")):
        place = f"{prefix}{place}.LayerNorm"
        norm.set_weights([weights[f"{place}.weight"], weights[f"{place}.bias"]])
