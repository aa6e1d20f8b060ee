from types import SimpleNamespace

import pytest

import tfautolabel as tal
from tfautolabel.jobs import outcome
from tfautolabel.runs.said import Said


def test_features_without_transfer_are_not_compared_with_themselves():
    known = tal.Dataset.from_inputs(["a b", "c d"], ["x", "y"])
    labeler = SimpleNamespace(backbone=SimpleNamespace(handle="plain:words"))
    found = outcome._baselines(labeler, known, Said())
    assert found == {"majority": None, "probe": None, "why": outcome.NO_TRANSFER}


@pytest.mark.parametrize(("transfer", "taken"), [("feature", True), ("auto", True), ("model", False)])
def test_features_without_transfer_are_not_taken_where_a_backbone_is_to_be_tuned(
    monkeypatch, transfer, taken
):
    from tfautolabel import labeler
    from tfautolabel.jobs.labeler_of import labeler_of
    from tfautolabel.runs import RunSettings

    asked = {}

    def select(handle, examples, **options):
        asked.update(options)
        raise LookupError

    monkeypatch.setattr(labeler, "select_backbone", select)
    examples = tal.Dataset.from_inputs(["a b", "c d"], ["x", "y"])
    with pytest.raises(LookupError):
        labeler_of(RunSettings(backbone="auto", transfer=transfer), examples)
    assert asked["take_plain"] is taken
