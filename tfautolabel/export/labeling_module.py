"""One module with preprocessing, backbone and head. Its functions are a SavedModel's signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.export.rules_in_graph import RuleGraph
from tfautolabel.features.frozen import FrozenNetwork, inference_network
from tfautolabel.preprocessors import Preprocessed
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor
from tfautolabel.trust import OodGate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.ood import NEIGHBOURS
from tfautolabel.trust.reference import Reference


class LabelingModule(tf.Module):
    """The module that is written as a SavedModel.

    Signatures:

    - `serving_default`: `examples`, (n,) string, the encoded files or UTF-8 texts, to `label` (n,) string,
      `class_id` (n,) int64, `confidence` (n,) float32, `accepted` (n,) bool, `probabilities` (n, k) float32;
      with rules, also `votes` (n, m) int64, the id of a class or -1 for each rule in the order of the
      function `rule_names`, which is no signature;
    - `features`: `examples` to `features` (n, d) float32, `readable` (n,) bool;
    - `waveforms`, for sound: `waveforms`, (n, t) float32 in [-1, 1], `lengths`, (n,) int32, how many samples
      of each row count, and `sample_rate`, (n,) int32, to what `serving_default` gives.

    An example that cannot be read gets an empty label, class id -1, zeros and `accepted` False. It does not
    affect the others in the batch.

    Two functions that are not signatures serve the conversion to formats without strings. `prepare` maps
    `examples` to a `Preprocessed`. `network` maps its `inputs` to `probabilities` (w, k) float32, with each
    window as a separate example. A network that takes strings has neither, nor has a model whose labels
    depend on votes.

    Args:
        backbone: the feature extractor.
        head: maps features to probabilities.
        classes: k names.
        acceptance: the rule for which labels are `accepted`.
        gate: detects examples that are unlike all labelled ones, or None.
        rules: vote beside the labels, or None.
        voting: whether the head maps features and votes to probabilities, so that labels depend on the votes.
        reference: what the examples looked like on which the labels were judged, or None.

    Attributes:
        thresholds: (k,) float32 variable, the lowest accepted confidence for each class. It is infinite for a
            class without accepted labels. It is a variable, so that an audit can raise it without a new
            export.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: keras.Model,
        classes: Sequence[str],
        acceptance: Acceptance,
        gate: OodGate | None = None,
        rules: RuleGraph | None = None,
        voting: bool = False,
        reference: Reference | None = None,
    ) -> None:
        super().__init__(name="labeler")
        taken: Any = keras.Input((backbone.feature_dim,), name="features")
        if voting and rules is not None:
            taken = [taken, keras.Input((len(rules.rules),), dtype="int64", name="votes")]
        self._network = inference_network(backbone.network)
        self._head = FrozenNetwork(keras.Model(taken, head(taken)))
        self._names = tf.constant([name.encode("utf-8") for name in classes])
        self.thresholds = tf.Variable(acceptance.bounds, trainable=False, name="thresholds")
        self._gate = gate
        self._rules, self._voting = rules, voting
        self.preprocess = backbone.preprocessor
        self.parts = [*self._network.parts, *self._head.parts]
        examples = tf.TensorSpec([None], tf.string, name="examples")
        inputs = [tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for spec in backbone.network.inputs]
        # This and `extract` are traced once for all functions that call them.
        prepare = tf.function(backbone.preprocessor, input_signature=[examples], autograph=False)
        if all(spec.dtype.is_numeric for spec in inputs) and not voting:
            self.prepare = prepare
            self.network = tf.function(self._network_alone, input_signature=inputs, autograph=False)
        self.extract = tf.function(
            lambda examples: self._extract(prepare, examples), input_signature=[examples], autograph=False
        )
        # Everything known about each example, for `ExportedLabeler`. A signature only gives what a server
        # needs.
        self.judge = tf.function(self._judge_examples, input_signature=[examples], autograph=False)
        self.label = tf.function(
            lambda examples: _without_score(self.judge(examples)), input_signature=[examples], autograph=False
        )
        self.features = tf.function(self._features, input_signature=[examples], autograph=False)
        # With this, a reader of labeler.json can check that its classes are the model's.
        self.class_names = tf.function(lambda: self._names, input_signature=[], autograph=False)
        if reference is not None:
            kept = {name: tf.constant(value) for name, value in reference.arrays().items()}
            self.reference = tf.function(lambda: kept, input_signature=[], autograph=False)
        if rules is not None:
            names = tf.constant([name.encode("utf-8") for name in rules.names])
            self.rule_names = tf.function(lambda: names, input_signature=[], autograph=False)
        if isinstance(self.preprocess, WavePreprocessor):
            specs = [
                tf.TensorSpec([None, None], tf.float32, name="waveforms"),
                tf.TensorSpec([None], tf.int32, name="lengths"),
                tf.TensorSpec([None], tf.int32, name="sample_rate"),
            ]
            self.label_waveforms = tf.function(self._label_waveforms, input_signature=specs, autograph=False)

    def functions_by_signature(self) -> dict[str, Any]:
        """Returns the signatures for `tf.saved_model.save`."""
        functions = {"serving_default": self.label, "features": self.features}
        if isinstance(self.preprocess, WavePreprocessor):
            functions["waveforms"] = self.label_waveforms
        return functions

    def _features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors, readable = self.extract(examples)
        return {"features": vectors, "readable": readable}

    def _judge_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors, readable = self.extract(examples)
        if self._rules is None:
            return self._label(readable, vectors) | {"features": vectors}
        votes = self._rules(examples)
        found = self._label(readable, vectors, *([votes] if self._voting else []))
        return found | {"features": vectors, "votes": votes}

    def _network_alone(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": self._head.in_graph(self._network.in_graph(*inputs))}

    def _label_waveforms(
        self, waveforms: tf.Tensor, lengths: tf.Tensor, sample_rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        extracted = self._extract(self.preprocess.from_waveforms, waveforms, lengths, sample_rate)
        vectors, readable = extracted
        return _without_score(self._label(readable, vectors))

    def _extract(
        self, preprocess: Callable[..., Preprocessed], *inputs: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (n, d) features, and which examples could be read, (n,) bool."""
        # Fused convolutions fail on an empty batch, so an unreadable example replaces it.
        count = tf.shape(inputs[0])[0]
        some = [_at_least_one(tensor) for tensor in inputs]
        ready = preprocess(*some)
        vectors = tf.math.segment_mean(self._network.in_graph(*ready.inputs), ready.example)
        return tf.where(ready.readable[:, None], vectors, 0.0)[:count], ready.readable[:count]

    def _label(self, readable: tf.Tensor, vectors: tf.Tensor, *votes: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.where(readable[:, None], self._head.in_graph(vectors, *votes), 0.0)
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
        """Returns the scores of `OodGate`, (n,) float32, and which examples pass, (n,) bool."""
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
    return {name: value for name, value in outputs.items() if name not in ("ood_score", "features")}


def _at_least_one(rows: tf.Tensor) -> tf.Tensor:
    """Returns the rows, or one row of zeros or empty strings if there are none."""
    shape = tf.shape(rows)
    fill = "" if rows.dtype == tf.string else tf.zeros([], rows.dtype)
    some = tf.cond(
        tf.equal(shape[0], 0), lambda: tf.fill(tf.concat([[1], shape[1:]], axis=0), fill), lambda: rows
    )
    return tf.ensure_shape(some, [None, *rows.shape[1:]])
