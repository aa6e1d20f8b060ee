"""The backbone: a pretrained feature extractor together with the preprocessing that belongs to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from tfautolabel.backbones.preprocessors import ImagePreprocessor
from tfautolabel.backbones.preprocessors.image import VERSION as PREPROCESSING_VERSION
from tfautolabel.backbones.saved_model import SavedModelLayer

_CONFIG, _NETWORK, _MODULE, _VARIABLES = "backbone.json", "backbone.keras", "module", "variables.npz"


class Backbone:
    """A frozen feature extractor f: encoded inputs to features, Z = f(X).

    `load_backbone` makes one from a string.

    Args:
        handle: the string that selected it, such as "packaged:efficientnet-lite0".
        preprocessor: encoded inputs to (n, size, size, 3) float32 pixels in [0, 255], and which were read.
        network: those pixels to (n, feature_dim) float32 features; whatever scaling it wants is part of it.
        architecture: what identifies the network apart from its weights, for the fingerprint.

    Attributes:
        handle: as received.
        modality: "image".
        preprocessor: as received.
        network: as received.
        feature_dim: d, the length of a feature vector.

    Raises:
        ValueError: If the network does not give one vector an example.
    """

    def __init__(
        self, handle: str, preprocessor: ImagePreprocessor, network: keras.Model, architecture: str
    ) -> None:
        shape = network.output_shape
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(
                f"a backbone gives one vector of known length an example, shape (None, d). Received: "
                f"{handle} with output shape {shape}"
            )
        self.handle = handle
        self.modality = "image"
        self.preprocessor = preprocessor
        self.network = network
        self.architecture = architecture
        self.feature_dim = int(shape[1])

    def __repr__(self) -> str:
        return f"Backbone({self.handle!r}, {self.modality}, {self.feature_dim} features)"

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with the architecture, the weights and the preprocessing.

        Computed anew at each access, because training changes the weights.
        """
        digest = hashlib.sha256()
        described = {
            "architecture": self.architecture,
            "preprocessing": PREPROCESSING_VERSION,
            "size": self.preprocessor.size,
        }
        digest.update(json.dumps(described, sort_keys=True).encode())
        for weight in self.network.weights:
            value = np.ascontiguousarray(weight.numpy())
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes architecture and weights into a folder, so that `Backbone.load` needs no other source.

        Args:
            folder: made if it is not there.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        module = self._saved_model_layer
        if module is None:
            shutil.rmtree(folder / _MODULE, ignore_errors=True)
            self.network.save(folder / _NETWORK)
        else:
            (folder / _NETWORK).unlink(missing_ok=True)
            # Keras refuses to load a .keras file that holds a SavedModel layer: the module travels as it is.
            if Path(module.folder).resolve() != (folder / _MODULE).resolve():
                shutil.rmtree(folder / _MODULE, ignore_errors=True)
                shutil.copytree(module.folder, folder / _MODULE)
            np.savez(folder / _VARIABLES, *[weight.numpy() for weight in module.weights])
        config = {
            "handle": self.handle,
            "architecture": self.architecture,
            "size": self.preprocessor.size,
            "max_pixels": self.preprocessor.max_pixels,
            "output_key": module.output_key if module else None,
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
            ValueError: If its weights are not the ones that were saved.
        """
        folder = Path(folder)
        if not (folder / _CONFIG).is_file():
            raise FileNotFoundError(f"a saved backbone has a file {_CONFIG}. Received: {folder}")
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        preprocessor = ImagePreprocessor(config["size"], config["max_pixels"])
        if (folder / _NETWORK).is_file():
            network = keras.saving.load_model(folder / _NETWORK, compile=False)
        else:
            network = saved_model_network(folder / _MODULE, config["size"], config["output_key"])
            with np.load(folder / _VARIABLES, allow_pickle=False) as values:
                for weight, name in zip(network.weights, values.files, strict=True):
                    weight.assign(values[name])
        network.trainable = False
        backbone = cls(config["handle"], preprocessor, network, config["architecture"])
        if backbone.fingerprint != config["fingerprint"]:
            raise ValueError(
                f"the weights in {folder} are not the ones that were saved: fingerprint "
                f"{config['fingerprint']} expected. Received: {backbone.fingerprint}"
            )
        return backbone

    @property
    def _saved_model_layer(self) -> SavedModelLayer | None:
        return next((layer for layer in self.network.layers if isinstance(layer, SavedModelLayer)), None)


def saved_model_network(
    folder: str | os.PathLike[str], size: int, output_key: str | None = None
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
