"""Fixtures that several test files use."""

import sys
from pathlib import Path

import pytest

# With --import-mode=importlib the tests' own folder is not importable otherwise.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def image_module(tmp_path):
    """The folder of a small TF-Hub-format image module: 32 px in, 16 features out."""
    from hub_modules import make_image_module

    return make_image_module(tmp_path / "image_module")
