"""Preprocessing, backbone and head as one module whose functions are a SavedModel's signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.preprocessors import Preprocessed
from tfautolabel.backbones.preprocessors.wave import WavePreprocessor
from tfautolabel.features.frozen import FrozenNetwork, inference_network


class LabelingModule(tf.Module):
    """What is written as a SavedModel.

    Signatures:

    - `serving_default`: `examples`, (n,) string, the encoded files or UTF-8 texts, to `label` (n,) string,
      `class_id` (n,) int64, `confidence` (n,) float32, `accepted` (n,) bool, `probabilities` (n, k) float32;
    - `features`: `examples` to `features` (n, d) float32, `readable` (n,) bool;
    - `waveforms`, for sound: `waveforms`, (n, t) float32 in [-1, 1], `lengths`, (n,) int32, how many samples
      of each row count, and `sample_rate`, (n,) int32, to what `serving_default` gives.

    An example that cannot be read gets an empty label, class id -1, zeros and `accepted` False; the others in
    the batch are not touched by it.

    Args:
        backbone: the feature extractor.
        head: features to probabilities.
        classes: k names.
        min_confidence: in [0, 1], labels less sure than this are not `accepted`.
    """

    def __init__(
        self, backbone: Backbone, head: keras.Model, classes: Sequence[str], min_confidence: float
    ) -> None:
        super().__init__(name="labeler")
        vectors = keras.Input((backbone.feature_dim,), name="features")
        self._network = inference_network(backbone.network)
        self._head = FrozenNetwork(keras.Model(vectors, head(vectors)))
        self._names = tf.constant([name.encode("utf-8") for name in classes])
        self._min_confidence = min_confidence
        self.preprocess = backbone.preprocessor
        self.parts = [*self._network.parts, *self._head.parts]
        examples = tf.TensorSpec([None], tf.string, name="examples")
        self.label = tf.function(self._label_examples, input_signature=[examples], autograph=False)
        self.features = tf.function(self._features, input_signature=[examples], autograph=False)
        # So that whoever reads labeler.json can find out whether its classes are the model's.
        self.class_names = tf.function(lambda: self._names, input_signature=[], autograph=False)
        if isinstance(self.preprocess, WavePreprocessor):
            specs = [
                tf.TensorSpec([None, None], tf.float32, name="waveforms"),
                tf.TensorSpec([None], tf.int32, name="lengths"),
                tf.TensorSpec([None], tf.int32, name="sample_rate"),
            ]
            self.label_waveforms = tf.function(self._label_waveforms, input_signature=specs, autograph=False)

    def functions_by_signature(self) -> dict[str, Any]:
        """What `tf.saved_model.save` takes for signatures."""
        functions = {"serving_default": self.label, "features": self.features}
        if isinstance(self.preprocess, WavePreprocessor):
            functions["waveforms"] = self.label_waveforms
        return functions

    def _features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors, readable = self._extract(self.preprocess, examples)
        return {"features": vectors, "readable": readable}

    def _label_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._label(*self._extract(self.preprocess, examples))

    def _label_waveforms(
        self, waveforms: tf.Tensor, lengths: tf.Tensor, sample_rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return self._label(*self._extract(self.preprocess.from_waveforms, waveforms, lengths, sample_rate))

    def _extract(
        self, preprocess: Callable[..., Preprocessed], *inputs: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(n, d) features and (n,) bool, which examples could be read."""
        # Fused convolutions fail on a batch without rows, so one that cannot be read stands in for it.
        count = tf.shape(inputs[0])[0]
        some = [_at_least_one(tensor) for tensor in inputs]
        ready = preprocess(*some)
        vectors = tf.math.segment_mean(self._network.in_graph(*ready.inputs), ready.example)
        return tf.where(ready.readable[:, None], vectors, 0.0)[:count], ready.readable[:count]

    def _label(self, vectors: tf.Tensor, readable: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.where(readable[:, None], self._head.in_graph(vectors), 0.0)
        class_ids = tf.argmax(probabilities, axis=1)
        confidence = tf.reduce_max(probabilities, axis=1)
        return {
            "label": tf.where(readable, tf.gather(self._names, class_ids), ""),
            "class_id": tf.where(readable, class_ids, -1),
            "confidence": confidence,
            "accepted": readable & (confidence >= self._min_confidence),
            "probabilities": probabilities,
        }


def _at_least_one(rows: tf.Tensor) -> tf.Tensor:
    """The rows, or one row of zeros or empty strings where there are none."""
    shape = tf.shape(rows)
    fill = "" if rows.dtype == tf.string else tf.zeros([], rows.dtype)
    some = tf.cond(
        tf.equal(shape[0], 0), lambda: tf.fill(tf.concat([[1], shape[1:]], axis=0), fill), lambda: rows
    )
    return tf.ensure_shape(some, [None, *rows.shape[1:]])
