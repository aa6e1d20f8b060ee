import keras
import numpy as np

from tfautolabel import _keras_internals as internals


def network():
    """Two convolutions with a batch norm, and a dense layer in a model of its own."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")], name="inner")
    return keras.Model(inputs, inner(x))


def names(layers):
    return {layer.name for layer in layers}


def test_all_layers():
    model = network()
    assert {"first", "norm", "pool", "inner", "dense"} < names(internals.all_layers(model))
    assert model in internals.all_layers(model)


def test_inner_layers():
    inner = network().get_layer("inner")
    assert "dense" in names(internals.inner_layers(inner))
    assert internals.inner_layers(inner.get_layer("dense")) == []


def test_own_parameters():
    model = network()
    model.trainable = False
    norm = model.get_layer("norm")
    assert {id(v) for v in internals.own_parameters(norm)} == {id(norm.gamma), id(norm.beta)}
    assert internals.own_parameters(model.get_layer("inner")) == []
    assert len(internals.own_parameters(model.get_layer("inner").get_layer("dense"))) == 2


def test_let_train():
    norm = network().get_layer("norm")
    norm.gamma.trainable = False
    for trainable in (True, False):
        internals.let_train(norm, trainable)
        assert norm.trainable is internals.is_trainable(norm) is trainable
        assert [variable.trainable for variable in (norm.gamma, norm.beta)] == [False, True]
    # Of a batch norm that is not trainable, the moving averages stay where they are.
    before = norm.moving_mean.numpy()
    norm(np.ones((2, 6, 6, 4), np.float32), training=True)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before)


def test_track():
    layer, variable = keras.layers.Layer(), keras.Variable(np.ones(2), name="mine")
    internals.track(layer, variable)
    assert [id(weight) for weight in layer.weights] == [id(variable)]
    assert [id(weight) for weight in layer.trainable_variables] == [id(variable)]


def test_nodes_in_the_order_of_the_data():
    model = network()
    assert internals.is_functional(model)
    found = list(internals.nodes(model))
    seen = set()
    for node in found:
        if not node.is_input:
            assert {id(tensor) for tensor in node.input_tensors} <= seen
        seen |= {id(tensor) for tensor in node.outputs}
    assert [node.is_input for node in found].count(True) == 1
    assert [node.operation.name for node in found[1:]] == ["first", "norm", "pool", "inner"]


def test_a_model_that_is_no_graph_is_not_functional():
    class Plain(keras.Model):
        pass

    assert not internals.is_functional(Plain())


def test_call_again():
    model = network()
    _, first, norm, *_ = internals.nodes(model)
    given = keras.Input((8, 8, 3))
    (tensor,) = first.input_tensors
    again = keras.Model(given, internals.call_again(first, {id(tensor): given}))
    value = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    expected = model.get_layer("first")(value)
    np.testing.assert_allclose(again(value), expected)
    assert internals.call_again(norm, {id(norm.input_tensors[0]): keras.Input((6, 6, 4))}).shape == (
        None, 6, 6, 4,
    )  # fmt: skip


def test_who_gives_to_whom():
    model = network()
    first, norm, pool = (model.get_layer(name) for name in ("first", "norm", "pool"))
    assert internals.maker_of(model.outputs[0]) is model.get_layer("inner")
    assert internals.sources_of(norm) == [first]
    assert [internals.calls_of(layer) for layer in (first, norm)] == [1, 1]
    assert internals.uses_of(norm) == 1
    pool(norm.output)
    assert internals.uses_of(norm) == internals.calls_of(pool) == 2


def test_moments():
    variables = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(3))]
    adam = keras.optimizers.Adam(0.1, beta_1=0.9, beta_2=0.99)
    adam.build(variables)
    adam.apply([np.ones(2, np.float32), np.full(3, 2.0, np.float32)])
    place, first, second = internals.moments(adam, variables[1])
    assert place == 1
    np.testing.assert_allclose(first.numpy(), 0.1 * 2.0, rtol=1e-5)
    np.testing.assert_allclose(second.numpy(), 0.01 * 4.0, rtol=1e-5)
