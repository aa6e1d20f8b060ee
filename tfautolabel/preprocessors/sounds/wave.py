"""A Keras layer that decodes WAV files to windows of samples. One broken clip cannot fail a batch."""

from __future__ import annotations

import io
import wave
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.data.long_sounds import LongSound
from tfautolabel.data.sound_decoding import MAX_SECONDS
from tfautolabel.data.wav_header import MAX_RATE, MIN_RATE
from tfautolabel.preprocessors.contract import Filling, LongWindows, Preprocessed, Preprocessor, output_spec
from tfautolabel.preprocessors.graphs import graph_of, runs_alone
from tfautolabel.preprocessors.sounds.long_windows import long_windows
from tfautolabel.preprocessors.sounds.resample import resample
from tfautolabel.preprocessors.sounds.riff import decode_wav, in_range

VERSION = 2
"""Increased when the same bytes would give other samples, so that cached features are not mixed up."""


@keras.saving.register_keras_serializable("tfautolabel")
class WavePreprocessor(Preprocessor):
    """Decodes WAV files to samples of one channel at one rate.

    Args:
        sample_rate: samples per second that the network takes.
        window_seconds: the longest window. Longer clips are cut into windows of equal length.
        min_samples: shorter clips are padded with silence to this length.
        max_seconds: longer clips are not read.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, the bytes of n WAV files of any rate. Channels are mixed to one. Samples may be
            integers of 8, 16, 24 or 32 bits, floats of 32 or 64 bits, A-law or mu-law.

    Returns:
        A `Preprocessed` with two inputs: (w, t) float32 samples, zeros after a window's end, and (w,) int32,
        how many of them belong to the clip.
    """

    modality = "audio"
    varying_length = True
    sample_rate: int
    max_batch_bytes = 8 * 1024 * 1024

    def __init__(
        self,
        sample_rate: int = 16_000,
        window_seconds: float = 10.0,
        min_samples: int = 1,
        max_seconds: int = MAX_SECONDS,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sample_rate = sample_rate
        self.window_seconds = window_seconds
        self.min_samples = min_samples
        self.max_seconds = max_seconds
        self._longest = max(int(window_seconds * sample_rate), min_samples)
        self.filling = Filling(0, self._longest)
        self._growth = -(-sample_rate // MIN_RATE)

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        examples = tf.reshape(examples, [-1])
        if runs_alone(self, WavePreprocessor):
            return graph_of(self)(examples)

        def decode(row: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            sound = decode_wav(encoded)
            return row, *self._windows(sound.samples, sound.rate)

        count = tf.size(examples, out_type=tf.int64)

        def several() -> Preprocessed:
            clips = tf.data.Dataset.from_tensor_slices((tf.range(count), examples))
            # Every sample has at least one byte, and becomes at most this many samples.
            samples = tf.reduce_sum(tf.cast(tf.strings.length(examples), tf.int64)) * self._growth
            return self._collect(clips.map(decode, num_parallel_calls=tf.data.AUTOTUNE), count, samples)

        def single() -> Preprocessed:
            # The tensor is shared. A slice of it would be a copy of the whole file.
            clip = tf.data.Dataset.from_tensors((tf.constant(0, tf.int64), examples))
            return self._alone(clip.map(lambda row, encoded: decode(row, tf.reshape(encoded, []))))

        # A long clip is alone in its batch, and its windows need no copies.
        if examples.shape[0] is not None:  # TensorFlow would refuse the other branch
            return single() if examples.shape[0] == 1 else several()
        prepared: Preprocessed = tf.cond(tf.equal(count, 1), single, several)
        return prepared

    def from_waveforms(
        self, waveforms: tf.Tensor, lengths: tf.Tensor, sample_rate: tf.Tensor
    ) -> Preprocessed:
        """Prepares clips that are already decoded.

        Args:
            waveforms: (n, t) float32 in [-1, 1], one channel each.
            lengths: (n,) int32, how many samples of each row count.
            sample_rate: (n,) int32, samples per second.

        Returns:
            The same as `call`. A row is not readable if it has no samples, a sample that is not finite, or an
            impossible rate.
        """

        def cut(
            row: tf.Tensor, samples: tf.Tensor, length: tf.Tensor, rate: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            samples, rate = samples[: tf.maximum(length, 0)], tf.cast(rate, tf.int64)
            usable = (tf.size(samples) > 0) & in_range(samples)
            usable &= (rate >= MIN_RATE) & (rate <= MAX_RATE)
            with tf.control_dependencies([tf.debugging.Assert(usable, ["no sound"])]):
                return row, *self._windows(tf.identity(samples), rate)

        count = tf.shape(waveforms, out_type=tf.int64)[0]
        clips = tf.data.Dataset.from_tensor_slices((tf.range(count), waveforms, lengths, sample_rate))
        samples = tf.size(waveforms, out_type=tf.int64) * self._growth
        return self._collect(clips.map(cut, num_parallel_calls=tf.data.AUTOTUNE), count, samples)

    @property
    def takes_long(self) -> bool:
        """Returns True, unless a subclass may have changed what `call` does."""
        return type(self) is WavePreprocessor

    def long_windows(self, sound: LongSound) -> LongWindows:
        """See `Preprocessor`."""
        return long_windows(sound, self.sample_rate, self._longest, self.min_samples, self.max_seconds)

    def _windows(self, samples: tf.Tensor, rate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a clip's windows, (m, t) float32, and their lengths, (m,) int32."""
        seconds = tf.cast(tf.size(samples), tf.float64) / tf.cast(rate, tf.float64)
        short_enough = tf.debugging.Assert(seconds <= self.max_seconds, ["too long"])
        with tf.control_dependencies([short_enough]):
            samples = resample(tf.identity(samples), rate, self.sample_rate)
        total = tf.size(samples)
        number = (total + self._longest - 1) // self._longest
        length = (total + number - 1) // number
        windows = tf.reshape(tf.pad(samples, [[0, number * length - total]]), [number, length])
        lengths = tf.clip_by_value(total - tf.range(number) * length, 1, length)
        return tf.pad(windows, [[0, 0], [0, tf.maximum(self.min_samples - length, 0)]]), lengths

    def _alone(self, clip: tf.data.Dataset) -> Preprocessed:
        """Returns the windows of one clip, or a silent one if it could not be read."""
        blank = tf.data.Dataset.from_tensors(
            (tf.constant(-1, tf.int64), tf.zeros([1, self.min_samples]), tf.ones([1], tf.int32))
        )
        row, waves, lengths = clip.ignore_errors().concatenate(blank).take(1).get_single_element()
        readable = row[None] >= 0
        inputs = tf.ensure_shape(waves, [None, None]), tf.ensure_shape(lengths, [None])
        rows = tf.zeros_like(lengths, tf.int64)
        return Preprocessed(inputs, rows, readable, tf.zeros_like(readable))

    def _collect(self, clips: tf.data.Dataset, count: tf.Tensor, samples: tf.Tensor) -> Preprocessed:
        """Collects all windows of all clips, with a silent one for each clip that could not be read."""
        blank = tf.data.Dataset.from_tensors((count, tf.zeros([self.min_samples]), tf.constant(0)))
        most = count + samples // self._longest + 2
        rows, waves, lengths = (
            clips.ignore_errors()
            .flat_map(
                lambda row, windows, lengths: tf.data.Dataset.from_tensor_slices(
                    (tf.fill(tf.shape(lengths), row), windows, lengths)
                )
            )
            .concatenate(blank)
            .padded_batch(most + count, padded_shapes=([], [None], []))
            .get_single_element()
        )
        rows, waves, lengths = rows[:-1], waves[:-1], lengths[:-1]
        readable = tf.scatter_nd(rows[:, None], tf.ones_like(rows), [count]) > 0
        missing = tf.where(~readable)[:, 0]
        rows = tf.concat([rows, missing], axis=0)
        order = tf.argsort(rows, stable=True)
        waves = tf.concat([waves, tf.zeros([tf.size(missing), tf.shape(waves)[1]])], axis=0)
        lengths = tf.concat([lengths, tf.ones_like(missing, tf.int32)], axis=0)
        waves = tf.ensure_shape(tf.gather(waves, order), [None, None])
        inputs = waves, tf.ensure_shape(tf.gather(lengths, order), [None])
        return Preprocessed(inputs, tf.gather(rows, order), readable, tf.zeros_like(readable))

    def compute_output_spec(self, examples: keras.KerasTensor) -> Preprocessed:  # noqa: ARG002
        """Returns the shapes and types of the result."""
        return output_spec(keras.KerasTensor((None, None), "float32"), keras.KerasTensor((None,), "int32"))

    @property
    def limits(self) -> dict[str, int]:
        """Returns the length of the longest clip."""
        return {"max_seconds": self.max_seconds}

    def identity(self) -> dict[str, Any]:
        """Returns version and settings. The length limit only decides which clips are read."""
        settings = {name: getattr(self, name) for name in ("sample_rate", "window_seconds", "min_samples")}
        return {"preprocessor": "wave", "version": VERSION, **settings}

    def recorded_examples(self) -> list[bytes]:
        """Returns tones and noise at several rates, and one example that is not a sound."""
        rng = np.random.default_rng(0)
        second = np.arange(16_000) / 16_000
        sweep = np.sin(2 * np.pi * (200 * second + 900 * second**2))
        noise = rng.uniform(-0.5, 0.5, 8000)
        speech = np.sin(2 * np.pi * 140 * second) * (1 + np.sin(2 * np.pi * 3 * second)) / 2
        stereo = np.stack([sweep, -0.5 * speech], axis=1)
        return [
            wav_bytes(sweep, 16_000),
            wav_bytes(noise, 8000),
            wav_bytes(stereo, 44_100),
            wav_bytes(np.zeros(4000), 16_000),
            b"RIFF this is no sound",
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        names = ("sample_rate", "window_seconds", "min_samples", "max_seconds")
        return {**config, **{name: getattr(self, name) for name in names}}


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """Returns the bytes of a WAV file with 16-bit samples.

    Args:
        samples: (t,) or (t, channels), in [-1, 1].
        rate: samples per second.
    """
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()
