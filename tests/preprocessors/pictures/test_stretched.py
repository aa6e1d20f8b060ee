import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.preprocessors.pictures.image_formats import stretch
from tfautolabel.preprocessors.pictures.stretched import Stretcher, triangle_filter

SIZE = 32


@pytest.fixture(scope="module")
def in_graph():
    signature = [tf.TensorSpec([None, None, 3], tf.uint8)]
    return tf.function(
        lambda rgb: stretch(rgb, tf.constant(SIZE)), input_signature=signature, autograph=False
    )


def shapes():
    """Heights and widths: the same, smaller, up to twice as large, and far larger in one or both ways."""
    rng = np.random.default_rng(0)
    special = [(SIZE, SIZE), (1, 1), (2 * SIZE, 2 * SIZE), (2 * SIZE + 1, SIZE), (1, 300), (300, 1)]
    return special + [
        tuple(rng.integers(1, most, 2)) for most in (SIZE, 2 * SIZE, 10 * SIZE) for _ in range(30)
    ]


def test_numbers_are_those_of_the_graph(in_graph):
    rng = np.random.default_rng(1)
    stretcher = Stretcher(SIZE)
    for number, (high, wide) in enumerate(shapes()):
        rgb = rng.integers(0, 256, (high, wide, 3), dtype=np.uint8)
        if number % 5 == 0:
            rgb[:] = 255
        square = np.full((SIZE, SIZE, 3), np.nan, np.float32)
        stretcher(rgb, square)
        np.testing.assert_array_equal(square, in_graph(rgb), err_msg=f"{high} x {wide}")


@pytest.mark.parametrize(("length", "size"), [(1, 8), (7, 8), (8, 8), (9, 8), (500, 224), (4096, 224)])
def test_each_row_of_a_filter_is_a_mean_around_its_centre(length, size):
    weights = triangle_filter(length, size).toarray()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights >= 0).all()
    centres = weights @ (np.arange(length) + 0.5)
    inner = slice(1, -1) if size > 2 else slice(0)
    expected = (np.arange(size) + 0.5) * length / size
    np.testing.assert_allclose(centres[inner], expected[inner], atol=max(0.5, length / size))
