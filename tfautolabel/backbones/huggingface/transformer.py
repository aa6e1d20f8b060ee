"""The block of image and sound transformers, and the mean over the real frames of the result.

Vaswani et al. 2017, arXiv 1706.03762; with the norm before attention and perceptron (Xiong et al. 2020, arXiv
2002.04745) or after them.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.huggingface.tensors import NamedTensors
from tfautolabel.backbones.networks.shapes import Shape

ACTIVATIONS = {
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
    "silu": tf.nn.silu,
    "quick_gelu": lambda x: x * tf.sigmoid(1.702 * x),
}
"""Activations by their names in config.json."""


@keras.saving.register_keras_serializable("tfautolabel")
class TransformerBlock(layers.Layer):
    """Self-attention and a two-layer perceptron, each added to its input.

    Args:
        width: d.
        heads: number of attention heads.
        hidden: width of the perceptron.
        epsilon: epsilon of the layer norms.
        norm_first: whether the norms are before attention and perceptron, instead of after the sums.
        activation: one of `ACTIVATIONS`.
        gated: whether the perceptron's first half, after the activation, multiplies its second half (Shazeer
            2020, arXiv 2002.05202).
        causal: whether a row attends to itself and the rows before it only.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, l, d) float32.
        counts: (w,) int32, how many rows of each window are real; all by default. The rows after them are not
            attended to.

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
        norm_first: bool = True,
        activation: str = "gelu",
        gated: bool = False,
        causal: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_activation(activation)
        if width % heads:
            raise ValueError(f"the attention heads must divide the width. Received: {heads} and {width}")
        self.width, self.heads, self.hidden, self.epsilon = width, heads, hidden, epsilon
        self.norm_first, self.activation, self.gated, self.causal = norm_first, activation, gated, causal
        shapes = {"qkv": (width, 3 * width), "out": (width, width), "contract": (hidden, width)}
        shapes["expand"] = (width, 2 * hidden if gated else hidden)
        self.kernels = {n: self.add_weight(shape=s, name=f"{n}_kernel") for n, s in shapes.items()}
        self.biases = {
            n: self.add_weight(shape=s[1:], initializer="zeros", name=f"{n}_bias") for n, s in shapes.items()
        }
        self.attention_norm = layers.LayerNormalization(epsilon=epsilon, name="attention_norm")
        self.perceptron_norm = layers.LayerNormalization(epsilon=epsilon, name="perceptron_norm")
        for norm in (self.attention_norm, self.perceptron_norm):
            norm.build((None, width))
        self.built = True

    def call(self, rows: tf.Tensor, counts: tf.Tensor | None = None) -> tf.Tensor:
        """See the class."""
        shape = tf.shape(rows)
        flat = tf.reshape(rows, [-1, self.width])
        if self.norm_first:
            flat += self._attend(self.attention_norm(flat), shape, counts)
            flat += self._perceptron(self.perceptron_norm(flat))
        else:
            flat = self.attention_norm(flat + self._attend(flat, shape, counts))
            flat = self.perceptron_norm(flat + self._perceptron(flat))
        return tf.reshape(flat, shape)

    def _dense(self, flat: tf.Tensor, name: str) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(flat, self.kernels[name].value), self.biases[name].value)

    def _perceptron(self, flat: tf.Tensor) -> tf.Tensor:
        hidden, activate = self._dense(flat, "expand"), ACTIVATIONS[self.activation]
        if self.gated:
            gate, hidden = tf.split(hidden, 2, axis=-1)
            return self._dense(activate(gate) * hidden, "contract")
        return self._dense(activate(hidden), "contract")

    def _attend(self, flat: tf.Tensor, shape: tf.Tensor, counts: tf.Tensor | None) -> tf.Tensor:
        """Maps (w * l, d) to (w * l, d)."""
        size = self.width // self.heads
        split = tf.reshape(self._dense(flat, "qkv"), [shape[0], shape[1], 3, self.heads, size])
        query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]), num=3)
        scores = tf.matmul(query * size**-0.5, key, transpose_b=True)
        if counts is not None:
            real = tf.sequence_mask(counts, shape[1])
            scores += tf.where(real, 0.0, -1e9)[:, None, None, :]
        if self.causal:
            before = tf.linalg.band_part(tf.ones([shape[1], shape[1]], tf.bool), -1, 0)
            scores += tf.where(before, 0.0, -1e9)
        mixed = tf.matmul(tf.nn.softmax(scores), value)
        return self._dense(tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, self.width]), "out")

    def compute_output_shape(self, rows_shape: Any, counts_shape: Any = None) -> Any:  # noqa: ARG002
        """Returns (w, l, d)."""
        return rows_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        names = ("width", "heads", "hidden", "epsilon", "norm_first", "activation", "gated")
        config = {**super().get_config(), **{name: getattr(self, name) for name in names}}
        # Fingerprints hold the config: those of blocks that see everything stay what they were.
        return config | {"causal": True} if self.causal else config


@keras.saving.register_keras_serializable("tfautolabel")
class MeanOverFrames(layers.Layer):
    """The mean over a clip's real frames.

    Call arguments:
        rows: (w, f, d) float32.
        counts: (w,) int32, how many frames of each clip are real, at least 1.

    Returns:
        (w, d) float32.
    """

    def call(self, rows: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """See the class."""
        real = tf.sequence_mask(counts, tf.shape(rows)[1])[..., None]
        return tf.reduce_sum(tf.where(real, rows, 0.0), axis=1) / tf.cast(counts, rows.dtype)[:, None]

    def compute_output_shape(self, rows_shape: Shape, counts_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, d)."""
        return (rows_shape[0], rows_shape[-1])


def check_activation(name: str) -> None:
    """Raises an error for an unknown activation.

    Raises:
        ValueError: If it is not one of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"an activation must be one of {list(ACTIVATIONS)}. Received: {name!r}")


def check_layer(layer: int, depth: int) -> int:
    """Returns the number of blocks to run for the hidden state that the option `layer` names.

    Raises:
        ValueError: If the network has no such hidden state.
    """
    if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer <= depth:
        raise ValueError(f"layer must be a whole number from 0 to {depth}. Received: {layer!r}")
    return layer


def set_block(
    block: TransformerBlock,
    tensors: NamedTensors,
    prefix: str,
    names: dict[str, tuple[str, ...]],
    scales: tuple[str, str] | None = None,
) -> None:
    """Sets a block's weights from a checkpoint.

    Args:
        block: the block.
        tensors: the checkpoint's tensors.
        prefix: the text before the block's names.
        names: the names of the dense layers under "qkv", "out", "expand" and "contract", which are
            concatenated. The names of the norms under "attention_norm" and "perceptron_norm".
        scales: names of the factors for each number that attention and perceptron add (LayerScale, Touvron et
            al. 2021, arXiv 2103.17239). They become part of the dense layers before them.
    """
    factors: dict[str, np.ndarray] = {}
    if scales is not None:
        factors = dict(zip(("out", "contract"), (tensors[prefix + name] for name in scales), strict=True))
    for part in block.kernels:
        kernel, bias = tensors.dense(*(prefix + name for name in names[part]))
        block.kernels[part].assign(kernel * factors.get(part, 1.0))
        block.biases[part].assign(bias * factors.get(part, 1.0))
    for part in ("attention_norm", "perceptron_norm"):
        getattr(block, part).set_weights(tensors.pair(prefix + names[part][0]))
