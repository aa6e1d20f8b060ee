"""Runs TensorFlow Hub's audio modules, which take one clip at a time, on batches of clips."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfautolabel.backbones.modules.layer import SavedModelLayer

EMBEDDINGS = 1
"""The position of the frames' embeddings in YAMNet's result: scores, embeddings, spectrogram."""


class WaveformModuleLayer(SavedModelLayer):
    """Runs a module that takes one waveform on each row of a batch, and pools its frames over time.

    The module takes (t,) float32 samples in [-1, 1] and gives (frames, d) float32, as YAMNet does
    (https://www.kaggle.com/models/google/yamnet). It never gets samples after a clip's end.

    Args:
        folder: the SavedModel's folder.
        output_key: the output to use if the module returns several. In a tuple, the second by default.
        min_samples: shorter clips are padded with silence to this many samples.
        **options: options of `SavedModelLayer`.

    Call arguments:
        inputs: a list of (w, t) float32 samples, t >= `min_samples`, and (w,) int32, how many samples of a
            row belong to the clip.

    Returns:
        (w, 2 d) float32: the mean and the maximum of each feature over a clip's frames.
    """

    def __init__(
        self,
        folder: str,
        output_key: str | int | None = None,
        min_samples: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(folder, output_key, **options)
        self.min_samples = min_samples

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """See the class."""
        learning = bool(training) and self.trainable

        def pooled(clip: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            wave, length = clip
            frames = self._frames(wave[: tf.maximum(length, self.min_samples)], learning)
            return tf.concat([tf.reduce_mean(frames, axis=0), tf.reduce_max(frames, axis=0)], axis=0)

        width = self.compute_output_spec(inputs).shape[-1]
        return tf.map_fn(pooled, tuple(inputs), fn_output_signature=tf.TensorSpec([width], tf.float32))

    def _frames(self, wave: tf.Tensor, learning: bool) -> tf.Tensor:
        outputs = self._run(wave, learning)
        if isinstance(outputs, (list, tuple)) and self.output_key is None and len(outputs) > EMBEDDINGS:
            return outputs[EMBEDDINGS]
        return self._pick_output(outputs)

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,  # noqa: ARG002
    ) -> keras.KerasTensor:
        """Returns the output's shape and type, from tracing the module on a symbolic clip."""
        clip = tf.TensorSpec([None], tf.float32)
        traced = tf.function(lambda wave: self._frames(wave, learning=False)).get_concrete_function(clip)
        shape = traced.outputs[0].shape
        if shape.rank != 2 or shape[1] is None or traced.outputs[0].dtype != tf.float32:
            raise ValueError(
                "an audio module gives (frames, d) float32 for a clip; output_key selects one of several "
                f"outputs. Received: {self.folder}, which gives {shape} {traced.outputs[0].dtype.name}"
            )
        return keras.KerasTensor((inputs[0].shape[0], 2 * shape[1]), "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the layer, as long as the folder exists."""
        return {**super().get_config(), "min_samples": self.min_samples}
