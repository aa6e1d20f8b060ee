import pytest
from small_networks import changed, coloured, convolutional, values

import tfautolabel as tal
from tfautolabel.training import FineTuneSettings
from tfautolabel.tuning.fine_tuning import tune_fine_tuning

QUICK = FineTuneSettings(epochs=1, batch_size=6)


def test_a_search_gives_settings_and_leaves_the_backbone_as_it_was(tmp_path):
    data, backbone = coloured(4), convolutional()
    labeler = tal.Labeler(
        backbone, data.classes, transfer="model", cache_dir=tmp_path / "cache", progress=False
    )
    before, head = values(backbone.network), labeler.head
    found = tune_fine_tuning(labeler, data, trials=2, out=tmp_path / "out", settings=QUICK)
    assert changed(before, values(backbone.network)) == set()
    assert labeler.head is head
    assert labeler.transfer_settings == FineTuneSettings(**found["settings"])
    assert labeler.transfer_settings.epochs == 1
    assert 0.0 <= found["accuracy"] <= 1.0
    assert found["trials"] == 2
    assert (tmp_path / "out" / "trials.csv").read_text().count("COMPLETED") == 2


def test_a_frozen_backbone_has_nothing_to_tune(tmp_path):
    labeler = tal.Labeler(convolutional(), coloured().classes, progress=False)
    with pytest.raises(ValueError, match='transfer="model"'):
        tune_fine_tuning(labeler, coloured())
