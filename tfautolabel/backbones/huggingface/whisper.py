"""Builds Whisper's encoder (Radford et al. 2022, arXiv 2212.04356), with one vector per clip.

The input is log-mel frames of 10 ms from a window of 30 seconds, with silence after a clip's end as in
training. The encoder's frames have 20 ms each. The features are the mean over the frames that begin within
the clip.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.huggingface.tensors import NamedTensors, preprocessor_settings, setting
from tfautolabel.backbones.huggingface.transformer import (
    ACTIVATIONS,
    MeanOverFrames,
    TransformerBlock,
    check_layer,
    set_block,
)
from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.backbones.networks.spectra import hann, slaney_mel
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

if TYPE_CHECKING:
    from tfautolabel.backbones.huggingface.checkpoint import Checkpoint

NORM_EPSILON = 1e-5
"""A checkpoint does not say it."""

_DEPTH = 8.0
"""The dynamic range in powers of ten. Quieter values are raised to this far below the loudest one."""

_BLOCK_NAMES = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.out_proj",),
    "expand": ("fc1",),
    "contract": ("fc2",),
    "attention_norm": ("self_attn_layer_norm",),
    "perceptron_norm": ("final_layer_norm",),
}


@keras.saving.register_keras_serializable("tfautolabel")
class WhisperLogMel(layers.Layer):
    """Converts samples to log-mel frames of a window of fixed length.

    Args:
        mels: m, number of mel bands.
        sample_rate: samples per second.
        fft: samples of a frame.
        hop: samples between two frames.
        frames: f, of the window.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        waves: (w, t) float32 in [-1, 1], zeros after a clip's end. Samples after the window are ignored.

    Returns:
        (w, f, m) float32.
    """

    def __init__(self, mels: int, sample_rate: int, fft: int, hop: int, frames: int, **options: Any) -> None:
        super().__init__(**options)
        self.mels, self.sample_rate, self.fft, self.hop, self.frames = mels, sample_rate, fft, hop, frames
        self._filters = slaney_mel(mels, fft, sample_rate)

    def call(self, waves: tf.Tensor) -> tf.Tensor:
        """See the class."""
        samples = self.frames * self.hop
        waves = waves[:, :samples]
        waves = tf.pad(waves, [[0, 0], [0, samples - tf.shape(waves)[1]]])
        waves = tf.pad(waves, [[0, 0], [self.fft // 2, self.fft // 2]], "REFLECT")
        spectrum = tf.signal.stft(waves, self.fft, self.hop, self.fft, window_fn=hann)[:, : self.frames]
        power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
        tens = tf.math.log(tf.maximum(power @ self._filters, 1e-10)) / math.log(10.0)
        loudest = tf.reduce_max(tens, axis=(1, 2), keepdims=True)
        return (tf.maximum(tens, loudest - _DEPTH) + 4.0) / 4.0

    def compute_output_shape(self, waves_shape: Shape) -> Shape:
        """Returns (w, f, m)."""
        return (waves_shape[0], self.frames, self.mels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        names = ("mels", "sample_rate", "fft", "hop", "frames")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfautolabel")
class WhisperStem(layers.Layer):
    """Applies two convolutions over time and adds positions. The second convolution halves the frames.

    Args:
        mels: m, numbers per input frame.
        width: d.
        positions: number of output frames.
        activation: one of `ACTIVATIONS`.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        frames: (w, 2 * positions, m) float32.

    Returns:
        (w, positions, d) float32.
    """

    def __init__(
        self, mels: int, width: int, positions: int, activation: str = "gelu", **options: Any
    ) -> None:
        super().__init__(**options)
        self.mels, self.width, self.positions, self.activation = mels, width, positions, activation
        self.kernels = [
            self.add_weight(shape=(3, inputs, width), name=f"kernel{index}")
            for index, inputs in enumerate((mels, width))
        ]
        self.biases = [
            self.add_weight(shape=(width,), initializer="zeros", name=f"bias{index}") for index in range(2)
        ]
        # Sines, which training did not change.
        self.position = self.add_weight(shape=(positions, width), trainable=False, name="position")
        self.built = True

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = frames
        for kernel, bias, stride in zip(self.kernels, self.biases, (1, 2), strict=True):
            # With a step of 2, "SAME" would pad after the end only.
            rows = tf.nn.conv1d(tf.pad(rows, [[0, 0], [1, 1], [0, 0]]), kernel.value, stride, "VALID")
            rows = ACTIVATIONS[self.activation](tf.nn.bias_add(rows, bias.value))
        return rows + self.position.value

    def compute_output_shape(self, frames_shape: Shape) -> Shape:
        """Returns (w, positions, d)."""
        return (frames_shape[0], self.positions, self.width)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        names = ("mels", "width", "positions", "activation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfautolabel")
class CoveredFrames(layers.Layer):
    """Counts the frames that begin within each clip.

    Args:
        samples: samples between two frames.
        most: total number of frames.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        lengths: (w,) int32, samples of each clip.

    Returns:
        (w,) int32 from 1 to `most`.
    """

    def __init__(self, samples: int, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.samples, self.most = samples, most

    def call(self, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.clip_by_value((lengths + self.samples - 1) // self.samples, 1, self.most)

    def compute_output_spec(self, lengths: keras.KerasTensor) -> keras.KerasTensor:
        """Returns (w,) int32."""
        return keras.KerasTensor(lengths.shape, "int32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "samples": self.samples, "most": self.most}


def build_whisper(
    checkpoint: Checkpoint, *, layer: int | None = None, window_seconds: float | None = None
) -> tuple[WavePreprocessor, keras.Model]:
    """Builds the decoder, and the network from samples to vectors, without the checkpoint's text decoder.

    Args:
        checkpoint: a checkpoint of model_type "whisper", with preprocessor_config.json.
        layer: the hidden state to average. 0 is the input of the first block, and i is the output of block i.
            The number of blocks, the default, means the last output after the last norm. The blocks above are
            left out.
        window_seconds: by default 30 seconds, as the checkpoint was trained. Longer clips are cut into such
            windows, and shorter ones are padded. A shorter window uses only the first positions. It saves
            time in proportion or more, but changes the features: the encoder was trained with silence after
            every clip, and its frames attend to it. Use one length for a whole task.

    Returns:
        A `WavePreprocessor`, and a functional model from (w, t) float32 samples and (w,) int32 lengths to
        (w, d) float32.

    Raises:
        ValueError: If a tensor or setting is missing or an option is not valid.
    """
    config = checkpoint.config
    prepared = preprocessor_settings(checkpoint.json("preprocessor_config.json"))
    tensors = NamedTensors(checkpoint.tensors, "encoder.conv1.weight")
    depth = setting(config, "encoder_layers")
    used = check_layer(depth if layer is None else layer, depth)
    rate, fft, hop = (
        setting(prepared, name, "preprocessor_config.json")
        for name in ("sampling_rate", "n_fft", "hop_length")
    )
    position = np.asarray(tensors["encoder.embed_positions.weight"], np.float32)
    count = _positions(window_seconds, len(position), rate / (2 * hop))
    mels = tensors["encoder.conv1.weight"].shape[1]
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    counts = CoveredFrames(2 * hop, count, name="counts")(lengths)
    rows = WhisperLogMel(mels, rate, fft, hop, 2 * count, name="log_mel")(waves)
    activation = setting(config, "activation_function")
    stem = WhisperStem(mels, position.shape[1], count, activation, name="stem")
    rows = stem(rows)
    for block in _blocks(config, tensors, used):
        rows = block(rows)
    if used == depth:
        norm = layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")
        rows = norm(rows)
        norm.set_weights(tensors.pair("encoder.layer_norm"))
    features = MeanOverFrames(name="pool")(rows, counts)
    model = keras.Model([waves, lengths], features, name="whisper")
    for index in range(2):
        weight, bias = tensors.pair(f"encoder.conv{index + 1}")
        stem.kernels[index].assign(weight.transpose(2, 1, 0))
        stem.biases[index].assign(bias)
    stem.position.assign(position[:count])
    return WavePreprocessor(rate, count * 2 * hop / rate), model


def _positions(window_seconds: float | None, known: int, per_second: float) -> int:
    """Returns how many of the positions a window uses."""
    if window_seconds is None:
        return known
    longest = known / per_second
    if not 1 / per_second <= window_seconds <= longest:
        raise ValueError(
            f"window_seconds must be from {1 / per_second:g} to {longest:g}. Received: {window_seconds!r}"
        )
    return min(math.ceil(window_seconds * per_second - 1e-6), known)


def _blocks(config: dict[str, Any], tensors: NamedTensors, number: int) -> list[TransformerBlock]:
    """Returns the first blocks with their weights. The keys have no bias."""
    blocks = []
    for index in range(number):
        block = TransformerBlock(
            setting(config, "d_model"),
            setting(config, "encoder_attention_heads"),
            setting(config, "encoder_ffn_dim"),
            NORM_EPSILON,
            activation=setting(config, "activation_function"),
            name=f"block{index}",
        )
        set_block(block, tensors, f"encoder.layers.{index}.", _BLOCK_NAMES)
        blocks.append(block)
    return blocks
