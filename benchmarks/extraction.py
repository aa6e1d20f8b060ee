"""Speed of feature extraction from JPEG files, against the network alone in four engines.

Measures images a second, EfficientNet-Lite0 at 224 pixels, batch 32, of
  files    `tfautolabel.extract_features` from JPEG files: reading, decoding, network; no cache;
  frozen   our frozen graph (`FrozenNetwork`), the network only, on tensors that are in memory already;
  plain    a `tf.function` around the Keras network, same tensors;
  predict  `keras.Model.predict`, same tensors;
  onnx     ONNX Runtime in float32 (tf2onnx's conversion of the Keras network), same tensors.
All are warmed up, then run in turn in one process for several rounds, every second round in reverse
order. The ratio is that of the medians; the lowest and highest ratio of a round stand beside it.

    python benchmarks/extraction.py [--files 960] [--side 256] [--rounds 7]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from recording import Report, options, print_table

import tfautolabel as tal
from tfautolabel.features.frozen import FrozenNetwork

BARS = {"frozen": 0.85, "plain": 1.3, "predict": 1.8, "onnx": 0.9}
NAMES = {
    "frozen": "our frozen graph, network only",
    "plain": "tf.function of the Keras network, network only",
    "predict": "keras.Model.predict, network only",
    "onnx": "ONNX Runtime fp32, network only",
}


def onnx_session(network: keras.Model) -> onnxruntime.InferenceSession:
    """The network converted by tf2onnx, with ONNX Runtime's own optimisations and all cores."""
    import tf2onnx

    spec = tf.TensorSpec([None, *network.input_shape[1:]], tf.float32, name="pixels")
    function = tf.function(lambda pixels: network(pixels, training=False), input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        tf2onnx.convert.from_function(function, [spec], opset=17, output_path=str(path))
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def engines(
    files: tal.Dataset, pixels: np.ndarray, backbone: tal.Backbone, batch_size: int
) -> dict[str, Callable[[], np.ndarray]]:
    """Name to a function that computes the features of all files, or of all rows of `pixels`."""
    network = backbone.network
    arrays = [pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size)]
    tensors = [tf.constant(array) for array in arrays]
    frozen = FrozenNetwork(network)
    plain = tf.function(lambda batch: network(batch, training=False)).get_concrete_function(
        tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)
    )
    session = onnx_session(network)
    (feed,) = (node.name for node in session.get_inputs())
    return {
        "files": lambda: (
            tal.extract_features(
                files, backbone, batch_size=batch_size, use_cache=False, progress=False
            ).features
        ),
        "frozen": lambda: np.concatenate([frozen(array) for array in arrays]),
        "plain": lambda: np.concatenate([plain(tensor).numpy() for tensor in tensors]),
        "predict": lambda: network.predict(pixels, batch_size=batch_size, verbose=0),
        "onnx": lambda: np.concatenate([session.run(None, {feed: array})[0] for array in arrays]),
    }


def decode(files: tal.Dataset, backbone: tal.Backbone, count: int) -> np.ndarray:
    """(count, 224, 224, 3) float32, what the preprocessor makes of the first files."""
    ready = backbone.preprocessor(tf.constant(files.read(range(count))))
    if not ready.readable.numpy().all():
        raise RuntimeError("a file of the benchmark could not be read")
    return ready.inputs[0].numpy()


def check_agreement(runs: dict[str, Callable[[], np.ndarray]], count: int) -> None:
    """All engines compute the same features; this is also the warm-up."""
    features = {name: run()[:count] for name, run in runs.items()}
    for name, values in features.items():
        difference = float(np.abs(values - features["plain"]).max())
        print(f"{name}: largest difference to plain {difference:.1e}", flush=True)
        if difference > 1e-2:
            raise RuntimeError(f"{name} computes other features than the Keras network")


def measure(
    runs: dict[str, Callable[[], np.ndarray]], counts: dict[str, int], rounds: int
) -> dict[str, list[float]]:
    """Images a second of every engine in every round."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs) if number % 2 == 0 else reversed(runs):
            start = time.perf_counter()
            runs[name]()
            rates[name].append(counts[name] / (time.perf_counter() - start))
        print(f"round {number}: " + ", ".join(f"{name} {rates[name][-1]:.0f}" for name in runs), flush=True)
    return rates


def parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=960)
    parser.add_argument("--side", type=int, default=256, help="of the JPEG files, pixels")
    parser.add_argument(
        "--tensors", type=int, default=960, help="images in memory for the network-only engines"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--backbone", default="packaged:efficientnet-lite0")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    report = Report("extraction", arguments)
    backbone = tal.load_backbone(arguments.backbone)
    files = tal.load_dataset(datasets.photos(arguments.data, arguments.files, arguments.side), None)
    in_memory = min(arguments.tensors, len(files))
    runs = engines(files, decode(files, backbone, in_memory), backbone, arguments.batch_size)
    check_agreement(runs, in_memory)
    counts = {name: len(files) if name == "files" else in_memory for name in runs}
    rates = measure(runs, counts, arguments.rounds)
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    print_table(["engine", "images/s (median)"], [[name, f"{rate:.1f}"] for name, rate in medians.items()])
    for name, bar in BARS.items():
        ratio = medians["files"] / medians[name]
        of_rounds = np.array(rates["files"]) / np.array(rates[name])
        report.add(
            f"extraction from {arguments.side} px JPEG files / {name}",
            "ratio of images a second",
            ratio,
            f">= {bar}",
            result=f"{medians['files']:.0f} images/s",
            peer=f"{NAMES[name]}: {medians[name]:.0f} images/s",
            ratio=f"{ratio:.2f} (rounds {of_rounds.min():.2f} to {of_rounds.max():.2f})",
            rates={"files": rates["files"], name: rates[name]},
        )
    report.save()


if __name__ == "__main__":
    main()
