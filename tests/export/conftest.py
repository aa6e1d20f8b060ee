import pytest
from hub_modules import make_image_module
from separable import CLASSES, NAMES, picture

import tfautolabel as tal
from tfautolabel.data import Dataset


@pytest.fixture(scope="session")
def labeler(tmp_path_factory):
    """Fitted on eighteen pictures of three classes with awkward names; its user's pictures are noted."""
    folder = tmp_path_factory.mktemp("labeler")
    labeler = tal.Labeler(
        str(make_image_module(folder / "module")), NAMES, cache_dir=folder / "cache", min_confidence=0.7
    )
    inputs = [picture(name, number) for number in range(6) for name in CLASSES]
    labeler.fit(Dataset.from_inputs(inputs, NAMES * 6))
    labeler.users_pictures = inputs
    return labeler


@pytest.fixture(scope="session")
def exported(labeler, tmp_path_factory):
    """The version folder of one export; tests must not change it."""
    return labeler.export(
        tmp_path_factory.mktemp("export") / "colours", details={"note": "ours", "classes": []}
    )


@pytest.fixture(scope="session")
def served(exported):
    import tensorflow as tf

    return tf.saved_model.load(str(exported))


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of the export that a test may spoil."""
    import shutil

    shutil.copytree(exported, tmp_path / "model" / "1")
    return tmp_path / "model" / "1"
