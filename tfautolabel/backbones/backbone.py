"""The backbone: a pretrained feature extractor with its preprocessing."""

from __future__ import annotations

import functools
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._gpus import visible_gpus
from tfautolabel._optional import require
from tfautolabel._scratch import restore
from tfautolabel.backbones.modules.layer import SavedModelLayer
from tfautolabel.backbones.modules.waveform_layer import WaveformModuleLayer
from tfautolabel.backbones.registered import HOMES, PACKAGE, registered_class
from tfautolabel.backbones.weights_digest import WeightsDigest
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.preprocessors import Preprocessor
from tfautolabel.preprocessors.graphs import PreprocessorGraph, graph_of

_CONFIG, _NETWORK, _MODULE, _VARIABLES, _ASSETS = (
    "backbone.json",
    "backbone.keras",
    "module",
    "variables.npz",
    "preprocessor",
)

_MODULE_LAYERS = {layer.__name__: layer for layer in (SavedModelLayer, WaveformModuleLayer)}


class Backbone:
    """A frozen feature extractor f from encoded inputs to features, Z = f(X).

    An example can be cut into windows (a long text, a long clip). Its features are the mean over its windows.
    `load_backbone` makes one from a string.

    Args:
        handle: the string that selected it, such as "packaged:efficientnet-lite0".
        preprocessor: converts encoded inputs to the network's inputs.
        network: maps the preprocessor's windows to (w, feature_dim) float32 features. It includes the scaling
            that it needs.
        architecture: identifies the network without its weights, for the fingerprint.
        languages: languages of its training texts, such as "English"; empty if unknown or not for texts.

    Attributes:
        handle: as received.
        modality: the preprocessor's modality, "image", "text" or "audio".
        preprocessor: as received.
        network: as received.
        feature_dim: d, the length of a feature vector.
        languages: as received.
        text_tower: for backbones of pictures that were trained with texts: makes a backbone for texts whose
            features lie in the same space. `save` leaves it out. None for others.

    Raises:
        ValueError: If the network does not give one vector per window.
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
        self.text_tower: Callable[[], Backbone] | None = None
        self._weights_digest = WeightsDigest()

    def __repr__(self) -> str:
        return f"Backbone({self.handle!r}, {self.modality}, {self.feature_dim} features)"

    @functools.cached_property
    def prepare(self) -> PreprocessorGraph:
        """Returns the preprocessor as a `tf.function` of (n,) strings, so that all calls share its graph."""
        return graph_of(self.preprocessor)

    @property
    def fingerprint(self) -> str:
        """Returns 64 hexadecimal digits that change with the architecture, the weights and the preprocessing.

        It is computed once for each state of the weights, no matter how they changed; see `WeightsDigest`.
        """
        return self._fingerprint(self.preprocessor.identity())

    def _fingerprint(self, identity: dict[str, Any]) -> str:
        """Returns the fingerprint with a preprocessor of this identity."""
        described = {"architecture": self.architecture, "preprocessor": identity}
        return self._weights_digest.of(self.network.weights, json.dumps(described, sort_keys=True))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes architecture and weights into a folder, from which `Backbone.load` reads them.

        The folder appears complete in one step. If the process dies or an error occurs, it stays as it was.

        Args:
            folder: a new or empty folder, or that of an earlier backbone, which is replaced.

        Raises:
            FileExistsError: If the folder holds something else.
            OSError: If it cannot be written.
        """
        with atomic_folder(folder, own=(_CONFIG, _NETWORK, _MODULE, _VARIABLES, _ASSETS)) as new:
            self.write(new)

    def write(self, folder: Path) -> None:
        """Writes the same as `save` into an empty folder, which others may see half-filled."""
        module = self._saved_model_layer
        network_config = None
        if module is None:
            self.network.save(folder / _NETWORK)
        else:
            # Keras refuses to load a .keras file that holds a SavedModel layer, so the module is copied as it
            # is.
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
        """Reads a backbone that `save` wrote.

        Args:
            folder: the folder given to `save`. If it holds a SavedModel, loading runs its graph: load only
                what you trust.

        Raises:
            FileNotFoundError: If there is no saved backbone.
            ValueError: If its weights are not the saved ones, or this version reads examples differently from
                the version that saved it.
            MissingExtraError: If a package that defines its network's layers is not installed.
        """
        visible_gpus()  # before the first weight takes a GPU
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
    """Runs a network for inference on a preprocessor's result. Keras takes a single input without a list."""
    return network(inputs[0] if len(inputs) == 1 else list(inputs), training=False)


def _preprocessor(described: dict[str, Any], assets: Path) -> Preprocessor:
    """Builds the preprocessor that `Backbone.save` described, only from this package's own classes."""
    preprocessor: Preprocessor = registered_class(described["class"]).from_config(described["config"])
    preprocessor.load_assets(os.fspath(assets))
    return preprocessor


def _check_same_reading(saved: dict[str, Any], preprocessor: Preprocessor, folder: Path) -> None:
    """Raises an error if a preprocessor would give different inputs than the saved one."""
    if not preprocessor.reads_as(saved):
        raise ValueError(
            f"{folder} was saved by a version that reads {preprocessor.modality} data in another way: make "
            f"it again, from the same labels. Received: {saved}, where {preprocessor.identity()} is valid"
        )


def _register_layers(file: Path) -> None:
    """Imports the modules of this package and keras_hub that define the layers of a network's file.

    Keras finds only registered classes, and an import registers them. Keras finds other layers itself.
    """
    with zipfile.ZipFile(file) as archive:
        described = json.loads(archive.read("config.json"))
    own = {f"{PACKAGE}>{name}" for name in HOMES}
    for name in sorted(own.intersection(_values(described, "registered_name"))):
        registered_class(name)
    if any(module.partition(".")[0] == "keras_hub" for module in _values(described, "module")):
        require("keras_hub", extra="kerashub")


def _values(part: object, key: str) -> Iterator[str]:
    """Yields the strings under a key in a Keras config, at any depth."""
    if isinstance(part, dict):
        if isinstance(part.get(key), str):
            yield part[key]
        part = list(part.values())
    if isinstance(part, list):
        for child in part:
            yield from _values(child, key)


def _saved_model_network(described: dict[str, Any], module: Path) -> keras.Model:
    """Builds the network around a SavedModel whose folder has moved since it was saved."""

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
    """Builds a network from pixels in [0, 255] to the features of an image module in TF-Hub's convention.

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
