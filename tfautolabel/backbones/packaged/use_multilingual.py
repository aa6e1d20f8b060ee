"""Builds Google's multilingual Universal Sentence Encoder, version 3 (Yang et al. 2019, arXiv 1907.04307).

This is the convolutional variant. It uses the tokens and n-grams of two, three and five tokens, then a sum
over the text divided by the root of its length, then a small perceptron. The embedding table has 8-bit
numbers, in blocks with one scale and one offset each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.preprocessors.texts.sentencepiece import SentencePiecePreprocessor

BLOCKS = 17
"""Piece i of the vocabulary is in block i mod 17, row i div 17."""

BRANCHES = ((2, 0), (3, 1), (5, 2))
"""The n-gram length of each branch, and how many of its tokens are on the left."""

UNKNOWN, BEGIN, END = 0, 1, 2
MAX_LENGTH = 256


@keras.saving.register_keras_serializable("tfautolabel")
class QuantisedEmbedding(layers.Layer):
    """Returns rows of a table of 8-bit numbers, with the scale and the offset of each row's block.

    Args:
        vocabulary: number of rows.
        width: d.
        blocks: number of scales. Row i has the scale of block i mod `blocks`.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        tokens: (w, l) int32. A negative token gives an arbitrary row.

    Returns:
        (w, l, d) float32.
    """

    def __init__(self, vocabulary: int, width: int, blocks: int, **options: Any) -> None:
        super().__init__(**options)
        self.vocabulary, self.width, self.blocks = vocabulary, width, blocks
        shape = (vocabulary, width)
        self.table = self.add_weight(
            shape=shape, dtype="uint8", initializer="zeros", trainable=False, name="table"
        )
        self.scale = self.add_weight(shape=(blocks,), name="scale")
        self.offset = self.add_weight(shape=(blocks,), name="offset")
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        tokens = tf.maximum(tokens, 0)
        block = tokens % self.blocks
        rows = tf.cast(tf.gather(self.table.value, tokens), tf.float32)
        return (
            rows * tf.gather(self.scale.value, block)[..., None]
            + tf.gather(self.offset.value, block)[..., None]
        )

    def compute_output_shape(self, tokens_shape: Shape) -> Shape:
        """Returns (w, l, d)."""
        return (*tokens_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        own = {"vocabulary": self.vocabulary, "width": self.width, "blocks": self.blocks}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("tfautolabel")
class NgramBranches(layers.Layer):
    """Concatenates the embeddings with two residual convolutions over n-grams of each length.

    Args:
        width: d, the width of the embeddings.
        branch: b, the width of each branch.
        epsilon: epsilon of the layer norms.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        embedded: (w, l, d) float32.
        tokens: (w, l) int32, -1 after a text's end.

    Returns:
        (w, l, d + 3 b) float32, normalised; zeros after a text's end.
    """

    def __init__(self, width: int, branch: int, epsilon: float, **options: Any) -> None:
        super().__init__(**options)
        self.width, self.branch, self.epsilon = width, branch, epsilon
        joint = branch * len(BRANCHES)
        self.project = self.add_weight(shape=(width, joint), name="project")
        self.project_bias = self.add_weight(shape=(joint,), name="project_bias")
        self.kernels = [
            [self.add_weight(shape=(n, branch, branch), name=f"kernel{n}_{k}") for k in (1, 2)]
            for n, _ in BRANCHES
        ]
        self.biases = [
            [self.add_weight(shape=(branch,), name=f"bias{n}_{k}") for k in (1, 2)] for n, _ in BRANCHES
        ]
        self.inner_norm = layers.LayerNormalization(epsilon=epsilon, name="inner_norm")
        self.outer_norm = layers.LayerNormalization(epsilon=epsilon, name="outer_norm")
        self.inner_norm.build((None, None, joint))
        self.outer_norm.build((None, None, width + joint))
        self.built = True

    def call(self, embedded: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        mask = tf.cast(tokens >= 0, tf.float32)[..., None]
        shape = tf.shape(embedded)
        flat = tf.matmul(tf.reshape(embedded, [-1, self.width]), self.project.value)
        flat = tf.nn.bias_add(flat, self.project_bias.value)
        joint = self.inner_norm(tf.reshape(flat, [shape[0], shape[1], self.branch * len(BRANCHES)]))
        parts = [embedded]
        for index, (n, left) in enumerate(BRANCHES):
            rows = joint[..., index * self.branch : (index + 1) * self.branch]
            for kernel, bias in zip(self.kernels[index], self.biases[index], strict=True):
                # Tokens outside the text count as zeros.
                padded = tf.pad(rows * mask, [[0, 0], [left, n - 1 - left], [0, 0]])
                found = tf.nn.conv1d(padded, kernel.value, 1, "VALID")
                rows = tf.nn.relu(tf.nn.bias_add(found, bias.value)) + rows
            parts.append(rows)
        return self.outer_norm(tf.concat(parts, axis=-1)) * mask

    def compute_output_shape(self, embedded_shape: Shape, tokens_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, l, d + 3 b)."""
        return (*embedded_shape[:2], self.width + self.branch * len(BRANCHES))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        own = {"width": self.width, "branch": self.branch, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("tfautolabel")
class SentenceSum(layers.Layer):
    """Divides the sum over a text by the root of its length, and applies a perceptron with two shortcuts.

    Args:
        shapes: shapes of the kernels by name: `pool` and the perceptron's `d0` to `d3`, `p1`, `p3`.
        epsilon: keeps the length of a vector from being zero.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, l, c) float32, zeros after a text's end.
        tokens: (w, l) int32, -1 after a text's end.

    Returns:
        (w, e) float32 of length 1.
    """

    def __init__(self, shapes: dict[str, tuple[int, int]], epsilon: float, **options: Any) -> None:
        super().__init__(**options)
        self.shapes, self.epsilon = {name: tuple(shape) for name, shape in shapes.items()}, epsilon
        self.kernels = {name: self.add_weight(shape=shape, name=name) for name, shape in self.shapes.items()}
        self.pool_bias = self.add_weight(shape=self.shapes["pool"][1:], name="pool_bias")
        self.built = True

    def call(self, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        length = tf.reduce_sum(tf.cast(tokens >= 0, tf.float32), axis=1, keepdims=True)
        kernel = {name: weight.value for name, weight in self.kernels.items()}
        pooled = tf.matmul(tf.reduce_sum(rows, axis=1), kernel["pool"]) + length * self.pool_bias.value
        pooled *= tf.math.rsqrt(length)
        first = tf.nn.relu(tf.matmul(pooled, kernel["d0"]))
        second = tf.nn.relu(tf.matmul(pooled, kernel["p1"]) + tf.matmul(first, kernel["d1"]))
        third = tf.nn.relu(tf.matmul(second, kernel["d2"]))
        output = tf.tanh(tf.matmul(second, kernel["p3"]) + tf.matmul(third, kernel["d3"]))
        return tf.math.l2_normalize(output, axis=-1, epsilon=self.epsilon)

    def compute_output_shape(self, rows_shape: Shape, tokens_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, e)."""
        return (rows_shape[0], self.shapes["d3"][1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "shapes": self.shapes, "epsilon": self.epsilon}


def build_use_multilingual(
    weights: Path, model: Path, long_text: str = "truncate"
) -> tuple[SentencePiecePreprocessor, keras.Model]:
    """Builds the tokenizer, and the network from token ids to unit vectors of 512 numbers.

    Args:
        weights: weights.npz.
        model: sp.model.
        long_text: "truncate" or "average", what to do with texts of more than 256 tokens.

    Raises:
        MissingExtraError: If TensorFlow Text is not installed.
    """
    preprocessor = SentencePiecePreprocessor(
        model.read_bytes(),
        begin=BEGIN,
        end=END,
        unknown=UNKNOWN,
        max_length=MAX_LENGTH,
        long_text=long_text,
    )
    with np.load(weights, allow_pickle=False) as values:
        return preprocessor, _network(values)


def _network(values: Any) -> keras.Model:
    blocks = [values[f"q{number + 1}"] for number in range(BLOCKS)]
    width, epsilon = blocks[0].shape[1], float(values["eps"])
    table = np.empty((BLOCKS * len(blocks[0]), width), np.uint8)
    for number, block in enumerate(blocks):
        table[number::BLOCKS] = block
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedding = QuantisedEmbedding(len(table), width, BLOCKS, name="embedding")
    branch = values["b1_2"].shape[0]
    ngrams = NgramBranches(width, branch, epsilon, name="ngrams")
    kernels = {"pool": values["cnn_W"]} | {
        name: values[name] for name in ("d0", "d1", "d2", "d3", "p1", "p3")
    }
    tail = SentenceSum({name: kernel.shape for name, kernel in kernels.items()}, epsilon, name="sentence")
    rows = ngrams(embedding(tokens), tokens)
    model = keras.Model(tokens, tail(rows, tokens), name="use_multilingual_v3")
    for weight, value in (
        (embedding.table, table),
        (embedding.scale, values["scale"]),
        (embedding.offset, values["lo"]),
    ):
        weight.assign(np.reshape(value, weight.shape))
    _set_branches(ngrams, values)
    for name, kernel in kernels.items():
        tail.kernels[name].assign(kernel)
    tail.pool_bias.assign(values["cnn_b"])
    return model


def _set_branches(ngrams: NgramBranches, values: Any) -> None:
    def joined(name: str, axis: int) -> np.ndarray:
        return np.concatenate([values[f"{name}{n}"] for n, _ in BRANCHES], axis)

    ngrams.project.assign(joined("proj", 1))
    ngrams.project_bias.assign(joined("proj_b", 0))
    ngrams.inner_norm.set_weights([joined("ln_g", 0), joined("ln_b", 0)])
    ngrams.outer_norm.set_weights([values["ln_g"], values["ln_b"]])
    for index, (n, _) in enumerate(BRANCHES):
        for layer in (0, 1):
            kernel = ngrams.kernels[index][layer]
            kernel.assign(np.reshape(values[f"w{layer + 1}_{n}"], kernel.shape))
            ngrams.biases[index][layer].assign(values[f"b{layer + 1}_{n}"])
