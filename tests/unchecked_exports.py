"""Exports without their check in a process of its own, which takes seconds and has tests of its own."""

import contextlib

import pytest


@contextlib.contextmanager
def unchecked_exports():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfautolabel.export.saved_model.SelfCheck", contextlib.nullcontext)
        patch.setattr("tfautolabel.export.saved_model._check", lambda *_: None)
        yield
