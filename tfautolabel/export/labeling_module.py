"""Preprocessing, backbone and head as one module whose functions are a SavedModel's signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.features.frozen import FrozenNetwork, inference_network
from tfautolabel.preprocessors import Preprocessed
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor
from tfautolabel.trust import OodGate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.ood import NEIGHBOURS


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

    Two functions that are no signatures are for conversion to formats without strings: `prepare`, `examples`
    to a `Preprocessed`, and `network`, the `inputs` of one to `probabilities` (w, k) float32, each window
    taken for an example of its own. A network that takes strings has neither.

    Args:
        backbone: the feature extractor.
        head: features to probabilities.
        classes: k names.
        acceptance: which labels are `accepted`.
        gate: what tells what is unlike all that was labelled, or None.

    Attributes:
        thresholds: (k,) float32 variable, the confidence from which labels of a class are accepted; infinite
            where none is. A variable, so that an audit can raise it without another export.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: keras.Model,
        classes: Sequence[str],
        acceptance: Acceptance,
        gate: OodGate | None = None,
    ) -> None:
        super().__init__(name="labeler")
        vectors = keras.Input((backbone.feature_dim,), name="features")
        self._network = inference_network(backbone.network)
        self._head = FrozenNetwork(keras.Model(vectors, head(vectors)))
        self._names = tf.constant([name.encode("utf-8") for name in classes])
        self.thresholds = tf.Variable(acceptance.bounds, trainable=False, name="thresholds")
        self._gate = gate
        self.preprocess = backbone.preprocessor
        self.parts = [*self._network.parts, *self._head.parts]
        examples = tf.TensorSpec([None], tf.string, name="examples")
        # Traced once, for labels and features.
        self.extract = tf.function(
            lambda examples: self._extract(self.preprocess, examples),
            input_signature=[examples],
            autograph=False,
        )
        # All that is known of each example, for `ExportedLabeler`; a signature shows what a server needs.
        self.judge = tf.function(self._judge_examples, input_signature=[examples], autograph=False)
        self.label = tf.function(
            lambda examples: _without_score(self.judge(examples)), input_signature=[examples], autograph=False
        )
        self.features = tf.function(self._features, input_signature=[examples], autograph=False)
        # So that whoever reads labeler.json can find out whether its classes are the model's.
        self.class_names = tf.function(lambda: self._names, input_signature=[], autograph=False)
        inputs = [tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for spec in backbone.network.inputs]
        if all(spec.dtype.is_numeric for spec in inputs):
            self.prepare = tf.function(backbone.preprocessor, input_signature=[examples], autograph=False)
            self.network = tf.function(self._network_alone, input_signature=inputs, autograph=False)
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
        vectors, readable = self.extract(examples)
        return {"features": vectors, "readable": readable}

    def _judge_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._label(*self.extract(examples))

    def _network_alone(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": self._head.in_graph(self._network.in_graph(*inputs))}

    def _label_waveforms(
        self, waveforms: tf.Tensor, lengths: tf.Tensor, sample_rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        extracted = self._extract(self.preprocess.from_waveforms, waveforms, lengths, sample_rate)
        return _without_score(self._label(*extracted))

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
        score, like = self._judge_likeness(vectors)
        return {
            "label": tf.where(readable, tf.gather(self._names, class_ids), ""),
            "class_id": tf.where(readable, class_ids, -1),
            "confidence": confidence,
            "accepted": readable & like & (confidence >= tf.gather(self.thresholds, class_ids)),
            "probabilities": probabilities,
            "ood_score": tf.where(readable, score, 0.0),
        }

    def _judge_likeness(self, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(n,) float32 and (n,) bool: what `OodGate` scores, and what it lets pass."""
        gate = self._gate
        if gate is None:
            score = tf.fill(tf.shape(vectors)[:1], tf.constant(np.nan, tf.float32))
            return score, tf.ones_like(score, tf.bool)
        centred = _normalised(vectors) - gate.centre
        if gate.method == "neighbours":
            near = _normalised(centred) @ gate.weights
            score = -tf.math.top_k(near, min(NEIGHBOURS, gate.weights.shape[1])).values[:, -1]
        else:
            score = tf.reduce_min(centred @ gate.weights + gate.bias, axis=1)
        return score, score <= np.float32(gate.threshold)


def _normalised(vectors: tf.Tensor) -> tf.Tensor:
    return vectors / tf.maximum(tf.norm(vectors, axis=1, keepdims=True), 1e-9)


def _without_score(outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: value for name, value in outputs.items() if name != "ood_score"}


def _at_least_one(rows: tf.Tensor) -> tf.Tensor:
    """The rows, or one row of zeros or empty strings where there are none."""
    shape = tf.shape(rows)
    fill = "" if rows.dtype == tf.string else tf.zeros([], rows.dtype)
    some = tf.cond(
        tf.equal(shape[0], 0), lambda: tf.fill(tf.concat([[1], shape[1:]], axis=0), fill), lambda: rows
    )
    return tf.ensure_shape(some, [None, *rows.shape[1:]])
