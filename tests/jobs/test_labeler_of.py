"""The head of a run: the one that the settings name; it decides itself what a pool is good for."""

import pytest

from tfautolabel.data import Dataset
from tfautolabel.heads import AutoHead
from tfautolabel.jobs.labeler_of import labeler_of
from tfautolabel.runs import RunSettings


@pytest.mark.parametrize(("values", "learns"), [({}, True), ({"head": "linear"}, False)])
def test_the_default_head_learns_from_a_pool(image_module, values, learns):
    examples = Dataset.from_inputs([b"1", b"2"], ["ant", "bee"], modality="image")
    settings = RunSettings(backbone=str(image_module), **values)
    labeler, _ = labeler_of(settings, examples, progress=False)
    assert isinstance(labeler.head, AutoHead) is learns
