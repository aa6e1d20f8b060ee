"""Fixtures that several tests of jobs use."""

import pytest
from hub_modules import make_text_module


@pytest.fixture(scope="module")
def text_module(tmp_path_factory):
    """The folder of a small module that embeds texts, as --backbone takes it."""
    return str(make_text_module(tmp_path_factory.mktemp("module") / "text"))
