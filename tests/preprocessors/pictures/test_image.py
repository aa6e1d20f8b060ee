import functools
import io
import struct

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import MAGIC, PICTURES, SIDE, animation, encode, image, pixels, png, seen_by_pillow
from PIL import Image

from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.pictures.image_formats import stretch

NOTHING = [b"", b"\0" * 100, b"no picture", PICTURES["jpeg"]()[:300], PICTURES["png-rgb"]()[:-40]]


@functools.cache
def graph(size=SIDE, **options):
    layer = ImagePreprocessor(size, **options)
    return tf.function(layer.call, input_signature=[tf.TensorSpec([None], tf.string)]).get_concrete_function()


def decoded(encoded, size=SIDE, **options):
    """Pixels and what was read, as arrays."""
    ready = graph(size, **options)(tf.constant(encoded, tf.string, [len(encoded)]))
    assert ready.example.numpy().tolist() == list(range(len(encoded)))
    return ready.inputs[0].numpy(), ready.readable.numpy()


def one(encoded, size=SIDE, **options):
    rgb, readable = decoded([encoded], size, **options)
    assert readable.tolist() == [True]
    return rgb[0]


@pytest.mark.parametrize("kind", PICTURES)
def test_pixels_are_pillows(kind):
    encoded = PICTURES[kind]()
    # libjpeg leaves CMYK to its callers, who round the product of two bytes in different ways.
    tolerance = 1 if kind == "jpeg-cmyk" else 0
    np.testing.assert_allclose(one(encoded), seen_by_pillow(encoded), rtol=0, atol=tolerance)


SHALLOW = np.random.default_rng(0).integers(0, 16, (SIDE, SIDE, 1))
DEEP = np.random.default_rng(1).integers(0, 2**16, (SIDE, SIDE, 3))


# Pillow clips 16-bit grey and misreads the transparent colour of these, so the standard is the judge.
@pytest.mark.parametrize(
    ("samples", "bits", "colour_type", "transparent", "expected"),
    [
        (SHALLOW, 4, 0, [5], SHALLOW * 17),
        (SHALLOW % 2, 1, 0, [1], SHALLOW % 2 * 255),
        (DEEP[..., :1], 16, 0, None, DEEP[..., :1] >> 8),
        (DEEP[..., :1], 16, 0, DEEP[3, 4, :1], DEEP[..., :1] >> 8),
        (DEEP, 16, 2, DEEP[3, 4], DEEP >> 8),
    ],
)
def test_png_of_other_depths(samples, bits, colour_type, transparent, expected):
    chunks, see_through = [], np.zeros((SIDE, SIDE), bool)
    if transparent is not None:
        chunks = [(b"tRNS", struct.pack(f">{len(transparent)}H", *map(int, transparent)))]
        see_through = (samples == np.asarray(transparent)).all(-1)
        assert see_through.any()
    expected = np.where(see_through[..., None], 255, np.broadcast_to(expected, (SIDE, SIDE, 3)))
    np.testing.assert_array_equal(one(png(samples, bits, colour_type, chunks)), expected)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_that_use_fewer_are_scaled_by_what_they_use(bits, channels):
    samples = DEEP[..., :1].repeat(channels, -1) % 2**bits
    samples[0, 0] = 2**bits - 1
    scaled = np.round(samples * (255 / (2**bits - 1)))
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    colours = channels - 1 + channels % 2
    expected = scaled[..., :colours]
    if channels % 2 == 0:
        alpha = scaled[..., colours:] / 255
        expected = expected * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(
        one(png(samples, 16, colour_type)), np.broadcast_to(expected, (SIDE, SIDE, 3)), rtol=0, atol=0.51
    )


def test_significant_bits_are_believed_where_the_samples_keep_to_them():
    dark = DEEP[..., :1] % 2**9
    significant = [(b"sBIT", b"\x0c")]
    expected = np.broadcast_to(np.round(dark * (255 / 4095)), (SIDE, SIDE, 3))
    np.testing.assert_allclose(one(png(dark, 16, 0, significant)), expected)
    whole = DEEP[..., :1]
    np.testing.assert_allclose(
        one(png(whole, 16, 0, significant)), np.broadcast_to(whole >> 8, (SIDE, SIDE, 3))
    )


@pytest.mark.parametrize("length", [3900, *range(4010, 4060, 3), 4100, 50_000])
def test_transparent_colour_behind_a_long_profile(length):
    chunks = [(b"iTXt", b"x" * length), (b"tRNS", struct.pack(">3H", 0, 0, 0))]
    np.testing.assert_array_equal(one(png(np.zeros((SIDE, SIDE, 3), int), 8, 2, chunks)), 255.0)


@pytest.mark.parametrize("shape", [(31, 47), (64, 64), (5, 127), (100, 128), (3, 200), (150, 90)])
def test_bytes_are_stretched_as_they_are(shape):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    antialias = max(shape) > 2 * 64
    expected = tf.image.resize(rgb, [64, 64], antialias=antialias)
    np.testing.assert_array_equal(
        stretch(tf.constant(rgb), tf.constant(64)), tf.clip_by_value(expected, 0, 255)
    )


def test_gif_frame_smaller_than_its_canvas():
    small = bytearray(encode(image("P", side=20), "GIF"))
    small[6:10] = struct.pack("<HH", SIDE, SIDE)
    rgb = one(bytes(small))
    np.testing.assert_array_equal(rgb[:20, :20], seen_by_pillow(encode(image("P", side=20), "GIF")))
    assert (rgb[20:] == 255).all()
    assert (rgb[:, 20:] == 255).all()


def test_later_frames_do_not_matter():
    encoded = animation("GIF", frames=3)
    cut = encoded[: len(encoded) // 2]
    np.testing.assert_array_equal(one(cut), one(encoded))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
def test_of_an_animated_webp_the_first_frame_counts(mode, lossless):
    frames = [image(mode, seed) for seed in range(3)]
    moving = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
    np.testing.assert_allclose(one(moving), seen_by_pillow(moving), rtol=0, atol=1)


def test_a_graph_decodes_neither_tiff_nor_one_bit_bmp():
    assert not decoded([encode(image(), "TIFF"), encode(image("1"), "BMP")])[1].any()


def declared(kind, width, height):
    """A small file that claims to be large."""
    if kind == "png":
        return png(pixels(), 8, 2, width=width, height=height)
    encoded = bytearray(PICTURES[kind]())
    if kind == "jpeg":
        at = encoded.index(b"\xff\xc0") + 5
        encoded[at : at + 4] = struct.pack(">HH", height, width)
    elif kind == "gif":
        encoded[6:10] = struct.pack("<HH", width, height)
    elif kind == "bmp-24":
        encoded[18:26] = struct.pack("<II", width, height)
    elif kind == "webp":
        encoded[26:30] = struct.pack("<HH", width, height)
    return bytes(encoded)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp-24", "webp"])
def test_too_many_pixels(kind):
    side = 16000 if kind == "webp" else 30000
    encoded = declared(kind, side, side)
    assert not decoded([encoded])[1].any()


@pytest.mark.parametrize(
    ("width", "height"), [(2**32 - 1, 2**32 - 1), (2**31, 2**31), (2**32 - 1, 1), (0, 9)]
)
@pytest.mark.parametrize("kind", ["png", "bmp-24"])
def test_hostile_sizes(kind, width, height):
    assert not decoded([declared(kind, width, height)])[1].any()


@pytest.mark.parametrize("kind", ["jpeg", "png-rgb", "gif", "bmp-24", "webp", "webp-lossless", "webp-alpha"])
def test_limit_is_exact_and_comes_from_the_header(kind):
    encoded = PICTURES[kind]()
    assert decoded([encoded], max_pixels=SIDE * SIDE)[1].all()
    assert not decoded([encoded], max_pixels=SIDE * SIDE - 1)[1].any()


def test_limit_holds_for_the_frame_of_a_gif():
    encoded = bytearray(encode(image("P"), "GIF"))
    encoded[6:10] = struct.pack("<HH", 2, 2)
    assert not decoded([bytes(encoded)], max_pixels=SIDE * SIDE - 1)[1].any()
    assert decoded([bytes(encoded)], max_pixels=SIDE * SIDE)[1].all()


@pytest.mark.parametrize("broken", NOTHING)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_broken_picture_costs_only_its_own_row(broken, place):
    good = [PICTURES[kind]() for kind in ("jpeg", "png-rgba", "gif", "webp")]
    expected, _ = decoded(good)
    rgb, readable = decoded([*good[:place], broken, *good[place:]])
    assert readable.tolist() == [row != place for row in range(5)]
    assert (rgb[place] == 0).all()
    np.testing.assert_array_equal(np.delete(rgb, place, 0), expected)


def test_all_broken_and_none_at_all():
    rgb, readable = decoded(NOTHING)
    assert rgb.shape == (len(NOTHING), SIDE, SIDE, 3)
    assert not rgb.any()
    assert not readable.any()
    rgb, readable = decoded([])
    assert (rgb.shape, readable.shape) == ((0, SIDE, SIDE, 3), (0,))


def test_order_is_kept():
    colours = np.random.default_rng(0).integers(0, 256, (200, 3), np.uint8)
    kinds = ["PNG", "BMP", "GIF"]
    # Sizes differ a lot, so that the decoders finish in another order than they start.
    encoded = [
        encode(Image.new("RGB", (5 + 37 * row % 400, 9), tuple(colour.tolist())), kinds[row % 3])
        for row, colour in enumerate(colours)
    ]
    broken = {17, 100, 199}
    rgb, readable = decoded([b"?" if row in broken else value for row, value in enumerate(encoded)], 8)
    assert set(np.flatnonzero(~readable)) == broken
    expected = np.where(readable[:, None], colours, 0)
    np.testing.assert_allclose(rgb[:, 4, 4], expected, atol=1e-3)


@pytest.mark.parametrize("reduction", [1.3, 2, 3, 5, 9])
def test_smaller_pictures_look_as_pillows(reduction):
    side = round(64 * reduction)
    y, x = np.mgrid[:side, :side] / side
    waves = 127 + 60 * np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(5 * (x + y))], -1)
    encoded = encode(Image.fromarray(waves.astype(np.uint8)), "JPEG", quality=92, subsampling=0)
    with Image.open(io.BytesIO(encoded)) as opened:
        expected = np.asarray(opened.resize((64, 64), Image.Resampling.BILINEAR))
    assert np.abs(one(encoded, 64) - expected).mean() < 1.5


def test_tall_picture_is_not_reduced_below_what_is_needed():
    """Only the smaller side tells how far a JPEG may be reduced; fine lines across it must stay."""
    lines = np.zeros((800, 64, 3), np.uint8)
    lines[:, 32:] = 255
    rgb = one(encode(Image.fromarray(lines), "JPEG", quality=95), 64)
    assert (rgb[:, :30] < 20).all()
    assert (rgb[:, 34:] > 235).all()


def mutations(kind):
    """A real file with some bytes changed, and perhaps cut."""
    encoded = PICTURES[kind]()
    changes = st.lists(st.tuples(st.integers(0, len(encoded) - 1), st.integers(0, 255)), max_size=6)
    # The headers are where the meaning is.
    headers = st.lists(st.tuples(st.integers(0, min(63, len(encoded) - 1)), st.integers(0, 255)), max_size=2)

    def change(found, end):
        changed = bytearray(encoded)
        for position, value in found:
            changed[position] = value
        return bytes(changed[:end])

    return st.builds(change, st.one_of(changes, headers), st.one_of(st.none(), st.integers(0, len(encoded))))


def check_batch(batch):
    rgb, readable = decoded(batch, max_pixels=1_000_000)
    assert rgb.shape == (len(batch), SIDE, SIDE, 3)
    assert readable.shape == (len(batch),)
    assert np.isfinite(rgb).all()
    assert rgb.min(initial=0) >= 0
    assert rgb.max(initial=0) <= 255
    assert not rgb[~readable].any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(lambda a, b: a + b, st.sampled_from(MAGIC), st.binary(max_size=200)), min_size=1, max_size=8
    )
)
def test_random_bytes_never_raise(batch):
    check_batch(batch)


MUTATED = [
    "jpeg",
    "jpeg-progressive",
    "jpeg-cmyk",
    "png-rgb",
    "png-palette-4-bit-transparent",
    "gif-animated",
    "gif-transparent",
    "bmp-24",
    "bmp-8",
    "webp",
    "webp-lossless",
    "webp-alpha",
]


@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("kind", MUTATED)
@given(data=st.data())
def test_mutated_files_never_raise(kind, data):
    check_batch(data.draw(st.lists(mutations(kind), min_size=1, max_size=6)))


def test_config_makes_an_equal_layer():
    layer = ImagePreprocessor(24, max_pixels=1000, name="decode")
    again = ImagePreprocessor.from_config(layer.get_config())
    assert (again.size, again.max_pixels, again.name) == (24, 1000, "decode")
    assert again.get_config() == layer.get_config()
    revived = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert revived.get_config() == layer.get_config()


def test_functional_model_and_reload(tmp_path):
    examples = keras.Input((), dtype="string", name="examples")
    ready = ImagePreprocessor(SIDE, name="decode")(examples)
    (rgb,), readable = ready.inputs, ready.readable
    assert (rgb.shape, rgb.dtype) == ((None, SIDE, SIDE, 3), "float32")
    assert (readable.shape, readable.dtype) == ((None,), "bool")
    model = keras.Model(examples, [rgb, readable])
    batch = tf.constant([PICTURES["jpeg"](), b"broken"])
    expected = decoded(batch.numpy().tolist())
    for value, wanted in zip(model(batch), expected, strict=True):
        np.testing.assert_array_equal(value, wanted)
    model.export(str(tmp_path / "export"), verbose=False)
    for value, wanted in zip(
        tf.saved_model.load(str(tmp_path / "export")).serve(batch), expected, strict=True
    ):
        np.testing.assert_array_equal(value, wanted)
