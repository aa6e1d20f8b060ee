"""What it costs that photographs stand upright: reading the EXIF orientation, and turning what is turned.

Measures processor time of `ImagePreprocessor` on pictures in memory: JPEG (quality 90), PNG and WebP of
several sides, without EXIF data and with the orientations 1 (upright), 3, 6, 8 and 5, at 224 pixels.

Peer: the same decoding and resizing, on the pictures without EXIF data, where no orientation is read and
nothing turned. All run in turn in one process, each round in another order; a share is the median of the
rounds', what is added to the peer's time of the same round. The bar holds for every orientation.

    python benchmarks/orientation.py [--sides 96 224 504 1024 3000] [--seconds 8]
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import tensorflow as tf
from PIL import Image
from recording import Report, options

from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.pictures import image
from tfautolabel.preprocessors.pictures.image_formats import decode, stretch

BAR = 0.03
SIZE = 224
KINDS = {"JPEG": {"quality": 90}, "PNG": {}, "WEBP": {"quality": 80}}
TURNS = (None, 1, 3, 6, 8, 5)
BATCH, LARGE_BATCH = 32, 4
"""Pictures at a time; fewer where they are larger than the network needs several times over."""


def scene(side: int) -> Image.Image:
    """A picture of soft colours and a little noise, four by three."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(colours.resize((side, side * 3 // 4), Image.Resampling.BICUBIC), float)
    noisy = smooth + rng.normal(0, 6, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def encoded(picture: Image.Image, kind: str, orientation: int | None) -> bytes:
    """The bytes of a file; with some more tags, as cameras write, where an orientation is given."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
        exif.update(dict.fromkeys((0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298), "a camera"))
    stream = io.BytesIO()
    picture.save(stream, kind, **KINDS[kind], **({} if orientation is None else {"exif": exif.tobytes()}))
    return stream.getvalue()


def as_stored(content: tf.Tensor, _: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """`decode_picture` without a turn."""
    return tf.ensure_shape(stretch(decode(content, size, max_pixels), tf.constant(size)), [size, size, 3])


def graph() -> Callable[[tf.Tensor], tf.Tensor]:
    """The preprocessor in a graph, as feature extraction runs it."""
    layer = ImagePreprocessor(SIZE)
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(
        lambda some: layer(some).inputs[0], input_signature=signature, autograph=False
    ).get_concrete_function()


def measure(runs: dict[str, Callable[[], tf.Tensor]], seconds: float) -> dict[str, np.ndarray]:
    """Processor seconds of each run in each of at least five rounds."""
    rng, names = np.random.default_rng(0), list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for run in runs.values():
        run()
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end or len(times[names[0]]) < 5:
        for place in rng.permutation(len(names)):
            start = time.process_time()
            runs[names[place]]()
            times[names[place]].append(time.process_time() - start)
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[96, 224, 504, 1024, 3000])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seconds", type=float, default=8, help="for each orientation (%(default)s)")
    arguments = parser.parse_args()
    report = Report("orientation", arguments)
    turning = graph()
    nothing = mock.patch.object(image, "orientations", lambda some: tf.zeros(tf.shape(some), tf.int32))
    with nothing, mock.patch.object(image, "decode_picture", as_stored):
        plain = graph()
    for side in arguments.sides:
        picture, count = scene(side), LARGE_BATCH if side > 2 * SIZE + 64 else BATCH
        for kind in arguments.kinds:
            files = {turn: tf.constant([encoded(picture, kind, turn)] * count) for turn in TURNS}
            runs = {"plain": lambda files=files: plain(files[None])}
            for turn in TURNS:
                name = "no tag" if turn is None else str(turn)
                runs[name] = lambda batch=files[turn]: turning(batch)
            times = measure(runs, arguments.seconds)
            alone = times.pop("plain")
            shares = {name: float(np.median(values / alone)) - 1 for name, values in times.items()}
            listed = ", ".join(f"{name} {share:+.1%}" for name, share in shares.items())
            print(f"{kind} of {side} pixels: {listed}", flush=True)
            report.add(
                f"{kind} of {side} pixels",
                "the most that any orientation adds to decoding",
                max(shares.values()),
                f"<= {BAR}",
                result=listed,
                peer=f"decoding: {1e6 * np.median(alone) / count:,.0f} us",
                ratio=f"{1 + max(shares.values()):.3f}",
                rounds=len(alone),
                shares=shares,
            )
    report.save()


if __name__ == "__main__":
    main()
