"""What it costs to turn JPEG files in memory into the network's input, and whether both ways give the same.

Measures processor time a picture at 224 pixels, batch 32, of
  fast   `prepare` with the extra `fast`: plain JPEG files are decoded beside the graph;
  graph  `prepare` without it: everything in the graph, as in an exported model;
  bare   libjpeg-turbo alone, as `fast` calls it: what no way can go below;
  peer   five lines of tf.data: decode_jpeg, resize, batch; no limits, no orientation, no reduction, no filter
         against aliasing, and the first broken file ends it.
The pictures are crops of real photographs: squares of 256, 500 and 1,024 pixels as `datasets.photos` writes
them (quality 90), and photographs of four by three (quality 85). All run in turn in one process, every second
round in reverse order; ratios are medians of the rounds' ratios, the least and the greatest beside them.

Then `extract_features` reads the folder of `hostile.py` both ways: what is unreadable, why, and all features
must be equal.

    python benchmarks/decoding.py [--sides 256 500 1024] [--wide 500 640 1024] [--rounds 15]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import tensorflow as tf
from hostile import break_files
from pictures import encode, write_in_all_formats
from PIL import Image
from recording import Report, options

import tfautolabel as tal
from tfautolabel.features.batches import Example
from tfautolabel.features.prepared import prepare
from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.graphs import graph_of
from tfautolabel.preprocessors.pictures.plain_jpeg import PlainJpegDecoder, plain_jpeg

SIZE, BATCH = 224, 32
BAR = 2.5
"""At 256 pixels; elsewhere no bar was set."""


def squares(data: Path, side: int) -> list[bytes]:
    """A batch of square photographs."""
    folder = datasets.photos(data, 2 * BATCH, side)
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))[:BATCH]]


def wide_ones(data: Path, width: int) -> list[bytes]:
    """A batch of photographs, four by three."""
    originals = sorted(datasets.photos(data, 2 * BATCH, 1024).glob("*.jpg"))[:BATCH]
    found = []
    for path in originals:
        with Image.open(path) as picture:
            smaller = picture.crop((0, 128, 1024, 896)).resize(
                (width, width * 3 // 4), Image.Resampling.BICUBIC
            )
            found.append(encode(smaller, "JPEG", quality=85))
    return found


def ways(encoded: list[bytes]) -> dict[str, Callable[[], np.ndarray | None]]:
    """Name to a function that gives (n, 224, 224, 3) float32, or nothing for the bare decoder."""
    preprocessor = ImagePreprocessor(SIZE)
    graph = graph_of(preprocessor).get_concrete_function()
    outside = preprocessor.outside_graph()
    if outside is None:
        raise SystemExit('pip install "tfautolabel[fast]" first')
    examples = [Example(row, one, b"") for row, one in enumerate(encoded)]

    def load(one: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_jpeg(one, channels=3), [SIZE, SIZE])

    peer = tf.data.Dataset.from_tensor_slices(encoded).map(load, tf.data.AUTOTUNE).batch(len(encoded))
    decoder = PlainJpegDecoder(SIZE)
    headers = [plain_jpeg(one) for one in encoded]

    def bare() -> None:
        for one, header in zip(encoded, headers, strict=True):
            decoder(one, header)

    return {
        "fast": lambda: prepare(examples, graph, outside).inputs[0],
        "graph": lambda: prepare(examples, graph).inputs[0],
        "peer": lambda: next(iter(peer)).numpy(),
        "bare": bare,
    }


def measure(runs: dict[str, Callable[[], np.ndarray | None]], rounds: int) -> dict[str, np.ndarray]:
    """Processor microseconds a picture of every way in every round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs) if number % 2 == 0 else reversed(runs):
            start = time.process_time()
            runs[name]()
            times[name].append(1e6 * (time.process_time() - start) / BATCH)
    return {name: np.array(values) for name, values in times.items()}


def add_row(report: Report, name: str, encoded: list[bytes], rounds: int, bar: str | None) -> None:
    runs = ways(encoded)
    pixels = {way: run() for way, run in runs.items()}
    difference = float(np.abs(pixels["fast"] - pixels["graph"]).max())
    times = measure(runs, rounds)
    middle = {way: float(np.median(values)) for way, values in times.items()}
    ratios = times["graph"] / times["fast"]
    shown = f"{np.median(ratios):.2f} (rounds {ratios.min():.2f} to {ratios.max():.2f})"
    to_peer = float(np.median(times["peer"] / times["fast"]))
    print(f"{name}: " + ", ".join(f"{way} {value:.0f} us" for way, value in middle.items()), flush=True)
    report.add(
        name,
        "processor time in the graph / beside it",
        float(np.median(ratios)),
        bar,
        result=f"{middle['fast']:,.0f} us a picture of {sum(map(len, encoded)) / BATCH / 1000:.0f} kB, "
        f"{middle['bare']:,.0f} of them in libjpeg-turbo",
        peer=f"in the graph: {middle['graph']:,.0f} us; five lines of tf.data: {middle['peer']:,.0f} us",
        ratio=f"{shown}; tf.data {to_peer:.2f}",
        times={way: values.tolist() for way, values in times.items()},
    )
    report.add(f"{name}, pixels", "largest difference to the graph, of 255", difference, "<= 0.001")


def compare_hostile(report: Report, arguments: argparse.Namespace) -> None:
    """Reads a folder of good files in all formats and broken ones, both ways."""
    originals = sorted(datasets.fashion_mnist(arguments.data, "test", 300).rglob("*.png"))
    backbone = tal.load_backbone(arguments.backbone)
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as scratch:
        folder = Path(scratch, "photos")
        write_in_all_formats(originals, folder, arguments.files)
        expected = break_files(folder, Path(scratch, "outside.jpg"))
        files = tal.load_dataset(folder, None, modality="image")
        beside = tal.extract_features(files, backbone, use_cache=False, progress=False)
        with_graph = ImagePreprocessor.outside_graph
        ImagePreprocessor.outside_graph = lambda _: None
        try:
            again = tal.load_backbone(arguments.backbone)
            graph = tal.extract_features(files, again, use_cache=False, progress=False)
        finally:
            ImagePreprocessor.outside_graph = with_graph
    # Links and folders are set aside before anything is decoded.
    decoded = {name for name, (kind, _) in expected.items() if kind not in ("link out", "directory", "TIFF")}
    same = beside.unreadable == graph.unreadable and {one.id for one in beside.unreadable} == decoded
    report.add(
        "hostile folder, what is unreadable and why",
        f"the same both ways, {len(beside.unreadable)} of {len(files):,} entries",
        float(same),
        "= 1",
    )
    difference = float(np.abs(beside.features - graph.features).max())
    report.add("hostile folder, features", "largest difference between both ways", difference, "<= 0.001")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 500, 1024])
    parser.add_argument("--wide", type=int, nargs="+", default=[500, 640, 1024])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--files", type=int, default=600, help="good ones beside broken ones (%(default)s)")
    parser.add_argument("--backbone", default="packaged:efficientnet-lite0")
    arguments = parser.parse_args()
    report = Report("decoding", arguments)
    for side in arguments.sides:
        encoded = squares(arguments.data, side)
        bar = f">= {BAR}" if side == 256 else None
        add_row(report, f"squares of {side} pixels", encoded, arguments.rounds, bar)
    for width in arguments.wide:
        encoded = wide_ones(arguments.data, width)
        add_row(report, f"{width} x {width * 3 // 4} pixels", encoded, arguments.rounds, None)
    compare_hostile(report, arguments)
    report.save()


if __name__ == "__main__":
    main()
