import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hub_modules import make_image_module
from separable import CLASSES, picture, write_flat, write_folder_per_class

import tfautolabel as tal
from tfautolabel.data import Dataset, Learnt
from tfautolabel.labeler import storage


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return make_image_module(tmp_path_factory.mktemp("backbones") / "module")


@pytest.fixture(scope="module")
def backbone(module):
    return tal.load_backbone(str(module))


@pytest.fixture(scope="module")
def labelled():
    inputs = [picture(name, number) for number in range(6) for name in CLASSES]
    return Dataset.from_inputs(inputs, list(CLASSES) * 6)


@pytest.fixture(scope="module")
def pool():
    return Dataset.from_inputs([picture(name, number) for number in range(100, 105) for name in CLASSES])


@pytest.fixture
def make(backbone, tmp_path):
    """Makes a labeler whose feature cache is the test's own."""

    def made(head="linear", classes=CLASSES, **options):
        return tal.Labeler(backbone, classes, head, cache_dir=tmp_path / "cache", **options)

    return made


@pytest.fixture(scope="module")
def fitted(backbone, labelled, tmp_path_factory):
    labeler = tal.Labeler(backbone, CLASSES, cache_dir=tmp_path_factory.mktemp("cache"))
    labeler.fit(labelled)
    return labeler


def test_the_order_of_the_labels_changes_neither_the_model_nor_what_is_accepted(make, labelled, pool):
    shuffled = np.random.default_rng(0).permutation(len(labelled))
    told = []
    for rows in (np.arange(len(labelled)), shuffled):
        labeler = make()
        labeler.fit(labelled.subset(rows))
        labels = labeler.label(pool)
        back = np.argsort(rows)
        told.append(
            [
                *labeler.head.get_weights(),
                labeler.out_of_fold_[back],
                labeler.truth_[back],
                labeler.calibration_.scale,
                labels.probabilities,
                labels.class_ids,
            ]
        )
    for one, two in zip(*told, strict=True):
        np.testing.assert_array_equal(one, two)


def softmax_head(units=3, activation="softmax", feature_dim=16):
    return keras.Sequential([keras.Input((feature_dim,)), keras.layers.Dense(units, activation)])


def test_the_public_face_runs_as_written(module, tmp_path, monkeypatch):
    """The code in docs/DESIGN.md, with a local backbone and a head that Keras trains."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))
    write_folder_per_class("flowers", 6)
    truth = write_flat("unsorted", 5, first=50)

    labelled = tal.load_dataset("flowers/")
    pool = tal.load_dataset("unsorted/")
    labeler = tal.Labeler(str(module), classes=labelled.classes)
    labeler.compile(optimizer=keras.optimizers.Adam(0.02))
    labeler.fit(labelled, epochs=15, batch_size=3)
    labels = labeler.label(pool)
    tal.write_labels(labels, "labels.parquet")
    exported = labeler.export("saved_models/flowers/1")

    assert labels.ids.tolist() == sorted(truth)
    assert labels.predicted.tolist() == [truth[name] for name in sorted(truth)]
    assert (tmp_path / "labels.parquet").is_file()
    assert exported.as_posix() == "saved_models/flowers/1"
    again = tal.load_exported("saved_models/flowers").label(pool)
    assert again.predicted.tolist() == labels.predicted.tolist()


def test_fit_predict_label_and_evaluate_agree(fitted, labelled, pool):
    probabilities = fitted.predict(pool)
    assert probabilities.shape == (15, 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    labels = fitted.label(pool, min_confidence=0.0)
    np.testing.assert_array_equal(labels.probabilities, probabilities)
    assert labels.class_ids.tolist() == probabilities.argmax(axis=1).tolist() == [0, 1, 2] * 5
    evaluation = fitted.evaluate(pool.with_labels(list(CLASSES) * 5))
    assert (evaluation.count, evaluation.accuracy) == (15, 1.0)
    wrong = fitted.evaluate(pool.with_labels(["red", "green", "blue"] * 5))
    assert wrong.accuracy == pytest.approx(1 / 3)
    assert fitted.cross_validation_["examples"] == 18
    assert evaluation.learnt_from == 0


def test_what_was_learnt_from_is_not_measured_as_accuracy(fitted, labelled, pool, tmp_path):
    fitted.save(tmp_path / "saved")
    fitted.export(tmp_path / "model")
    assert b"learnt" not in b"".join(p.read_bytes() for p in (tmp_path / "model").rglob("*.json"))
    exported, known = tal.load_exported(tmp_path / "model"), {"learnt": Learnt.of(labelled)}
    saved = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "cache")
    # Other names, the same contents; and one that was not learnt from.
    again = Dataset.from_inputs(labelled.read(range(18)), ["blue"] * 18)
    inputs = [*labelled.read(range(18)), *pool.read([0])]
    mixed = Dataset.from_inputs(inputs, [*["green"] * 18, "blue"])
    for one, options in ((fitted, {}), (saved, {}), (exported, known)):
        with pytest.warns(UserWarning, match="all 18 examples were learnt from: what is measured is no acc"):
            assert set(one.evaluate(again, **options).to_dict()) == {"count", "agreement", "learnt_from"}
        with pytest.warns(UserWarning, match="18 of 19 examples were learnt from and are left out"):
            measured = one.evaluate(mixed, **options)
        assert (measured.count, measured.accuracy, measured.learnt_from) == (1, 1.0, 0)
    right = fitted.out_of_fold_.argmax(axis=1) == labelled.class_ids
    assert fitted.cross_validation_["accuracy"] == right.mean() > 0.9


def test_predict_takes_bytes_too(fitted, pool):
    encoded = [picture("blue", 100), picture("green", 100), picture("red", 100)]
    np.testing.assert_allclose(fitted.predict(encoded), fitted.predict(pool)[:3], atol=1e-6)


def test_the_bound_decides_what_is_accepted(fitted, pool):
    probabilities = fitted.predict(pool).max(axis=1)
    bound = float(np.sort(probabilities)[7])
    labels = fitted.label(pool, min_confidence=bound)
    np.testing.assert_array_equal(labels.accepted, probabilities >= np.float32(bound))
    assert 0 < labels.accepted.sum() < 15
    assert fitted.label(pool, min_confidence=0.0).accepted.all()


@pytest.mark.parametrize("bound", [-0.1, 1.1, float("nan")])
def test_a_bound_that_is_no_probability_is_refused(make, fitted, pool, bound):
    with pytest.raises(ValueError, match="min_confidence must lie in"):
        make(min_confidence=bound)
    with pytest.raises(ValueError, match="min_confidence must lie in"):
        fitted.label(pool, min_confidence=bound)


def test_broken_pictures_are_set_aside_everywhere(make, fitted):
    inputs = [picture(name, number) for number in range(3) for name in CLASSES]
    inputs[4:4] = [b"", picture("red")[:200]]
    names = [*CLASSES, "blue", "green", "green", "green", "red", *CLASSES]
    ids = [f"{row}.png" for row in range(len(inputs))]
    labelled = Dataset.from_inputs(inputs, names, ids)
    labeler = make()
    with pytest.warns(UserWarning, match="2 of 11 labelled examples could not be read and are left out"):
        labeler.fit(labelled)
    assert labeler.unreadable_ == (
        tal.Unreadable("4.png", "empty file"),
        tal.Unreadable("5.png", "truncated PNG"),
    )
    assert labeler.out_of_fold_.shape == (9, 3)
    assert labeler.cross_validation_["examples"] == 9

    labels = fitted.label(labelled)
    assert len(labels) == 9
    assert "4.png" not in labels.ids
    assert labels.unreadable == labeler.unreadable_
    with pytest.warns(UserWarning, match=r"2 of 11 examples could not be read .* 4\.png: empty file"):
        probabilities = fitted.predict(labelled)
    assert not probabilities[[4, 5]].any()
    np.testing.assert_array_equal(np.delete(probabilities, [4, 5], axis=0), labels.probabilities)
    with (
        pytest.warns(UserWarning, match="2 of 11 labelled examples could not be read and are left out"),
        pytest.warns(UserWarning, match="all 9 examples were learnt from"),
    ):
        assert fitted.evaluate(labelled).count == 9


def test_a_class_with_one_example_warns(make, labelled):
    some = labelled.subset([0, 1, 2, 3, 4, 6, 7])
    labeler = make()
    with pytest.warns(UserWarning, match="only one labelled example of red"):
        labeler.fit(some)
    assert labeler.cross_validation_["one_label"] == ["red"]


def test_a_class_without_a_readable_example_is_refused(make, labelled):
    inputs = [*labelled.read([0, 1, 3, 4]), b""]
    dataset = Dataset.from_inputs(inputs, ["blue", "green", "blue", "green", "red"], list("abcde"))
    with pytest.raises(ValueError, match=r"none of red; 1 could not be read, the first e: empty file"):
        make().fit(dataset)
    with pytest.raises(ValueError, match=r"Received: none of red$"):
        make().fit(labelled.subset([0, 1, 3, 4]))


def test_a_label_that_is_no_class_is_refused_before_anything_is_computed(make, fitted, labelled, tmp_path):
    with pytest.raises(ValueError, match=r"none of the classes 'blue', 'green'\. Received: 'red'"):
        make(classes=["blue", "green"]).fit(labelled)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ValueError, match=r"Received: 'cyan'"):
        fitted.evaluate(Dataset.from_inputs([picture("blue")], ["cyan"]))


def test_examples_without_a_label_are_ignored(make, labelled):
    labels = [*list(CLASSES) * 2, *[None] * 12]
    labeler = make()
    labeler.fit(labelled.with_labels(labels))
    assert labeler.cross_validation_["examples"] == 6


def test_class_weights_reach_the_head(make, backbone):
    """Fifteen of one class, three of another, all alike: only the weights can tell them apart."""
    names = (["blue"] * 5 + ["green"]) * 3
    inputs = [picture("red", number) for number in range(18)]
    labelled = Dataset.from_inputs(inputs, names)
    shares = {}
    for weight in ({}, "balanced", {"green": 100.0}):
        labeler = make(classes=["blue", "green"])
        labeler.fit(labelled, class_weight=weight)
        shares[str(weight)] = labeler.predict(inputs)[:, 1].mean()
    assert shares["{}"] == pytest.approx(3 / 18, abs=0.05)
    assert shares["balanced"] == pytest.approx(0.5, abs=0.15)
    # What so few alike examples do not bear out is held down, but the weight decides.
    assert shares["{'green': 100.0}"] > 0.6
    for sampling, expected in {"unknown": 0.5, "random": 8 / 28, "chosen": 0.5}.items():
        labeler = make(classes=["blue", "green"])
        labeler.fit(labelled, sampling=sampling)
        assert labeler.predict(inputs)[:, 1].mean() == pytest.approx(expected, abs=0.15)
    with pytest.raises(ValueError, match=r"one of unknown, random, chosen\. Received: sampling='drawn'"):
        labeler.fit(labelled, sampling="drawn")


@pytest.mark.parametrize("weight", ["even", {"cyan": 1.0}, {"red": 0}])
def test_bad_class_weights_are_refused(make, labelled, weight):
    with pytest.raises(ValueError, match="class_weight is 'balanced' or a positive number"):
        make().fit(labelled, class_weight=weight)


def test_compile_gives_ordinary_keras_training(make, labelled, pool):
    labeler = make()
    labeler.compile(optimizer=keras.optimizers.Adam(0.1), metrics=["accuracy"])
    seen = []
    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"])),
        keras.callbacks.EarlyStopping("loss", patience=1000),
    ]
    history = labeler.fit(labelled, epochs=30, callbacks=callbacks)
    assert isinstance(history, keras.callbacks.History)
    assert history.epoch == list(range(30))
    assert history.history["loss"] == seen
    assert set(history.history) == {"accuracy", "loss"}
    assert seen[-1] < 0.5 * seen[0]
    assert labeler.label(pool, min_confidence=0).predicted.tolist() == list(CLASSES) * 5


def test_the_default_solver_gives_a_history_too(fitted, make, labelled):
    history = make().fit(labelled)
    assert isinstance(history, keras.callbacks.History)
    assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_second_fit_starts_anew(make, labelled, head):
    """Else the cross-validation would be of weights that have seen every example."""
    labeler = make(head)
    labeler.compile(optimizer="adam")
    labeler.fit(labelled, epochs=5)
    first = [*labeler.head.get_weights(), labeler.out_of_fold_]
    labeler.fit(labelled, epochs=5)
    for one, two in zip(first, [*labeler.head.get_weights(), labeler.out_of_fold_], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_seed_decides_everything(make, labelled, pool):
    def probabilities(seed):
        labeler = make("mlp", seed=seed)
        labeler.fit(labelled, epochs=3)
        return labeler.predict(pool)

    first, again, other = probabilities(0), probabilities(0), probabilities(1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_any_keras_model_is_a_head(make, labelled, pool):
    head = softmax_head()
    labeler = make(head)
    losses = labeler.fit(labelled, epochs=50).history["loss"]  # compiled for it, because it was not
    assert labeler.head is head
    assert len(losses) == 50
    assert losses[-1] < losses[0]
    assert labeler.predict(pool).shape == (15, 3)


def test_a_head_that_gives_no_probabilities_is_refused(make):
    with pytest.raises(ValueError, match="must give probabilities, not logits: end it in a softmax"):
        make(softmax_head(activation=None))
    with pytest.raises(ValueError, match=r"must give shape \(n, 3\), .* Received: \(n, 4\)"):
        make(softmax_head(units=4))
    with pytest.raises(ValueError, match=r"does not take features of shape \(n, 16\)"):
        make(softmax_head(feature_dim=17))
    with pytest.raises(TypeError, match=r"name of one or a keras\.Model\. Received: 3"):
        make(3)
    with pytest.raises(ValueError, match=r"Received: 'forest'"):
        make("forest")


@pytest.mark.parametrize("classes", ["red", ["red"], ["red", "red"], ["red", ""], [1, 2], []])
def test_classes_that_are_no_classes_are_refused(make, classes):
    with pytest.raises(ValueError, match="classes are at least two distinct names"):
        make(classes=classes)


def test_nothing_works_before_fit(make, pool, tmp_path):
    labeler = make()
    for call in (
        lambda: labeler.predict(pool),
        lambda: labeler.label(pool),
        lambda: labeler.evaluate(pool.with_labels(list(CLASSES) * 5)),
        lambda: labeler.export(tmp_path / "model"),
        lambda: labeler.save(tmp_path / "saved"),
    ):
        with pytest.raises(RuntimeError, match="not fitted yet: call fit"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("head", ["linear", "mlp", "own"])
def test_a_saved_labeler_predicts_the_same_without_the_backbones_folder(head, labelled, pool, tmp_path):
    module = make_image_module(tmp_path / "module", seed=3)
    labeler = tal.Labeler(
        str(module),
        CLASSES,
        softmax_head() if head == "own" else head,
        cache_dir=tmp_path / "cache",
        min_confidence=0.6,
        batch_size=7,
        seed=2,
    )
    options = {} if head == "linear" else {"epochs": 5}
    labeler.fit(labelled, **options)
    expected = labeler.predict(pool)
    out_of_fold = labeler.out_of_fold_
    labeler.save(tmp_path / "saved")
    shutil.rmtree(module)
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    if head == "mlp":  # as an earlier version named it
        state = tmp_path / "moved" / "labeler_state.json"
        state.write_text(state.read_text().replace('"unreadable"', '"rejected"'))

    loaded = tal.Labeler.load(tmp_path / "moved", cache_dir=tmp_path / "other")
    np.testing.assert_allclose(loaded.predict(pool), expected, atol=1e-6)
    assert (loaded.classes, loaded.min_confidence, loaded.batch_size, loaded.seed) == (CLASSES, 0.6, 7, 2)
    assert loaded.cross_validation_ == labeler.cross_validation_
    np.testing.assert_allclose(loaded.out_of_fold_, out_of_fold, atol=1e-7)
    loaded.fit(labelled, **options)  # goes on as the first would have: from the first weights
    np.testing.assert_allclose(loaded.out_of_fold_, out_of_fold, atol=1e-5)


def test_an_error_in_the_middle_leaves_the_labeler_that_was_saved(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "saved")
    before = {path: path.stat().st_ino for path in (tmp_path / "saved").rglob("*")}

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage.json, "dump", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fitted.save(tmp_path / "saved")
    assert {path: path.stat().st_ino for path in (tmp_path / "saved").rglob("*")} == before
    fitted.save(tmp_path / "saved")
    assert {*before} == {*(tmp_path / "saved").rglob("*")}
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    (tmp_path / "saved" / "notes").touch()
    with pytest.raises(FileExistsError, match="which holds notes"):
        fitted.save(tmp_path / "saved")


def test_a_folder_without_a_labeler_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"labeler_state\.json\. Received: .* load_exported"):
        tal.Labeler.load(tmp_path)


def test_build_model_gives_what_the_labeler_predicts(fitted, pool):
    model = fitted.model
    assert type(model).__name__ == "Functional"
    inputs = [*pool.read(range(4)), b"broken", *pool.read(range(4, 7))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = fitted.predict(inputs)
    np.testing.assert_allclose(model.predict(tf.constant(inputs), verbose=0), expected, atol=1e-5)
    assert not model.predict(tf.constant(inputs), verbose=0)[4].any()
    same = tal.build_model(fitted.backbone, fitted.head, CLASSES)
    np.testing.assert_allclose(same.predict(tf.constant(inputs), verbose=0), expected, atol=1e-5)


def test_build_model_trains_on_strings_and_moves_only_the_head(module, labelled, pool, tmp_path):
    model = tal.build_model(str(module), "mlp", CLASSES)
    backbone = model.get_layer("saved_model_backbone")
    head = model.get_layer("mlp_head")
    before = [value.numpy() for value in backbone.weights], [value.numpy() for value in head.weights]
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    inputs = tf.constant(labelled.read(range(18)))
    history = model.fit(inputs, labelled.class_ids, epochs=15, batch_size=6, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    for old, new in zip(before[0], backbone.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    assert any(not np.array_equal(old, new.numpy()) for old, new in zip(before[1], head.weights, strict=True))

    strings = tf.constant([*pool.read(range(3)), b"broken"])
    expected = model.predict(strings, verbose=0)
    model.export(tmp_path / "plain", verbose=False)
    plain = tf.saved_model.load(tmp_path / "plain")
    served = plain.serve(strings)
    np.testing.assert_allclose(served.numpy(), expected, atol=1e-5)
    assert not served.numpy()[3].any()
