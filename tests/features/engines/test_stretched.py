import numpy as np
import pytest
import tensorflow as tf
from pictures import encode, image, pixels
from PIL import Image

from tfautolabel.features.engines.stretched import stretched
from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.pictures.decoded import decoded_pictures

SIZE = 24


def turned(seed, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(Image.fromarray(pixels(seed)[:30]), "JPEG", exif=exif)


def of(high, wide, kind="PNG"):
    """A picture of any size."""
    return encode(image(side=64).resize((wide, high)), kind)


EXAMPLES = {
    "of its own size": [of(SIZE, SIZE)],
    "of several sizes and formats": [encode(image(seed=s), k) for s, k in enumerate(("PNG", "GIF", "BMP"))],
    "smaller and larger": [of(5, 7), of(40, 30), of(SIZE, 31, "JPEG")],
    "antialiased": [of(60, 30), of(3, 80), of(90, 90)],
    "reduced by the decoder": [of(110, 130, "JPEG")],
    "turned": [turned(seed, seed) for seed in range(1, 9)],
    "too large for the canvas": [of(200, 20), of(30, 30), of(100, 150)],
    "with one that cannot be read": [of(40, 40), b"no picture", of(20, 300)],
    "none that can be read": [b"", b"no picture"],
    "a pixel": [of(1, 1)],
}


@pytest.fixture(scope="module")
def both():
    preprocessor = ImagePreprocessor(SIZE)

    def on_the_device(examples):
        ready = decoded_pictures(examples, SIZE, preprocessor.max_pixels)
        return stretched(*ready.inputs, SIZE), ready

    strings = [tf.TensorSpec([None], tf.string)]
    return preprocessor, tf.function(on_the_device, input_signature=strings, autograph=False)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_pixels_are_those_of_the_preprocessor(both, name):
    preprocessor, on_the_device = both
    examples = tf.constant(EXAMPLES[name])
    right, (found, ready) = preprocessor(examples), on_the_device(examples)
    np.testing.assert_allclose(found, right.inputs[0], atol=2e-3)
    for field in ("example", "readable", "shortened"):
        np.testing.assert_array_equal(getattr(ready, field), getattr(right, field))


def test_bytes_travel_in_their_own_size(both):
    """The squares would be four times as many bytes as a small picture."""
    *_, ready = both[1](tf.constant([of(20, 10), of(12, 20)]))
    canvas, sizes, squares = ready.inputs
    assert (canvas.shape, canvas.dtype) == ((2, 20, 20, 3), tf.uint8)
    assert sizes.numpy().tolist() == [[20, 10], [12, 20]]
    assert squares.shape == (2, 0, SIZE, SIZE, 3)
