"""Everything here compares with the graph: what is done beside it has its pixels, and is readable there."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf
from damage import FUZZ, damaged
from pictures import PICTURES, encode
from PIL import Image

from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.graphs import graph_of
from tfautolabel.preprocessors.pictures import plain_jpeg as module
from tfautolabel.preprocessors.pictures.beside_graph import turned
from tfautolabel.preprocessors.pictures.orientation import upright
from tfautolabel.preprocessors.pictures.plain_jpeg import plain_jpeg

SIZE, MAX_PIXELS = 32, 400 * 400
PREPROCESSOR = ImagePreprocessor(SIZE, MAX_PIXELS)


def scene(rng, high, wide):
    """Soft colours, noise, or both."""
    colours = rng.integers(0, 256, (max(high // 9, 1), max(wide // 9, 1), 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(colours).resize((wide, high), Image.Resampling.BICUBIC), float)
    return np.clip(soft + rng.normal(0, rng.choice([0, 5, 60]), soft.shape), 0, 255).astype(np.uint8)


def exif(orientation, **more):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return {"exif": tags.tobytes(), **more}


def compare(encoded, outside=None):
    """Which files were done, after a look at what the graph makes of all."""
    done = np.zeros(len(encoded), bool)
    found = (outside or PREPROCESSOR.outside_graph())(encoded)
    ready = graph_of(PREPROCESSOR)(tf.constant(encoded))
    if found is not None:
        done = found.done
        assert ready.readable.numpy()[done].all()
        np.testing.assert_array_equal(found.inputs[0][done], ready.inputs[0].numpy()[done])
    return done


def with_pillow(rng, pixels):
    picture = Image.fromarray(pixels).convert("L" if rng.random() < 0.2 else "RGB")
    how = {"quality": int(rng.integers(5, 100)), "progressive": bool(rng.integers(2))}
    if picture.mode == "RGB":
        how["subsampling"] = int(rng.integers(3))
    if rng.random() < 0.3 and not how["progressive"]:
        how["restart_marker_blocks"] = int(rng.integers(1, 9))
    if rng.random() < 0.3:
        how |= exif(int(rng.integers(1, 9)))
    return encode(picture, "JPEG", **how)


def with_turbo(rng, pixels):
    sampling = ("444", "422", "420", "440", "411")[rng.integers(5)]
    return simplejpeg.encode_jpeg(pixels, int(rng.integers(5, 100)), "RGB", sampling)


def test_plain_files_have_the_pixels_of_the_graph():
    rng = np.random.default_rng(0)
    sides = [(int(h), int(w)) for most in (20, 70, 390) for h, w in rng.integers(1, most, (40, 2))]
    encoded = [(with_pillow if n % 2 else with_turbo)(rng, scene(rng, *s)) for n, s in enumerate(sides)]
    assert compare(encoded).all()


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("side", [20, 45, 90])
def test_pictures_are_turned_as_in_the_graph(orientation, side):
    pixels = scene(np.random.default_rng(1), side, side + 17)
    assert compare([encode(Image.fromarray(pixels), "JPEG", **exif(orientation))]).all()


def test_a_turn_is_that_of_the_graph():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    for orientation in range(1, 9):
        np.testing.assert_array_equal(turned(pixels, orientation), upright(pixels, orientation))


def test_other_kinds_are_left_to_the_graph():
    jpeg = encode(Image.fromarray(scene(np.random.default_rng(0), 60, 60)), "JPEG")
    rgb = encode(Image.fromarray(scene(np.random.default_rng(0), 60, 60)), "JPEG", keep_rgb=True)
    middle = len(jpeg) // 2
    left = {
        "not whole": jpeg[:-2],
        "cut": jpeg[:middle],
        "cut, with an end": jpeg[:middle] + b"\xff\xd9",
        "bytes behind it": jpeg + b"\0",
        "a warning": jpeg[:-2] + b"\xff\xb0\xff\xd9",
        "no frame": b"\xff\xd8\xff\xda\0\4\0\0\xff\xd9",
        "fill bytes": jpeg[:2] + b"\xff" + jpeg[2:],
        "12 bits": jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        "arithmetic coding": jpeg.replace(b"\xff\xc0\0\x11", b"\xff\xc9\0\x11"),
        "no pixels": jpeg.replace(b"\xff\xc0\0\x11\x08\0\x3c", b"\xff\xc0\0\x11\x08\0\0"),
        "RGB": rgb,
        "too many pixels": encode(Image.new("RGB", (401, 400)), "JPEG"),
        "nothing": b"",
    }
    left |= {kind: make() for kind, make in PICTURES.items() if not kind.startswith("jpeg")}
    left["jpeg-cmyk"] = PICTURES["jpeg-cmyk"]()
    assert jpeg not in left.values()
    # `compare` is given a plain one too, so that it looks at rows.
    done = compare([jpeg, *left.values()])
    assert dict(zip(left, done[1:], strict=True)) == dict.fromkeys(left, False)
    assert done[0]


def test_no_plain_file_costs_no_memory():
    assert PREPROCESSOR.outside_graph()([b"", PICTURES["png-rgb"]()]) is None


def test_pictures_and_thumbnails_in_a_file_are_not_mixed_up():
    thumbnail = encode(Image.new("RGB", (16, 16), "red"), "JPEG")
    segment = b"\xff\xe1" + (len(thumbnail) + 2 + 6).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    jpeg = encode(Image.fromarray(scene(np.random.default_rng(0), 70, 50)), "JPEG")
    whole = jpeg[:2] + segment + jpeg[2:]
    assert plain_jpeg(whole) == (70, 50, True)
    assert compare([whole]).all()


def test_long_panoramas_are_left_to_the_graph(monkeypatch):
    monkeypatch.setattr(module, "MOST_SIDE", 100)
    monkeypatch.setattr(module, "MOST_PIXELS", 45 * 90)
    sides = [(20, 100), (20, 101), (45, 90), (45, 91)]
    encoded = [simplejpeg.encode_jpeg(np.zeros((*side, 3), np.uint8)) for side in sides]
    assert compare(encoded).tolist() == [True, False, True, False]


def test_damaged_files_are_never_done_otherwise_than_in_the_graph():
    rng = np.random.default_rng(2)
    whole = [
        encode(Image.fromarray(scene(rng, 40, 48)), "JPEG", **how)
        for how in ({}, {"progressive": True}, {"subsampling": 0}, exif(6), {"restart_marker_blocks": 2})
    ]
    encoded = [damaged(whole[seed % len(whole)], seed) for seed in range(FUZZ)]
    # Behind the header too, with the end in its place: only the decoder can notice.
    for seed in range(FUZZ):
        data = bytearray(whole[seed % len(whole)])
        for place in rng.integers(300, len(data) - 2, int(rng.integers(1, 4))):
            data[place] = rng.integers(256)
        encoded.append(bytes(data))
    done = [compare(encoded[start : start + 100]) for start in range(0, len(encoded), 100)]
    assert 0 < np.concatenate(done).mean() < 1


def test_several_threads_do_not_share_memory():
    rng = np.random.default_rng(3)
    outside = PREPROCESSOR.outside_graph()
    batches = [[with_turbo(rng, scene(rng, 60, 50 + n)) for _ in range(8)] for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert all(done.all() for done in pool.map(lambda batch: compare(batch, outside), batches))


@pytest.mark.parametrize("error", [ValueError, RuntimeError])
def test_a_decoder_that_fails_leaves_the_file_to_the_graph(error, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(module, "_decoder", lambda: SimpleNamespace(decode_jpeg=fail))
    jpeg = encode(Image.fromarray(scene(np.random.default_rng(0), 60, 60)), "JPEG")
    assert not PREPROCESSOR.outside_graph()([jpeg]).done.any()


def test_without_the_decoder_all_is_left_to_the_graph(monkeypatch):
    monkeypatch.setattr(module, "MODULE", "no_such_decoder")
    module._decoder.cache_clear()
    try:
        assert not module.is_installed()
        assert PREPROCESSOR.outside_graph() is None
    finally:
        module._decoder.cache_clear()


def test_a_subclass_runs_its_own_way():
    class Brighter(ImagePreprocessor):
        pass

    assert Brighter(SIZE).outside_graph() is None
