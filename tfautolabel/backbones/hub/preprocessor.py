"""Prepares texts for networks that take strings, or tokens from another module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfautolabel.backbones.modules.files import content_digest, load_module, requirements
from tfautolabel.preprocessors.contract import (
    Preprocessed,
    Preprocessor,
    one_window_each,
    output_spec,
)
from tfautolabel.preprocessors.texts.preprocessor import recorded_texts

VERSION = 1
"""Increased when the same bytes would give other strings or tokens, so that old features are not used."""

MASK = "input_mask"
"""The entry of a preprocessing module's result that is 1 for tokens and 0 after a text's end."""

_MODULE = "module"


@keras.saving.register_keras_serializable("tfautolabel")
class StringPreprocessor(Preprocessor):
    """Passes texts unchanged to networks that take strings.

    Args:
        requires: packages besides TensorFlow that a saved graph of the network needs.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (n,) string. Empty and blank texts are not readable.
    """

    modality = "text"
    varying_length = True
    max_batch_bytes = 4 * 1024 * 1024
    network_part = 32

    def __init__(self, requires: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.requires = tuple(requires)

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        texts, readable = valid_texts(examples)
        return one_window_each((texts,), readable)

    def compute_output_spec(self, examples: keras.KerasTensor) -> Preprocessed:  # noqa: ARG002
        """Returns the shapes and types of the result."""
        return output_spec(keras.KerasTensor((None,), "string"))

    def identity(self) -> dict[str, Any]:
        """Returns the version."""
        return {"preprocessor": "strings", "version": VERSION}

    def recorded_examples(self) -> list[bytes]:
        """Returns texts of several kinds and lengths, and an empty one."""
        return recorded_texts()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        config: dict[str, Any] = super().get_config()
        config.pop("trainable")
        return {**config, "requires": list(self.requires)}


@keras.saving.register_keras_serializable("tfautolabel")
class TextModulePreprocessor(Preprocessor):
    """Converts texts with a TensorFlow Hub preprocessing module.

    The module takes (n,) string and gives a dictionary of (n, l) int32, see "Transformer text encoders" in
    https://www.tensorflow.org/hub/common_signatures/text.

    Args:
        folder: the module's SavedModel. None if `load_assets` will load it.
        **options: options of `keras.layers.Layer`.

    Attributes:
        keys: the names of the module's outputs in the order of the result's inputs.
        specs: their shapes and types.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the module's outputs, ordered by name. Empty and blank texts are not readable. A
        text that fills the module's length counts as shortened.

    Raises:
        ValueError: If the module does not follow the convention.
    """

    modality = "text"
    varying_length = True
    max_batch_bytes = 4 * 1024 * 1024
    network_part = 16

    def __init__(self, folder: str | os.PathLike[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        if folder is not None:
            self._set_module(Path(folder))

    def _set_module(self, folder: Path) -> None:
        self.folder = os.fspath(folder)
        self._module = load_module(folder)
        self._digest = content_digest(folder)
        self.requires = requirements(folder)
        traced = tf.function(lambda texts: self._module(texts)).get_concrete_function(
            tf.TensorSpec([None], tf.string)
        )
        outputs = traced.structured_outputs
        if not isinstance(outputs, dict) or any(spec.shape.rank != 2 for spec in outputs.values()):
            raise ValueError(
                "a text preprocessing module turns (n,) string into a dictionary of (n, l) int32. "
                f"Received: {folder}, which gives {outputs}"
            )
        self.keys = sorted(outputs)
        self.specs = [tf.TensorSpec(outputs[key].shape, outputs[key].dtype) for key in self.keys]

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        texts, readable = valid_texts(examples)
        made = self._module(texts)
        full = tf.reduce_all(made[MASK] > 0, axis=1) if MASK in made else tf.zeros_like(readable)
        inputs = tuple(
            tf.ensure_shape(made[key], spec.shape) for key, spec in zip(self.keys, self.specs, strict=True)
        )
        return one_window_each(inputs, readable, full & readable)

    def compute_output_spec(self, examples: keras.KerasTensor) -> Preprocessed:  # noqa: ARG002
        """Returns the shapes and types of the result."""
        return output_spec(*(keras.KerasTensor(spec.shape, spec.dtype.name) for spec in self.specs))

    def identity(self) -> dict[str, Any]:
        """Returns the version and the module's hash."""
        return {"preprocessor": "text_module", "version": VERSION, "module_sha256": self._digest}

    def recorded_examples(self) -> list[bytes]:
        """Returns texts of several kinds and lengths, and an empty one."""
        return recorded_texts()

    def save_assets(self, folder: str) -> None:
        """Copies the module."""
        shutil.copytree(self.folder, Path(folder, _MODULE))

    def load_assets(self, folder: str) -> None:
        """Loads the copy."""
        self._set_module(Path(folder, _MODULE))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer, but for the module."""
        config: dict[str, Any] = super().get_config()
        config.pop("trainable")
        return config


def valid_texts(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Converts any bytes to valid UTF-8, and returns which texts are not blank.

    Args:
        examples: any shape, string.

    Returns:
        (n,) string and (n,) bool.
    """
    texts = tf.strings.unicode_transcode(tf.reshape(examples, [-1]), "UTF-8", "UTF-8", errors="replace")
    return texts, tf.strings.length(tf.strings.strip(texts)) > 0
