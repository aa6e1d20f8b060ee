"""Layers around the encoder of a KerasHub audio backbone: the spectrogram, and the mean over a clip."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfautolabel._optional import require


@keras.saving.register_keras_serializable("tfautolabel")
class KerasHubSpectrogram(keras.layers.Layer):
    """Converts samples with a `keras_hub.layers.AudioConverter`.

    Args:
        converter: the layer of keras_hub, or its Keras config.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        waves: (w, t) float32 samples, zeros after a window's end.

    Returns:
        (w, frames, mels) float32.
    """

    def __init__(self, converter: Any, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        require("keras_hub", extra="kerashub")
        if isinstance(converter, dict):
            converter = keras.saving.deserialize_keras_object(converter)
        self.converter = converter
        self.built = True

    def call(self, waves: tf.Tensor) -> tf.Tensor:
        """See the class."""
        # keras_hub uses TensorFlow's operations in a traced call, but Python code in an eager call.
        made = tf.function(self.converter, autograph=False)(waves)
        return tf.ensure_shape(made, [None, None, self.converter.num_mels])

    def compute_output_spec(self, waves: Any) -> keras.KerasTensor:
        """Returns the result's shape and type."""
        return keras.KerasTensor((waves.shape[0], None, self.converter.num_mels), "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "converter": keras.saving.serialize_keras_object(self.converter)}


@keras.saving.register_keras_serializable("tfautolabel")
class MeanOverClip(keras.layers.Layer):
    """Returns the mean over the frames of a window that contain a part of the clip.

    Args:
        samples_per_frame: samples between two frames.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        inputs: a list of (w, frames, d) float32 and (w,) int32, how many samples of a window belong to the
            clip.

    Returns:
        (w, d) float32.
    """

    def __init__(self, samples_per_frame: int, **options: Any) -> None:
        super().__init__(**options)
        self.samples_per_frame = samples_per_frame
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        frames, samples = inputs
        wanted = tf.maximum((samples + self.samples_per_frame - 1) // self.samples_per_frame, 1)
        mask = tf.sequence_mask(tf.minimum(wanted, tf.shape(frames)[1]), tf.shape(frames)[1], frames.dtype)
        return tf.einsum("wfd,wf->wd", frames, mask) / tf.reduce_sum(mask, axis=1, keepdims=True)

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the result's shape and type."""
        frames, _ = inputs
        return keras.KerasTensor((frames.shape[0], frames.shape[2]), frames.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "samples_per_frame": self.samples_per_frame}
