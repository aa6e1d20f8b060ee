import contextlib
import shutil

import pytest
from clips import tones, wav
from hub_modules import make_audio_module, make_image_module, make_text_module
from separable import CLASSES, picture
from served import Running, save_sums

import tfautolabel as tal
from tfautolabel.data import Dataset

MODALITIES = {"pictures": "image", "texts": "text", "sounds": "audio"}
TEXTS = {"praise": "good great film", "blame": "bad poor film"}


def _pictures(folder):
    inputs = [picture(name, number) for number in range(4) for name in CLASSES]
    return make_image_module(folder / "pictures"), CLASSES, inputs, list(CLASSES) * 4


def _texts(folder):
    inputs = [f"{words} the {number}" for number in range(4) for words in TEXTS.values()]
    return make_text_module(folder / "texts"), tuple(TEXTS), inputs, list(TEXTS) * 4


def _sounds(folder):
    loud = {"loud": 1.0, "quiet": 0.05}
    inputs = [wav(level * tones(seed=number)) for number in range(4) for level in loud.values()]
    return make_audio_module(folder / "sounds"), tuple(loud), inputs, list(loud) * 4


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """A folder of models of pictures, texts and sounds that `Labeler.export` wrote; not to be changed."""
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        # The check in a process of its own takes seconds, and has tests of its own.
        patch.setattr("tfautolabel.export.saved_model.SelfCheck", contextlib.nullcontext)
        patch.setattr("tfautolabel.export.saved_model._check", lambda *_: None)
        for name, make in {"pictures": _pictures, "texts": _texts, "sounds": _sounds}.items():
            module, classes, inputs, labels = make(folder / "modules")
            handle = str(module)
            labeler = tal.Labeler(handle, classes, cache_dir=folder / "cache", min_confidence=0.4)
            labeler.fit(Dataset.from_inputs(inputs, labels, modality=MODALITIES[name]))
            labeler.export(folder / "models" / name / "1")
    return folder / "models"


@pytest.fixture(scope="session")
def sums(tmp_path_factory):
    """Two versions of a SavedModel without labeler.json: one adds up, two doubles; not to be changed."""
    folder = tmp_path_factory.mktemp("sums")
    save_sums(folder / "1", 1)
    save_sums(folder / "2", 2)
    return folder


@pytest.fixture
def folder(sums, tmp_path):
    """A folder of models that a test may change: version 1 of sums."""
    shutil.copytree(sums / "1", tmp_path / "models" / "sums" / "1")
    return tmp_path / "models"


@pytest.fixture(scope="session")
def server(sums):
    """A server of version 2 of sums, for requests that change nothing."""
    with Running(f"sums={sums}", grpc=True, timeout=5, max_body=1_000_000, max_instances=100) as running:
        yield running


@pytest.fixture(scope="session")
def labels(exports):
    """A server of the exported models."""
    with Running(exports, grpc=True) as running:
        yield running
