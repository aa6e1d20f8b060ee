"""The head of a run: one that learns from the pool, where there is something to learn."""

import pytest

from tfautolabel.data import Dataset
from tfautolabel.heads import AutoHead
from tfautolabel.jobs.labeler_of import labeler_of
from tfautolabel.runs import RunSettings


@pytest.mark.parametrize(
    ("pool_size", "values", "learns"),
    [
        (300, {}, True),
        (299, {}, False),
        (0, {}, False),
        (5_000, {"head": "linear"}, False),
        (5_000, {"transfer": "model"}, False),
        (5_000, {"tune": True}, False),
    ],
)
def test_the_default_head_learns_from_pools_that_tell_enough(image_module, pool_size, values, learns):
    examples = Dataset.from_inputs([b"1", b"2"], ["ant", "bee"], modality="image")
    settings = RunSettings(backbone=str(image_module), **values)
    labeler, _ = labeler_of(settings, examples, pool_size, progress=False)
    assert isinstance(labeler.head, AutoHead) is learns
    labeler, _ = labeler_of(settings, examples, pool_size, progress=False, rules=True)
    assert not isinstance(labeler.head, AutoHead)
