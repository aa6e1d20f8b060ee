"""Converts texts to tokens with the tokenizer and packer of a KerasHub backbone."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import keras
import tensorflow as tf

from tfautolabel._optional import require
from tfautolabel._scratch import temporary_folder
from tfautolabel.backbones.hub.preprocessor import valid_texts
from tfautolabel.preprocessors.contract import (
    Preprocessed,
    Preprocessor,
    one_window_each,
    output_spec,
)
from tfautolabel.preprocessors.texts.preprocessor import recorded_texts

VERSION = 1
"""Increased when the same bytes would give other tokens, so that cached features are not mixed up."""

KEYS = ("token_ids", "padding_mask", "segment_ids")
"""A packer's possible outputs, in the order of the network's inputs. A family without segments has two."""


@keras.saving.register_keras_serializable("tfautolabel")
class KerasHubTextPreprocessor(Preprocessor):
    """Converts texts with a `keras_hub.models.TextClassifierPreprocessor`.

    Args:
        hub_preprocessor: the layer of keras_hub, or its Keras config. With a config, `load_assets` loads the
            tokenizer's files.
        **options: options of `keras.layers.Layer`.

    Attributes:
        keys: the entries of `KEYS` that the layer gives.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with one window per text and (n, t) int32 per key, where t is the longest text's
        number of tokens. Empty and blank texts are not readable. A text that fills the length counts as
        shortened.

    Raises:
        MissingExtraError: If keras_hub or TensorFlow Text, whose operations it uses, is not installed.
    """

    modality = "text"
    varying_length = True
    max_batch_bytes = 4 * 1024 * 1024
    network_part = 16
    requires = ("tensorflow-text",)

    def __init__(self, hub_preprocessor: object, **options: Any) -> None:
        super().__init__(**options)
        require("keras_hub", extra="kerashub")
        require("tensorflow_text", extra="kerashub")
        if isinstance(hub_preprocessor, dict):
            self._hub = keras.saving.deserialize_keras_object(hub_preprocessor)
        else:
            self._hub = hub_preprocessor
            self._prepare()

    def _prepare(self) -> None:
        """Builds the packer, which needs the tokenizer's files, and traces both."""
        if not self._hub.built:
            self._hub.build(None)
        # keras_hub uses TensorFlow's operations in a traced call, but Python code in an eager call.
        self._tokens = tf.function(
            self._call_hub, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        made = self._tokens.get_concrete_function().structured_outputs
        self.keys = tuple(key for key in KEYS if key in made)
        self._digest = self._content_digest()

    def _call_hub(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        made = self._hub(texts)
        return {key: tf.cast(value, tf.int32) for key, value in made.items()}

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        texts, readable = valid_texts(examples)
        made = self._tokens(texts)
        lengths = tf.reduce_sum(made["padding_mask"], axis=1)
        longest = tf.maximum(tf.reduce_max(lengths), 1)
        inputs = tuple(tf.ensure_shape(made[key][:, :longest], [None, None]) for key in self.keys)
        return one_window_each(inputs, readable, (lengths >= self._hub.sequence_length) & readable)

    def compute_output_spec(self, examples: keras.KerasTensor) -> Preprocessed:  # noqa: ARG002
        """Returns the shapes and types of the result."""
        return output_spec(*(keras.KerasTensor((None, None), "int32") for _ in self.keys))

    def identity(self) -> dict[str, Any]:
        """Returns the version, the hash of the tokenizer's files, and every setting."""
        described = _without_names(self.get_config()["hub_preprocessor"])
        return {
            "preprocessor": "kerashub_text",
            "version": VERSION,
            "files_sha256": self._digest,
            "described": described,
        }

    def _content_digest(self) -> str:
        digest = hashlib.sha256()
        with temporary_folder() as folder:
            self.save_assets(str(folder))
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()

    def recorded_examples(self) -> list[bytes]:
        """Returns texts of several kinds and lengths, and an empty one."""
        return recorded_texts()

    def save_assets(self, folder: str) -> None:
        """Writes the tokenizer's files."""
        self._hub.tokenizer.save_assets(os.fspath(folder))

    def load_assets(self, folder: str) -> None:
        """Reads the tokenizer's files."""
        self._hub.tokenizer.load_assets(os.fspath(folder))
        self._prepare()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer, but for the tokenizer's files."""
        config = super().get_config()
        config.pop("trainable")
        described = json.loads(json.dumps(keras.saving.serialize_keras_object(self._hub)))
        return {**config, "hub_preprocessor": described}


def _without_names(part: object) -> Any:
    """Returns a config without the names of layers, which contain a counter of the process."""
    if isinstance(part, dict):
        return {key: _without_names(value) for key, value in part.items() if key != "name"}
    return [_without_names(child) for child in part] if isinstance(part, list) else part
