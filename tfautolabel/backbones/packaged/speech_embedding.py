"""Builds Google's speech_embedding (Lin et al. 2020, arXiv 2002.01322), for words and commands.

A convolutional network turns every 76 log-mel frames of 10 ms into 96 numbers, one vector every 80 ms. A
clip's features are the mean and the maximum of each number over time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.formats.tflite import Operator, read_tflite
from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

SAMPLE_RATE = 16_000
WINDOW, HOP, BINS, MELS = 512, 160, 257, 32
FRAMES, FRAME_STEP = 76, 8
"""The number of frames that one vector sees, and of frames between two vectors."""

SILENCE = 8000
"""Samples of silence before and after each clip.

A word can be shorter than what one vector sees. With silence around it, it is seen at several positions, as
in the continuous sound of the training. With 8 labelled examples of each spoken digit, accuracy rises from
.54 (a clip padded only after its end) to .97.
"""


@keras.saving.register_keras_serializable("tfautolabel")
class SilenceAround(layers.Layer):
    """Adds silence before and after each clip.

    Call arguments:
        waves: (w, t) float32.

    Returns:
        (w, t + 2 * 8000) float32.
    """

    def call(self, waves: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.pad(waves, [[0, 0], [SILENCE, SILENCE]])

    def compute_output_shape(self, waves_shape: Shape) -> Shape:
        """Returns (w, t + 16000)."""
        return (waves_shape[0], None)


@keras.saving.register_keras_serializable("tfautolabel")
class LogMel(layers.Layer):
    """Converts samples to log-mel frames as in training: in tenths of decibels, with a range of 80 dB.

    Call arguments:
        waves: (w, t) float32 in [-1, 1].
        lengths: (w,) int32, samples of each clip without the silence around it. Frames that reach beyond it
            do not set the level.

    Returns:
        (w, 1 + (t - 512) // 160, 32, 1) float32.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.real = self.add_weight(shape=(WINDOW, BINS), trainable=False, name="real")
        self.imaginary = self.add_weight(shape=(WINDOW, BINS), trainable=False, name="imaginary")
        self.mel = self.add_weight(shape=(BINS, MELS), trainable=False, name="mel")
        self.built = True

    def call(self, waves: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        # The original expects the values of 16-bit samples.
        frames = tf.signal.frame(waves * 32768.0, WINDOW, HOP)
        power = tf.square(frames @ self.real.value) + tf.square(frames @ self.imaginary.value)
        decibels = 10.0 / np.log(10.0) * tf.math.log(tf.maximum(power @ self.mel.value, 1e-10))
        within = tf.sequence_mask(frame_counts(lengths), tf.shape(decibels)[1])[..., None]
        loudest = tf.reduce_max(tf.where(within, decibels, decibels.dtype.min), axis=(1, 2), keepdims=True)
        return (tf.maximum(decibels, loudest - 80.0) / 10.0 + 2.0)[..., None]

    def compute_output_shape(self, waves_shape: Shape, lengths_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, frames, 32, 1)."""
        return (waves_shape[0], None, MELS, 1)


@keras.saving.register_keras_serializable("tfautolabel")
class FlooredLeakyReLU(layers.Layer):
    """Returns the larger of a leaky ReLU and a constant.

    Args:
        slope: slope of the negative part.
        floor: the constant.
        **options: options of `keras.layers.Layer`.
    """

    def __init__(self, slope: float, floor: float, **options: Any) -> None:
        super().__init__(**options)
        self.slope, self.floor = slope, floor

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.maximum(tf.nn.leaky_relu(inputs, self.slope), self.floor)

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        """Returns the shape of the inputs."""
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "slope": self.slope, "floor": self.floor}


@keras.saving.register_keras_serializable("tfautolabel")
class PoolOverTime(layers.Layer):
    """Returns mean and maximum over the vectors that are inside each clip.

    Call arguments:
        vectors: (w, p, d) float32, one every 80 ms.
        lengths: (w,) int32, samples of each clip without the silence around it.

    Returns:
        (w, 2 d) float32.
    """

    def call(self, vectors: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        count = (frame_counts(lengths) - FRAMES) // FRAME_STEP + 1
        within = tf.sequence_mask(count, tf.shape(vectors)[1])[..., None]
        mean = tf.reduce_sum(tf.where(within, vectors, 0.0), axis=1) / tf.cast(count, tf.float32)[:, None]
        largest = tf.reduce_max(tf.where(within, vectors, vectors.dtype.min), axis=1)
        return tf.concat([mean, largest], axis=1)

    def compute_output_shape(self, vectors_shape: Any, lengths_shape: Any) -> Any:  # noqa: ARG002
        """Returns (w, 2 d)."""
        return (vectors_shape[0], 2 * vectors_shape[2])


def frame_counts(lengths: tf.Tensor) -> tf.Tensor:
    """Returns how many log-mel frames clips of (w,) int32 samples have, with silence around them; (w,)."""
    return (lengths + 2 * SILENCE - WINDOW) // HOP + 1


def build_speech_embedding(front_end: Path, network: Path) -> tuple[WavePreprocessor, keras.Model]:
    """Builds the decoder, and the network from samples to 192 numbers per clip.

    Args:
        front_end: melspectrogram.tflite.
        network: embedding_model.tflite.
    """
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    log_mel = LogMel(name="log_mel")
    vectors = _convolutions(log_mel(SilenceAround(name="silence")(waves), lengths), read_tflite(network)[1])
    model = keras.Model(
        [waves, lengths], PoolOverTime(name="pool")(vectors, lengths), name="speech_embedding"
    )
    constants = read_tflite(front_end)[0]
    transforms = [array.reshape(BINS, WINDOW).T for array in constants if array.size == WINDOW * BINS]
    mel = next(array for array in constants if array.size == BINS * MELS)
    log_mel.set_weights([*transforms, mel.reshape(BINS, MELS)])
    return WavePreprocessor(SAMPLE_RATE), model


def _convolutions(frames: keras.KerasTensor, operators: list[Operator]) -> keras.KerasTensor:
    """Maps (w, frames, 32, 1) to (w, p, 96), with the layers of the file."""
    x, slope, number = frames, 0.0, 0
    for operator in operators:
        options = operator.options
        if operator.name == "CONV_2D":
            kernel, bias = operator.constants[0].transpose(1, 2, 3, 0), operator.constants[1]
            if kernel.shape[1] == 3:  # zeros beside the mel bands, none before or after in time
                x = layers.ZeroPadding2D(((0, 0), (1, 1)), name=f"pad{number}")(x)
            convolution = layers.Conv2D(kernel.shape[3], kernel.shape[:2], name=f"convolution{number}")
            x = convolution(x)
            convolution.set_weights([kernel, bias])
        elif operator.name == "MAX_POOL_2D" and options is not None:
            strides = options.number(2, "i"), options.number(1, "i")
            size = options.number(4, "i"), options.number(3, "i")
            x = layers.MaxPooling2D(size, strides, name=f"pooling{number}")(x)
        elif operator.name == "LEAKY_RELU" and options is not None:
            slope = float(options.number(0, "f"))
            continue
        elif operator.name == "MAXIMUM":
            floor = float(operator.constants[0].reshape(-1)[0])
            x = FlooredLeakyReLU(slope, floor, name=f"activation{number}")(x)
        else:
            continue
        number += 1
    return layers.Reshape((-1, x.shape[-1]), name="vectors")(x)
