"""Resemblyzer's voice encoder (Wan et al. 2018, arXiv 1710.10467): who speaks, not what is said.

Mel frames of 10 ms pass through three LSTM layers. Windows of 160 frames, one every 77 frames, give unit
vectors. Their mean, scaled to unit length, is the clip's vector. The original first removes long silences.
This version does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.formats.torch_checkpoint import read_torch_checkpoint
from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.backbones.networks.spectra import hann, slaney_mel
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

SAMPLE_RATE = 16_000
WINDOW, HOP, MELS = 400, 160, 40
PART_FRAMES, PART_STEP = 160, 77
MIN_COVERAGE = 0.75
"""The last window is left out if a smaller share of it than this is inside the clip."""

LOUDNESS = -30.0
"""Target loudness in decibels of full scale. Quieter clips are raised to it, louder ones are not changed."""

LSTM_LAYERS = 3


@keras.saving.register_keras_serializable("tfautolabel")
class VoiceWindows(layers.Layer):
    """Converts samples to windows of mel frames, with all windows of all clips in one batch.

    Call arguments:
        waves: (w, t) float32 in [-1, 1], zeros after a clip's end.
        lengths: (w,) int32, samples of each clip, at least 1.

    Returns:
        (w * p, 160, 40) float32, where p windows are enough for the longest clip.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._mel = slaney_mel(MELS, WINDOW, SAMPLE_RATE)

    def call(self, waves: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        samples = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, None]
        loudness = tf.sqrt(tf.reduce_sum(tf.square(waves), axis=1, keepdims=True) / samples + 1e-20)
        waves *= tf.maximum(10.0 ** (LOUDNESS / 20.0) / loudness, 1.0)
        parts = tf.reduce_max(window_counts(lengths))
        total = ((parts - 1) * PART_STEP + PART_FRAMES) * HOP
        missing = tf.maximum(total - tf.shape(waves)[1], 0)
        waves = tf.pad(waves, [[0, 0], [WINDOW // 2, WINDOW // 2 + missing]])
        spectrum = tf.signal.stft(waves, WINDOW, HOP, WINDOW, window_fn=hann)
        mel = tf.square(tf.abs(spectrum)) @ self._mel
        windows = tf.signal.frame(mel, PART_FRAMES, PART_STEP, axis=1)[:, :parts]
        return tf.reshape(windows, [-1, PART_FRAMES, MELS])

    def compute_output_shape(self, waves_shape: Shape, lengths_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w * p, 160, 40)."""
        return (None, PART_FRAMES, MELS)


@keras.saving.register_keras_serializable("tfautolabel")
class MeanVoice(layers.Layer):
    """Returns the mean of each clip's windows, scaled to unit length.

    Call arguments:
        vectors: (w * p, d) float32.
        lengths: (w,) int32, samples of each clip.

    Returns:
        (w, d) float32 of length 1.
    """

    def call(self, vectors: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        counts = window_counts(lengths)
        grouped = tf.reshape(vectors, [tf.size(lengths), -1, vectors.shape[1]])
        within = tf.sequence_mask(counts, tf.shape(grouped)[1], tf.float32)[..., None]
        return tf.math.l2_normalize(tf.reduce_sum(grouped * within, axis=1), axis=1)

    def compute_output_shape(self, vectors_shape: Shape, lengths_shape: Shape) -> Shape:
        """Returns (w, d)."""
        return (lengths_shape[0], vectors_shape[1])


def window_counts(lengths: tf.Tensor) -> tf.Tensor:
    """Returns how many windows cover clips of (w,) int32 samples, as (w,) int32."""
    frames = (lengths + HOP) // HOP  # ceil((samples + 1) / HOP)
    steps = tf.maximum(1, frames - PART_FRAMES + PART_STEP + 1)
    counts = (steps + PART_STEP - 1) // PART_STEP
    covered = tf.cast(lengths - (counts - 1) * PART_STEP * HOP, tf.float32) / (PART_FRAMES * HOP)
    return tf.where((counts > 1) & (covered < MIN_COVERAGE), counts - 1, counts)


def build_resemblyzer(weights: Path) -> tuple[WavePreprocessor, keras.Model]:
    """Builds the decoder, and the network from samples to unit vectors of 256 numbers.

    Args:
        weights: pretrained.pt.
    """
    tensors = read_torch_checkpoint(weights)
    state = {name.removeprefix("model_state."): value for name, value in tensors.items()}
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    x = VoiceWindows(name="windows")(waves, lengths)
    for index in range(LSTM_LAYERS):
        lstm = layers.LSTM(256, return_sequences=index < LSTM_LAYERS - 1, name=f"lstm{index}")
        x = lstm(x)
        kernels = (state[f"lstm.weight_{kind}_l{index}"].T for kind in ("ih", "hh"))
        # PyTorch has two biases. Keras has their sum.
        lstm.set_weights([*kernels, state[f"lstm.bias_ih_l{index}"] + state[f"lstm.bias_hh_l{index}"]])
    dense = layers.Dense(256, activation="relu", name="dense")
    x = layers.UnitNormalization(name="unit")(dense(x))
    dense.set_weights([state["linear.weight"].T, state["linear.bias"]])
    model = keras.Model([waves, lengths], MeanVoice(name="voice")(x, lengths), name="resemblyzer")
    return WavePreprocessor(SAMPLE_RATE), model
