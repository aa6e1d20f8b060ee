"""One graph from encoded inputs to labels, written as a SavedModel."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._version import __version__
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.export.parity import CheckFailure, check_saved_model
from tfautolabel.features.frozen import FrozenNetwork

FORMAT_VERSION = 1
DESCRIPTION = "labeler.json"


def export_saved_model(
    folder: str | os.PathLike[str],
    backbone: Backbone,
    head: keras.Model,
    classes: Sequence[str],
    min_confidence: float,
    predict: Callable[[list[bytes]], np.ndarray],
    details: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes preprocessing, backbone and head as one SavedModel, and checks it before it takes its place.

    Signatures, both with the one input `examples`, (n,) string, the encoded files:

    - `serving_default`: `label` (n,) string, `class_id` (n,) int64, `confidence` (n,) float32, `accepted`
      (n,) bool, `probabilities` (n, k) float32;
    - `features`: `features` (n, d) float32, `readable` (n,) bool.

    An example that cannot be read gets an empty label, class id -1, zeros and `accepted` False; the others in
    the batch are not touched by it.

    Args:
        folder: the version folder, such as saved_models/flowers/1, or the model's folder, in which the next
            number is taken.
        backbone: the feature extractor.
        head: features to probabilities.
        classes: k names.
        min_confidence: in [0, 1], labels less sure than this are not `accepted`.
        predict: gives the (n, k) probabilities that the export has to reproduce, for recorded examples.
        details: further entries for labeler.json.
        overwrite: whether a version that is there already is replaced, once the new one has passed its check.

    Returns:
        The version folder.

    Raises:
        FileExistsError: If the version is there already and `overwrite` is False.
        CheckFailure: If the written SavedModel does not give, in a process of its own, what `predict` gives.
    """
    target = _version_folder(Path(folder))
    if target.exists() and not (overwrite and _may_be_replaced(target)):
        raise FileExistsError(
            f"a version folder must be new{_unless(overwrite)}. Received: {target}, which exists"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    # Hidden and beside the target: a server that watches the folder never sees half a model.
    partial = target.parent / f".partial-{secrets.token_hex(8)}"
    replaced = target.parent / f".replaced-{secrets.token_hex(8)}"
    try:
        module = _module(backbone, head, classes, min_confidence)
        signatures = {"serving_default": module.label, "features": module.features}
        tf.saved_model.save(module, os.fspath(partial), signatures=signatures)
        description = {
            "format_version": FORMAT_VERSION,
            "classes": list(classes),
            "modality": backbone.modality,
            "min_confidence": float(min_confidence),
            "backbone": {
                "handle": backbone.handle,
                "fingerprint": backbone.fingerprint,
                "feature_dim": backbone.feature_dim,
            },
            "limits": backbone.preprocessor.limits,
            "preprocessor": backbone.preprocessor.identity(),
            "requires": ["tensorflow", *backbone.preprocessor.requires],
            "made_with": {
                "tfautolabel": __version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
            },
            "examples": _recorded_examples(backbone.preprocessor.recorded_examples(), predict, classes),
        }
        description = (details or {}) | description
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        (partial / DESCRIPTION).write_text(text, encoding="utf-8")
        _check(partial, target)
        if target.exists():
            os.replace(target, replaced)
        try:
            os.replace(partial, target)
        except OSError:
            if replaced.exists():
                os.replace(replaced, target)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    return target


def _version_folder(folder: Path) -> Path:
    """The folder itself if it is named by a number, else the next free number in it."""
    if folder.name.isdecimal():
        return folder
    taken = (
        [int(child.name) for child in folder.iterdir() if child.name.isdecimal()] if folder.is_dir() else []
    )
    return folder / str(max(taken, default=0) + 1)


def _may_be_replaced(target: Path) -> bool:
    """Whether it is an export or empty: a folder of something else that is named by a number stays."""
    return target.is_dir() and ((target / "saved_model.pb").is_file() or not any(target.iterdir()))


def _unless(overwrite: bool) -> str:
    return ", empty or hold an exported model" if overwrite else ", or overwrite=True"


def _check(partial: Path, target: Path) -> None:
    try:
        check_saved_model(partial)
    except CheckFailure as failure:
        # It is gone when the message is read; the user knows the other name.
        raise CheckFailure(str(failure).replace(os.fspath(partial), os.fspath(target))) from failure


def _module(
    backbone: Backbone, head: keras.Model, classes: Sequence[str], min_confidence: float
) -> tf.Module:
    preprocess = backbone.preprocessor
    vectors = keras.Input((backbone.feature_dim,), name="features")
    network, frozen_head = FrozenNetwork(backbone.network), FrozenNetwork(keras.Model(vectors, head(vectors)))
    names = tf.constant([name.encode("utf-8") for name in classes])
    examples = tf.TensorSpec([None], tf.string, name="examples")

    def extract(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Fused convolutions fail on a batch without rows, so one that cannot be read stands in for it.
        count = tf.size(encoded)
        some = tf.cond(tf.equal(count, 0), lambda: tf.constant([b""]), lambda: encoded)
        ready = preprocess(tf.ensure_shape(some, [None]))
        vectors = tf.math.segment_mean(network.in_graph(*ready.inputs), ready.example)
        return tf.where(ready.readable[:, None], vectors, 0.0)[:count], ready.readable[:count]

    def features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors, readable = extract(examples)
        return {"features": vectors, "readable": readable}

    def label(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors, readable = extract(examples)
        probabilities = tf.where(readable[:, None], frozen_head.in_graph(vectors), 0.0)
        class_ids = tf.argmax(probabilities, axis=1)
        confidence = tf.reduce_max(probabilities, axis=1)
        return {
            "label": tf.where(readable, tf.gather(names, class_ids), ""),
            "class_id": tf.where(readable, class_ids, -1),
            "confidence": confidence,
            "accepted": readable & (confidence >= min_confidence),
            "probabilities": probabilities,
        }

    module = tf.Module(name="labeler")
    module.preprocess = preprocess
    module.tables = [*network.tables, *frozen_head.tables]
    module.label = tf.function(label, input_signature=[examples])
    module.features = tf.function(features, input_signature=[examples])
    # So that whoever reads labeler.json can find out whether its classes are the model's.
    module.class_names = tf.function(lambda: names, input_signature=[])
    return module


def _recorded_examples(
    encoded: list[bytes], predict: Callable[[list[bytes]], np.ndarray], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Made-up examples with the labels they get."""
    probabilities = predict(encoded)
    return [
        {
            "input": base64.b64encode(content).decode("ascii"),
            "label": classes[int(row.argmax())] if row.any() else "",
            "probabilities": [float(value) for value in row],
        }
        for content, row in zip(encoded, probabilities, strict=True)
    ]
