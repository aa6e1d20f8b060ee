"""Pictures as 16 x 16 pixels: enough for colours, brightness and coarse shapes."""

from __future__ import annotations

import keras

from tfautolabel.preprocessors import ImagePreprocessor

SIDE = 16


def build_pixels() -> tuple[ImagePreprocessor, keras.Model]:
    """Builds the decoder, and the network from pixels to 768 numbers in [0, 1]."""
    pixels = keras.Input((SIDE, SIDE, 3), name="pixels")
    unit_range = keras.layers.Rescaling(1 / 255, name="unit_range")(pixels)
    values = keras.layers.Flatten(name="values")(unit_range)
    return ImagePreprocessor(SIDE), keras.Model(pixels, values, name="plain_pixels")
