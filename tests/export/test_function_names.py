import numpy as np
import tensorflow as tf

from tfautolabel.export.function_names import settle_function_names, settled


class Doubling(tf.Module):
    """Functions within functions, a loop, a captured tensor, a table and a variable."""

    def __init__(self, word="a"):
        words = tf.lookup.KeyValueTensorInitializer([word], [1.0])
        self.table = tf.lookup.StaticHashTable(words, default_value=0.0)
        self.weight = tf.Variable([2.0, 2.0])
        self.captured = tf.constant([1.0, 0.0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, words):
        # Three times what the table says; the loop's condition looks at the count alone.
        _, found = tf.while_loop(
            lambda count, _: count < 3,
            lambda count, found: (count + 1, found + self.table.lookup(words)),
            (0, tf.zeros(tf.shape(words))),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        )
        return {"out": tf.cond(tf.size(found) > 0, lambda: self.double(found), lambda: tf.zeros([0, 2]))}

    @tf.function
    def double(self, found):
        return found[:, None] * self.weight + self.captured


def saved(folder, word="a"):
    module = Doubling(word)
    tf.saved_model.save(module, str(folder), signatures=module.__call__.get_concrete_function())
    settle_function_names(folder)
    return folder


def test_the_same_model_gives_the_same_files_whatever_the_process_did_before(tmp_path):
    first = saved(tmp_path / "a")
    for _ in range(3):
        tf.function(lambda: tf.constant(1)).get_concrete_function()
    second = saved(tmp_path / "b")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_it_does_what_it_did(tmp_path):
    folder, words = saved(tmp_path / "a"), tf.constant(["a", "b"])
    expected = Doubling()(words)["out"]
    loaded = tf.saved_model.load(str(folder))
    np.testing.assert_array_equal(loaded.signatures["serving_default"](words)["out"], expected)
    np.testing.assert_array_equal(loaded(words)["out"], expected)
    loaded.weight.assign([0.0, 0.0])
    np.testing.assert_array_equal(loaded(words)["out"], [[1.0, 0.0]] * 2)


def test_tables_of_models_in_one_process_stay_apart(tmp_path):
    loaded = [tf.saved_model.load(str(saved(tmp_path / word, word))) for word in ("a", "b")]
    for model, expected in zip(loaded, ([3.0, 0.0], [0.0, 3.0]), strict=True):
        out = model.signatures["serving_default"](tf.constant(["a", "b"]))["out"]
        np.testing.assert_array_equal(out, np.array(expected)[:, None] * 2.0 + np.array([1.0, 0.0]))


def test_the_order_of_functions_stays():
    assert list(settled(["b_9", "a_10", "c", "b_2"]).values()) == ["b_0", "b_1", "a_2"]
