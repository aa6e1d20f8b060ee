"""The backbone: a pretrained feature extractor together with the preprocessing that belongs to it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._optional import require
from tfautolabel._scratch import restore
from tfautolabel.backbones.modules.layer import SavedModelLayer
from tfautolabel.backbones.modules.waveform_layer import WaveformModuleLayer
from tfautolabel.backbones.registered import HOMES, PACKAGE, registered_class
from tfautolabel.backbones.weights_digest import WeightsDigest
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.preprocessors import Preprocessor

_CONFIG, _NETWORK, _MODULE, _VARIABLES, _ASSETS = (
    "backbone.json",
    "backbone.keras",
    "module",
    "variables.npz",
    "preprocessor",
)

_MODULE_LAYERS = {layer.__name__: layer for layer in (SavedModelLayer, WaveformModuleLayer)}


class Backbone:
    """A frozen feature extractor f: encoded inputs to features, Z = f(X).

    An example can be cut in windows (a long text, a long clip); its features are the mean over its windows.
    `load_backbone` makes one from a string.

    Args:
        handle: the string that selected it, such as "packaged:efficientnet-lite0".
        preprocessor: encoded inputs to what the network takes.
        network: the preprocessor's windows to (w, feature_dim) float32 features; whatever scaling it wants is
            part of it.
        architecture: what identifies the network apart from its weights, for the fingerprint.
        languages: of the texts that it was trained on, such as "English"; empty if unknown or not of texts.

    Attributes:
        handle: as received.
        modality: "image", "text" or "audio", as the preprocessor says.
        preprocessor: as received.
        network: as received.
        feature_dim: d, the length of a feature vector.
        languages: as received.

    Raises:
        ValueError: If the network does not give one vector a window.
    """

    def __init__(
        self,
        handle: str,
        preprocessor: Preprocessor,
        network: keras.Model,
        architecture: str,
        languages: str = "",
    ) -> None:
        shape = network.output_shape
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(
                f"a backbone gives one vector of known length an example, shape (None, d). Received: "
                f"{handle} with output shape {shape}"
            )
        self.handle = handle
        self.modality = preprocessor.modality
        self.preprocessor = preprocessor
        self.network = network
        self.architecture = architecture
        self.feature_dim = int(shape[1])
        self.languages = languages
        self._weights_digest = WeightsDigest()

    def __repr__(self) -> str:
        return f"Backbone({self.handle!r}, {self.modality}, {self.feature_dim} features)"

    @functools.cached_property
    def prepare(self) -> Any:
        """The preprocessor as a `tf.function` of (n,) strings: whoever calls it again shares its graph."""
        import tensorflow as tf

        strings = tf.TensorSpec([None], tf.string)
        return tf.function(self.preprocessor, input_signature=[strings], autograph=False)

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with the architecture, the weights and the preprocessing.

        Computed once for each state of the weights, however they were changed; see `WeightsDigest`.
        """
        return self._fingerprint(self.preprocessor.identity())

    def _fingerprint(self, identity: dict[str, Any]) -> str:
        """The fingerprint with a preprocessor of this identity."""
        described = {"architecture": self.architecture, "preprocessor": identity}
        return self._weights_digest.of(self.network.weights, json.dumps(described, sort_keys=True))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes architecture and weights into a folder, so that `Backbone.load` needs no other source.

        The folder appears whole, or stays as it was if the process dies or an error ends this.

        Args:
            folder: new, empty, or that of an earlier backbone, which is replaced.

        Raises:
            FileExistsError: If it holds something else.
            OSError: If it cannot be written.
        """
        with atomic_folder(folder, own=(_CONFIG, _NETWORK, _MODULE, _VARIABLES, _ASSETS)) as new:
            self.write(new)

    def write(self, folder: Path) -> None:
        """Writes what `save` does into an empty folder, which others may see half-filled."""
        module = self._saved_model_layer
        network_config = None
        if module is None:
            self.network.save(folder / _NETWORK)
        else:
            # Keras refuses to load a .keras file that holds a SavedModel layer: the module travels as it is.
            shutil.copytree(module.folder, folder / _MODULE)
            np.savez(folder / _VARIABLES, *[weight.numpy() for weight in module.weights])
            network_config = keras.saving.serialize_keras_object(self.network)
        (folder / _ASSETS).mkdir()
        self.preprocessor.save_assets(os.fspath(folder / _ASSETS))
        config = {
            "handle": self.handle,
            "architecture": self.architecture,
            "languages": self.languages,
            "preprocessor": {
                "class": keras.saving.get_registered_name(type(self.preprocessor)),
                "config": self.preprocessor.get_config(),
                "identity": self.preprocessor.identity(),
            },
            "network": network_config,
            "fingerprint": self.fingerprint,
        }
        (folder / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Backbone:
        """Reads what `save` wrote.

        Args:
            folder: the folder given to `save`. A SavedModel in it runs its graph: load only what you trust.

        Raises:
            FileNotFoundError: If there is no saved backbone.
            ValueError: If its weights are not the ones that were saved, or this version reads examples in
                another way than the one that saved it.
            MissingExtraError: If the package that its network's layers come from is not installed.
        """
        folder = Path(folder)
        restore(folder)
        if not (folder / _CONFIG).is_file():
            raise FileNotFoundError(f"a saved backbone has a file {_CONFIG}. Received: {folder}")
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        preprocessor = _preprocessor(config["preprocessor"], folder / _ASSETS)
        identity = config["preprocessor"].get("identity", preprocessor.identity())
        _check_same_reading(identity, preprocessor, folder)
        if (folder / _NETWORK).is_file():
            _register_layers(folder / _NETWORK)
            network = keras.saving.load_model(folder / _NETWORK, compile=False)
        else:
            network = _saved_model_network(config["network"], folder / _MODULE)
            with np.load(folder / _VARIABLES, allow_pickle=False) as values:
                for weight, name in zip(network.weights, values.files, strict=True):
                    weight.assign(values[name])
        network.trainable = False
        backbone = cls(config["handle"], preprocessor, network, config["architecture"], config["languages"])
        if (found := backbone._fingerprint(identity)) != config["fingerprint"]:
            raise ValueError(
                f"the weights in {folder}, or how examples are read, are not the ones that were saved: "
                f"fingerprint {config['fingerprint']} expected. Received: {found}"
            )
        return backbone

    @property
    def _saved_model_layer(self) -> SavedModelLayer | None:
        return next((layer for layer in self.network.layers if isinstance(layer, SavedModelLayer)), None)


def run_network(network: keras.Model, inputs: Sequence[Any]) -> Any:
    """Calls a network for inference with what a preprocessor gives; Keras wants a single input bare."""
    return network(inputs[0] if len(inputs) == 1 else list(inputs), training=False)


def _preprocessor(described: dict[str, Any], assets: Path) -> Preprocessor:
    """The preprocessor that `Backbone.save` described; only this package's own classes are made."""
    preprocessor: Preprocessor = registered_class(described["class"]).from_config(described["config"])
    preprocessor.load_assets(os.fspath(assets))
    return preprocessor


def _check_same_reading(saved: dict[str, Any], preprocessor: Preprocessor, folder: Path) -> None:
    """Refuses a preprocessor that would give other inputs than the one that was saved."""
    if not preprocessor.reads_as(saved):
        raise ValueError(
            f"{folder} was saved by a version that reads {preprocessor.modality} data in another way: make "
            f"it again, from the same labels. Received: {saved}, where {preprocessor.identity()} is valid"
        )


def _register_layers(file: Path) -> None:
    """Imports what defines the layers that a network's file names, of this package and of keras_hub.

    Keras finds only classes that are registered, which importing them does; others are left to it.
    """
    with zipfile.ZipFile(file) as archive:
        described = json.loads(archive.read("config.json"))
    own = {f"{PACKAGE}>{name}" for name in HOMES}
    for name in sorted(own.intersection(_values(described, "registered_name"))):
        registered_class(name)
    if any(module.partition(".")[0] == "keras_hub" for module in _values(described, "module")):
        require("keras_hub", extra="kerashub")


def _values(part: object, key: str) -> Iterator[str]:
    """The texts that a description by Keras holds under a key, at any depth."""
    if isinstance(part, dict):
        if isinstance(part.get(key), str):
            yield part[key]
        part = list(part.values())
    if isinstance(part, list):
        for child in part:
            yield from _values(child, key)


def _saved_model_network(described: dict[str, Any], module: Path) -> keras.Model:
    """The network around a SavedModel that has moved since it was described."""

    def moved(part: object) -> Any:
        if isinstance(part, list):
            return [moved(child) for child in part]
        if not isinstance(part, dict):
            return part
        if part.get("class_name") in _MODULE_LAYERS:
            return part | {"config": part["config"] | {"folder": os.fspath(module)}}
        return {key: moved(child) for key, child in part.items()}

    return keras.saving.deserialize_keras_object(moved(described), custom_objects=_MODULE_LAYERS)


def saved_model_network(
    folder: str | os.PathLike[str], size: int, output_key: str | int | None = None
) -> keras.Model:
    """Pixels in [0, 255] to the features of an image module that follows TF-Hub's convention.

    Args:
        folder: a SavedModel that takes (n, size, size, 3) float32 in [0, 1], see
            https://www.tensorflow.org/hub/common_signatures/images.
        size: side of the pictures in pixels.
        output_key: which of several outputs to take.

    Returns:
        A model with one `SavedModelLayer`, frozen.
    """
    pixels = keras.Input((size, size, 3), name="pixels")
    unit_range = keras.layers.Rescaling(1 / 255, name="unit_range")(pixels)
    features = SavedModelLayer(folder, output_key, name="module")(unit_range)
    return keras.Model(pixels, features, name="saved_model_backbone")
