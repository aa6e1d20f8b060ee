"""The plain Keras model inside a labeler, from encoded inputs to probabilities."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras

from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.backbone import run_network
from tfautolabel.heads import build_head
from tfautolabel.heads.contract import check_head
from tfautolabel.preprocessors import WindowMean


def build_model(
    backbone: str | os.PathLike[str] | Backbone,
    head: str | keras.Model,
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> keras.Model:
    """Returns a plain functional Keras model from encoded inputs to probabilities, for use with Keras alone.

    Args:
        backbone: a string for `load_backbone`, a SavedModel's folder, or a backbone. It stays frozen.
        head: a key of `HEADS`, or a model from (n, d) features to (n, k) probabilities.
        classes: k names, at least 2.
        seed: determines the initial weights of a head given by name.

    Returns:
        A model from (n,) strings, the encoded files, to (n, k) float32 probabilities; a row of zeros for an
        input that cannot be read. Keras accepts strings as a `tf.Tensor` or a `tf.data.Dataset`, not as an
        array.

    Raises:
        ValueError: If the head or the classes do not fit.
    """
    check_classes(classes)
    backbone = as_backbone(backbone)
    head = as_head(head, backbone.feature_dim, len(classes), seed)
    examples = keras.Input((), dtype="string", name="examples")
    ready = backbone.preprocessor(examples)
    vectors = run_network(backbone.network, ready.inputs)
    probabilities = head(WindowMean(name="window_mean")(vectors, ready.example))
    readable = keras.ops.cast(keras.ops.expand_dims(ready.readable, -1), probabilities.dtype)
    return keras.Model(examples, probabilities * readable, name="labeler")


def as_backbone(backbone: str | os.PathLike[str] | Backbone) -> Backbone:
    """Returns the backbone for a handle or a path, or the given backbone itself."""
    return backbone if isinstance(backbone, Backbone) else load_backbone(os.fspath(backbone))


def as_head(head: str | keras.Model, feature_dim: int, n_classes: int, seed: int) -> keras.Model:
    """Returns the head for a name, or the given head; raises as `build_head` and `check_head` do."""
    head = build_head(head, feature_dim, n_classes, seed) if isinstance(head, str) else head
    check_head(head, feature_dim, n_classes)
    return head


def check_classes(classes: Sequence[str]) -> None:
    """Checks class names.

    Raises:
        ValueError: If they are not at least two distinct names.
    """
    names = [] if isinstance(classes, str) else list(classes)
    if len(names) < 2 or len(set(names)) != len(names) or not all(isinstance(n, str) and n for n in names):
        raise ValueError(f"classes are at least two distinct names. Received: classes={classes!r}")
