import keras
import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.backbones.modules.layer import SavedModelLayer

IMAGES = tf.TensorSpec([None, 32, 32, 3], tf.float32)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    class_ids = rng.integers(0, 2, 32)
    return (rng.random((32, 32, 32, 3)) * (0.5 + 0.5 * class_ids[:, None, None, None])).astype(
        "float32"
    ), class_ids


def classifier(layer):
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Dense(2)(layer(images)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def moved_in_fit(layer, batch):
    """Names of the module's own variables that a fit changes, split into (trained, statistics)."""
    model = classifier(layer)
    inside = list(layer._module.variables)
    trainable = {id(variable) for variable in layer._module.trainable_variables}
    before = [variable.numpy() for variable in inside]
    model.fit(*batch, epochs=2, batch_size=8, verbose=0)
    moved = [v for v, old in zip(inside, before, strict=True) if not np.array_equal(v.numpy(), old)]
    return sum(id(v) in trainable for v in moved), sum(id(v) not in trainable for v in moved)


def save_module(module, folder, **options):
    tf.saved_model.save(module, str(folder), **options)
    return folder


def save_signature(folder, outputs, key="serving_default", inputs=1):
    """A SavedModel without a callable root; `outputs` maps a (n, 3) tensor to the outputs."""
    module = tf.Module()
    module.kernel = tf.Variable(tf.ones([3, 5]), name="kernel")
    specs = [tf.TensorSpec(IMAGES.shape, tf.float32, name=f"image{i}") for i in range(inputs)]
    module.run = tf.function(
        lambda *x: outputs(tf.reduce_mean(x[0], [1, 2]) @ module.kernel), input_signature=specs
    )
    return save_module(module, folder, signatures={key: module.run})


def test_trains_weights_and_statistics(image_module, batch):
    layer = SavedModelLayer(image_module, trainable=True)
    trained, statistics = moved_in_fit(layer, batch)
    assert trained == len(layer.trainable_variables) == 5
    assert statistics == len(layer.non_trainable_variables) == 2


def test_frozen_changes_nothing(image_module, batch):
    layer = SavedModelLayer(image_module)
    assert layer.trainable_variables == []
    assert moved_in_fit(layer, batch) == (0, 0)


def test_freezes_and_thaws_after_construction(image_module, batch):
    layer = SavedModelLayer(image_module, trainable=True)
    layer.trainable = False
    assert moved_in_fit(layer, batch) == (0, 0)
    layer.trainable = True
    assert moved_in_fit(layer, batch) == (5, 2)


def test_matches_the_module_in_training_and_inference(image_module, batch):
    module = tf.saved_model.load(str(image_module))
    layer = SavedModelLayer(image_module, trainable=True)
    np.testing.assert_array_equal(layer(batch[0]), module(batch[0], training=False))
    np.testing.assert_allclose(layer(batch[0], training=True), module(batch[0], training=True), atol=1e-6)


def test_regularisation_counts_only_in_training(image_module, batch):
    layer = SavedModelLayer(image_module, trainable=True)
    layer(batch[0])
    assert layer.losses == []
    layer(batch[0], training=True)
    assert [float(loss) > 0 for loss in layer.losses] == [True]


def test_export_gives_the_same_numbers(image_module, batch, tmp_path):
    model = classifier(SavedModelLayer(image_module, trainable=True, name="_module:0/"))
    model.fit(*batch, verbose=0)
    expected = model.predict(batch[0], verbose=0)
    model.export(str(tmp_path / "export"), verbose=False)
    image_module.rename(tmp_path / "gone")
    exported = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(exported.serve(batch[0]), expected, atol=1e-5)


def test_names_are_clean(image_module):
    layer = SavedModelLayer(image_module, name="_module:0/x")
    assert layer.name == "module_0_x"
    assert all(":" not in variable.name and "/" not in variable.name for variable in layer.variables)
    assert len({variable.name for variable in layer.variables}) == 7


def test_output_spec_and_module_input(image_module):
    layer = SavedModelLayer(image_module)
    assert layer(keras.Input((32, 32, 3))).shape == (None, 16)
    assert layer.module_input.shape.as_list() == [None, 32, 32, 3]
    assert not layer.inference_only


def test_mixed_precision_does_not_reach_the_module(image_module, batch):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert SavedModelLayer(image_module)(batch[0]).dtype == "float32"
    finally:
        keras.config.set_dtype_policy(policy)


def test_config_makes_the_same_layer(image_module, batch):
    layer = SavedModelLayer(image_module, trainable=True, name="features")
    again = SavedModelLayer.from_config(layer.get_config())
    assert (again.name, again.trainable) == ("features", True)
    np.testing.assert_array_equal(again(batch[0]), layer(batch[0]))


def test_wrong_input_names_what_the_module_takes(image_module):
    with pytest.raises(ValueError, match=r"takes TensorSpec\(shape=\(None, 32, 32, 3\)"):
        SavedModelLayer(image_module)(keras.Input((40, 40, 3)))


def test_plain_module_without_training_argument(tmp_path, batch):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.ones([3, 4]))
            self.fixed = tf.Variable(tf.ones([4]), trainable=False)
            self.calls = tf.Variable(0, trainable=True)

        @tf.function(input_signature=[IMAGES])
        def __call__(self, images):
            return tf.reduce_mean(images, [1, 2]) @ self.kernel * self.fixed

    layer = SavedModelLayer(save_module(Module(), tmp_path), trainable=True)
    assert (len(layer.trainable_variables), len(layer.variables)) == (1, 3)
    before = layer.trainable_variables[0].numpy()
    classifier(layer).fit(*batch, verbose=0)
    assert not np.array_equal(layer.trainable_variables[0].numpy(), before)


def test_module_saved_for_inference_still_gets_its_argument(tmp_path, batch):
    class Module(tf.Module):
        @tf.function
        def __call__(self, images, training, momentum=0.9):
            return tf.reduce_mean(images, [1, 2]) * (2.0 if training else 1.0)

    module = Module()
    module.__call__.get_concrete_function(IMAGES, training=False)
    layer = SavedModelLayer(save_module(module, tmp_path), trainable=True)
    np.testing.assert_allclose(layer(batch[0], training=True), batch[0].mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("key", ["serving_default", "default"])
def test_signature_is_for_inference(tmp_path, batch, key):
    folder = save_signature(tmp_path, lambda x: {"anything": x}, key)
    layer = SavedModelLayer(folder)
    assert layer.inference_only
    assert (len(layer.variables), layer.trainable_variables) == (1, [])
    assert classifier(layer).predict(batch[0], verbose=0).shape == (32, 2)
    assert layer.module_input.shape.as_list() == [None, 32, 32, 3]
    with pytest.raises(ValueError, match="for inference: trainable must be False"):
        layer.trainable = True
    with pytest.raises(ValueError, match="for inference"):
        SavedModelLayer(folder, trainable=True)


def test_keras_export_of_a_network_can_be_used(tmp_path, batch):
    images = keras.Input((32, 32, 3))
    network = keras.Model(images, keras.layers.Conv2D(4, 32)(images)[:, 0, 0])
    network.export(str(tmp_path), verbose=False)
    layer = SavedModelLayer(tmp_path)
    np.testing.assert_allclose(layer(batch[0]), network(batch[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "expected"), [(("logits", "feature_vector"), 2), (("default", "logits"), 1)]
)
def test_known_output_is_taken_of_several(tmp_path, batch, outputs, expected):
    folder = save_signature(tmp_path, lambda x: {name: x * (i + 1) for i, name in enumerate(outputs)})
    mean_sum = batch[0].mean((1, 2)).sum(1, keepdims=True)
    np.testing.assert_allclose(SavedModelLayer(folder)(batch[0])[:, :1], mean_sum * expected, rtol=1e-4)
    np.testing.assert_allclose(
        SavedModelLayer(folder, output_key="logits")(batch[0])[:, :1] * expected,
        mean_sum * expected * (1 if outputs[0] == "logits" else 2),
        rtol=1e-4,
    )


def test_unknown_outputs_are_named(tmp_path):
    folder = save_signature(tmp_path, lambda x: {"a": x, "b": x})
    with pytest.raises(ValueError, match=r"one of \['a', 'b'\].*output_key=None"):
        SavedModelLayer(folder)(keras.Input((32, 32, 3)))
    with pytest.raises(ValueError, match=r"one of \['a', 'b'\].*output_key='c'"):
        SavedModelLayer(folder, output_key="c")(keras.Input((32, 32, 3)))


def test_output_key_of_a_plain_tensor_is_refused(image_module):
    with pytest.raises(ValueError, match="returns no dictionary"):
        SavedModelLayer(image_module, output_key="default")(keras.Input((32, 32, 3)))


def test_signatures_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"Received: .* with signatures \['embed'\]"):
        SavedModelLayer(save_signature(tmp_path / "a", lambda x: {"a": x}, key="embed"))
    with pytest.raises(ValueError, match=r"must have one input.*image0.*image1"):
        SavedModelLayer(save_signature(tmp_path / "b", lambda x: {"a": x}, inputs=2))


def test_missing_folder_and_other_folders(tmp_path, image_module):
    with pytest.raises(FileNotFoundError, match=r"saved_model\.pb.*nowhere"):
        SavedModelLayer(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"holds \['image_module'\]"):
        SavedModelLayer(tmp_path)
    (image_module / "saved_model.pb").write_bytes(b"garbage" * 9)
    with pytest.raises(ValueError, match="not a SavedModel that can be loaded"):
        SavedModelLayer(image_module)


def test_unknown_operation_names_tensorflow_text(image_module):
    graph = image_module / "saved_model.pb"
    graph.write_bytes(graph.read_bytes().replace(b"Relu", b"Rexu"))
    with pytest.raises(RuntimeError, match=r"operation Rexu.*import tensorflow_text"):
        SavedModelLayer(image_module)


def test_keras_that_copies_variables_is_noticed(image_module, monkeypatch):
    class Copying(keras.Variable):
        def __init__(self, initializer, **options):
            super().__init__(initializer.numpy(), **options)

    monkeypatch.setattr(keras, "Variable", Copying)
    with pytest.raises(RuntimeError, match="copies a SavedModel's variables"):
        SavedModelLayer(image_module)
