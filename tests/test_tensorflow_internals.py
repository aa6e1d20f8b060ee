import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfautolabel import _tensorflow_internals as internals


def test_variables_become_constants():
    variable = tf.Variable([2.0, 3.0])
    function = tf.function(lambda x: x * variable, autograph=False)
    constant = internals.with_constants(function.get_concrete_function(tf.TensorSpec([2])))
    variable.assign([0.0, 0.0])
    np.testing.assert_array_equal(constant(tf.constant([1.0, 2.0]))[0], [2.0, 6.0])
    assert [tensor.shape for tensor in constant.inputs] == [[2]]
    operations = {node.op for node in constant.graph.as_graph_def().node}
    assert "Const" in operations
    assert not {"VarHandleOp", "ReadVariableOp"} & operations


def test_a_saved_model_is_described(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, tmp_path, signatures={"serve": module.f})
    (graph,) = internals.saved_model_message((tmp_path / "saved_model.pb").read_bytes()).meta_graphs
    assert "serve" in graph.meta_info_def.tags
    assert "serve" in graph.signature_def
    assert len(graph.graph_def.library.function) > 0
    assert len(graph.object_graph_def.concrete_functions) > 0
    with pytest.raises(Exception):  # noqa: B017 # see its docstring
        internals.saved_model_message(b"\xff no message")


@pytest.mark.parametrize(
    "change",
    [
        lambda variable: variable.assign([5.0, 6.0]),
        lambda variable: variable.assign_add([5.0, 6.0]),
        lambda variable: tf.function(lambda: variable.assign_add([5.0, 6.0]))(),
        lambda variable: variable.scatter_nd_update([[0]], [5.0]),
    ],
)
def test_memory_that_is_held_is_not_written_into(change):
    variable = tf.Variable([1.0, 2.0])
    held = internals.memory_of(variable)
    place = held.__array_interface__["data"][0]
    assert internals.memory_of(variable).__array_interface__["data"][0] == place
    for _ in range(3):
        change(variable)
        assert held.tolist() == [1.0, 2.0]
        assert internals.memory_of(variable).__array_interface__["data"][0] != place


def test_memory_of_what_numpy_does_not_know_is_not_seen():
    assert internals.memory_of(tf.Variable([1.0], dtype=tf.bfloat16)) is None


def test_tensorflow_has_begun():
    tf.constant(1)
    assert internals.has_begun()


def test_it_has_not_begun_before_it_works_and_nothing_imports_it():
    code = (
        "import sys, tfautolabel._keras_internals, tfautolabel._keras_tuner_internals\n"
        "from tfautolabel._tensorflow_internals import has_begun\n"
        "assert not has_begun() and not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
