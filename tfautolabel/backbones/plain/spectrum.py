"""Sounds as the mean and the spread over time of the energy in 40 bands of pitch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

SAMPLE_RATE = 16_000
WINDOW, HOP, TRANSFORM, BANDS = 400, 160, 512, 40
_LOWEST, _HIGHEST = 60.0, 7_600.0


@keras.saving.register_keras_serializable("tfautolabel")
class BandStatistics(keras.layers.Layer):
    """Describes each clip by its log-mel bands: mean over time, less the clip's level, and spread.

    Call arguments:
        waves: (w, t) float32 in [-1, 1], t >= 400.
        lengths: (w,) int32, samples of each clip. Frames of 25 ms that reach beyond it do not count, but for
            the first.

    Returns:
        (w, 80) float32.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        mel = tf.signal.linear_to_mel_weight_matrix(BANDS, TRANSFORM // 2 + 1, SAMPLE_RATE, _LOWEST, _HIGHEST)
        self._mel = np.asarray(mel)

    def call(self, waves: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        bands = tf.math.log(tf.abs(tf.signal.stft(waves, WINDOW, HOP, TRANSFORM)) @ self._mel + 1e-4)
        count = tf.maximum((lengths - WINDOW) // HOP + 1, 1)
        within = tf.sequence_mask(count, tf.shape(bands)[1], tf.float32)[..., None]
        total = tf.cast(count, tf.float32)[:, None]
        mean = tf.reduce_sum(bands * within, axis=1) / total
        squares = tf.reduce_sum(tf.square(bands - mean[:, None, :]) * within, axis=1) / total
        return tf.concat([mean - tf.reduce_mean(mean, axis=1, keepdims=True), tf.sqrt(squares)], axis=1)

    def compute_output_shape(self, waves_shape: Shape, lengths_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, 80)."""
        return (waves_shape[0], 2 * BANDS)


def build_spectrum() -> tuple[WavePreprocessor, keras.Model]:
    """Builds the decoder, and the network from samples to 80 numbers per clip."""
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    bands = BandStatistics(name="bands")(waves, lengths)
    network = keras.Model([waves, lengths], bands, name="plain_spectrum")
    return WavePreprocessor(SAMPLE_RATE, min_samples=WINDOW), network
