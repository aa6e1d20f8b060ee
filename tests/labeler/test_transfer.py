import numpy as np
import pytest
import tensorflow as tf
from small_networks import changed, coloured, convolutional, values
from text_checkpoints import make_text_checkpoint

import tfautolabel as tal
from tfautolabel.labeler.transfer import check_trainable, choose_method
from tfautolabel.tuning.fine_tuning import tune_fine_tuning

SETTINGS = tal.FineTuneSettings(scope="all", epochs=3, batch_size=6, learning_rate=1e-2, pull=0.0)


@pytest.fixture
def make(tmp_path):
    """Makes a labeler around a small trainable backbone."""

    def made(transfer="model", settings=SETTINGS, **options):
        return tal.Labeler(
            convolutional(),
            ("blue", "green", "red"),
            transfer=transfer,
            transfer_settings=settings,
            cache_dir=tmp_path / "cache",
            **options,
        )

    return made


def test_a_labeler_whose_tuning_diverges_goes_on_with_the_backbone_as_it_was(make):
    absurd = tal.FineTuneSettings(scope="all", epochs=1, batch_size=6, learning_rate=1e30, statistics=True)
    labeler, frozen, data = make(settings=absurd), make("feature", None), coloured(3)
    before = values(labeler.backbone.network)
    labeler.fit(data)
    frozen.fit(data)
    assert "the backbone was left as it was, because it diverged" in labeler.transfer_["why"]
    assert (labeler.transfer_["kept"], labeler.transfer_["method"]) == (False, "feature")
    assert changed(before, values(labeler.backbone.network)) == set()
    np.testing.assert_array_equal(labeler.predict(data), frozen.predict(data))


@pytest.mark.parametrize(
    ("transfer", "settings"),
    [
        ("model", SETTINGS),
        ("contrastive", tal.ContrastiveSettings(scope="all", steps=10, learning_rate=1e-2)),
    ],
)
def test_a_tuned_labeler_predicts_saves_and_exports_the_same(make, tmp_path, transfer, settings):
    labeler, data, pool = make(transfer, settings), coloured(8), coloured(4, first=100)
    fingerprint = labeler.backbone.fingerprint
    labeler.fit(data)
    record = labeler.transfer_
    assert (record["asked"], record["method"], record["kept"]) == (transfer, transfer, True)
    assert "not worse beyond noise" in record["why"]
    assert labeler.backbone.fingerprint != fingerprint
    assert labeler.cross_validation_["folds"] == 3
    assert labeler.out_of_fold_.shape == (24, 3)
    probabilities = labeler.predict(pool)
    assert (probabilities.argmax(axis=1) == pool.class_ids).mean() > 0.8
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "other")
    assert again.transfer_ == record
    assert again.transfer_settings == settings
    np.testing.assert_allclose(again.predict(pool), probabilities, atol=1e-5)
    labeler.export(tmp_path / "model")
    exported = tal.load_exported(tmp_path / "model")
    np.testing.assert_allclose(exported.predict(pool.read(range(12))), probabilities, atol=1e-4)
    assert exported.description["transfer"]["method"] == transfer
    np.testing.assert_allclose(
        labeler.model.predict(tf.constant(pool.read(range(12))), verbose=0), probabilities, atol=1e-4
    )


def test_a_labeler_whose_text_network_was_tuned_can_be_saved(tmp_path):
    texts = [f"the cat sat {n}" for n in range(6)] + [f"dogs ran far {n}" for n in range(6)]
    data = tal.Dataset.from_inputs(texts, labels=["cat"] * 6 + ["dog"] * 6, modality="text")
    settings = tal.FineTuneSettings(scope="last:1", epochs=1, batch_size=6)
    backbone = f"hf:{make_text_checkpoint(tmp_path / 'bert', 'bert')}"
    labeler = tal.Labeler(
        backbone, ("cat", "dog"), transfer="model", transfer_settings=settings, cache_dir=tmp_path / "cache"
    )
    labeler.fit(data)
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "other")
    np.testing.assert_allclose(again.predict(texts), labeler.predict(texts), atol=1e-6)


def test_fitting_again_starts_from_the_first_weights(make, tmp_path):
    labeler, data = make(), coloured(8)
    labeler.fit(data)
    first = labeler.out_of_fold_
    extraction = labeler.extract(data)
    labeler.save(tmp_path / "saved")
    for other in (labeler, tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "cache")):
        other.transfer_settings = SETTINGS
        other.fit(data, extraction=extraction)
        np.testing.assert_allclose(other.out_of_fold_, first, atol=1e-4)


def test_auto_leaves_the_backbone_alone_with_few_labels(make):
    labeler = make("auto", None)
    before = values(labeler.backbone.network)
    labeler.fit(coloured(8))
    assert labeler.transfer_["method"] == "feature"
    assert "a class has 8 labels; from 20 on the backbone is tuned too" in labeler.transfer_["why"]
    assert changed(before, values(labeler.backbone.network)) == set()


def test_auto_keeps_the_frozen_backbone_where_nothing_can_be_learnt(make):
    labeler = make("auto", None)
    before = values(labeler.backbone.network)
    labeler.fit(coloured(30, noise=1.0))
    assert labeler.transfer_["tried"] == "model"
    assert "left as it was, because it is not better beyond noise" in labeler.transfer_["why"]
    assert changed(before, values(labeler.backbone.network)) == set()


def test_a_budget_that_is_too_small_is_said(make):
    labeler = make(time_budget=1e-3)
    before = values(labeler.backbone.network)
    labeler.fit(coloured(6))
    assert "longer than it may" in labeler.transfer_["why"]
    assert changed(before, values(labeler.backbone.network)) == set()
    assert labeler.cross_validation_["folds"] == 5


def test_parameters_of_another_tasks_labeler_are_the_start(make):
    source, target = make(), make("feature", None)
    source.fit(coloured(8))
    before = values(target.backbone.network)
    target.copy_parameters(source, "first:1")
    after = values(target.backbone.network)
    assert changed(before, after) == {"stem_conv/kernel", "stem_bn/gamma", "stem_bn/beta"}
    np.testing.assert_array_equal(
        after["stem_conv/kernel"], values(source.backbone.network)["stem_conv/kernel"]
    )
    target.copy_parameters(source)
    assert changed(values(source.backbone.network), values(target.backbone.network)) == set()
    target.fit(coloured(8))
    assert changed(values(source.backbone.network), values(target.backbone.network)) == set()


def test_parameters_of_another_architecture_are_refused(make, image_module):
    other = tal.Labeler(str(image_module), ("blue", "green", "red"))
    with pytest.raises(ValueError, match=r"of one architecture\. Received: .*module for test:small"):
        make().copy_parameters(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"transfer": "prompt", "settings": None},
            "transfer must be one of feature, model, contrastive, auto",
        ),
        (
            {"transfer": "contrastive"},
            r"transfer_settings are FineTuneSettings for 'model'.*Received: FineTune",
        ),
        ({"transfer": "auto"}, "transfer_settings are"),
        ({"time_budget": "soon"}, r"a time budget is a number of seconds, or as 90s.*Received: 'soon'"),
        ({"time_budget": 0}, "Received: 0"),
    ],
)
def test_misuse_is_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("modality", "per_class", "method"),
    [
        ("text", 3, None),
        ("text", 8, "contrastive"),
        ("image", 16, None),
        ("image", 20, "model"),
        ("audio", 64, "model"),
    ],
)
def test_what_auto_tries(modality, per_class, method):
    class_ids = np.repeat(np.arange(3), per_class)
    chosen, why = choose_method("auto", modality, class_ids, "abc")
    assert chosen == method
    assert why
    assert choose_method("model", modality, class_ids, "abc")[0] == "model"


@pytest.mark.parametrize("transfer", ["model", "contrastive"])
@pytest.mark.parametrize("handle", ["plain:words", "plain:pixels", "plain:spectrum"])
def test_an_error_about_a_backbone_without_parameters_names_what_was_asked_for(transfer, handle):
    with pytest.raises(
        ValueError, match=rf"^transfer must be .* transfer='{transfer}' with {handle}$"
    ) as found:
        check_trainable(transfer, tal.load_backbone(handle))
    assert "scope" not in str(found.value)


def test_only_a_tuning_that_was_asked_for_needs_parameters():
    words = tal.load_backbone("plain:words")
    check_trainable("auto", words)
    check_trainable("feature", words)
    check_trainable("model", words, tal.FineTuneSettings(scope="norm"))  # its error is about the scope


def test_a_labeler_and_a_search_say_so_before_they_read_anything():
    texts = [f"the cat sat {n}" for n in range(6)] + [f"dogs ran far {n}" for n in range(6)]
    data = tal.Dataset.from_inputs(texts, labels=["cat"] * 6 + ["dog"] * 6, modality="text")
    labeler = tal.Labeler("plain:words", ("cat", "dog"), transfer="model", progress=False)
    for call in (labeler.fit, lambda labelled: tune_fine_tuning(labeler, labelled, trials=1)):
        with pytest.raises(ValueError, match="transfer='model' with plain:words"):
            call(data)
