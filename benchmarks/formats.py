"""Converted networks (TFLite, TFLite in 8 bits, ONNX) against the SavedModel they come from.

Measures, on 1,000 real items each (Fashion-MNIST's test pictures with EfficientNet-Lite0, review sentences
with MiniLM), how many labels agree, the largest difference of a probability, the change of accuracy, the
size, and milliseconds for one item, one at a time. The head was fitted on none of these items.

Peer: the network and head of the SavedModel, called one item at a time in the same process, in turn.

    python benchmarks/formats.py [--items 1000] [--only image text]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
from accuracy import draw
from recording import Report, options
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.export import Converted, DifferentLabels, export_onnx, export_tflite

BARS = {"float32": ">= 0.995", "int8": ">= 0.98"}
LENGTH = 128
"""Tokens in a row of the TFLite files of MiniLM; longer texts are left out of these rows, and counted."""


def image_sets(data: Path) -> tuple[str, tal.Dataset, tal.Dataset]:
    labelled = tal.load_dataset(datasets.fashion_mnist(data, "train", 100), "folder")
    return (
        "packaged:efficientnet-lite0",
        labelled,
        tal.load_dataset(datasets.fashion_mnist(data, "test", 300), "folder"),
    )


def text_data(data: Path) -> tuple[str, tal.Dataset, tal.Dataset]:
    everything = tal.load_dataset(text_set(data, "uci"))
    fitted = draw(everything.class_ids, 64, seed=0)
    rest = np.setdiff1d(np.arange(len(everything)), fitted)
    return "packaged:minilm-l6", everything.subset(fitted), everything.subset(rest)


TASKS = {"image": image_sets, "text": text_data}


def add(report: Report, task: str, name: str, convert: Callable[[], Converted]) -> None:
    """One row for agreement, with everything else beside it; also where nothing was written."""
    done: Converted | DifferentLabels
    megabytes: float | None
    try:
        done = convert()
        megabytes, size = done.megabytes, f"{done.megabytes:.1f} MB"
    except DifferentLabels as failure:
        done, megabytes, size = failure, None, "not written"
    parity = done.parity
    report.add(
        f"{task}, {name}",
        f"labels that agree, {parity.windows} items",
        parity.agreement,
        BARS[done.weights.partition(" ")[0]],
        result=f"{parity.agreement:.2%}; {size}; {parity.ms:.1f} ms; accuracy {parity.accuracy:.3f}",
        peer=f"SavedModel: {parity.saved_model_ms:.1f} ms; accuracy {parity.saved_model_accuracy:.3f}",
        ratio=f"{parity.saved_model_ms / parity.ms:.2f}x as fast",
        weights=done.weights,
        max_difference=parity.max_difference,
        too_long=parity.too_long,
        megabytes=megabytes,
        ms=parity.ms,
        saved_model_ms=parity.saved_model_ms,
    )


def measure(report: Report, task: str, arguments: argparse.Namespace) -> None:
    handle, labelled, rest = TASKS[task](arguments.data)
    rng = np.random.default_rng(0)
    # The 8-bit file takes 200 of the examples for its ranges and is measured on the others.
    drawn = rng.permutation(len(rest))[: arguments.items + 200]
    rest = rest.subset(drawn).with_classes(labelled.classes)
    items = rest.subset(np.arange(min(arguments.items, len(rest))))
    labeler = tal.Labeler(handle, labelled.classes, cache_dir=arguments.data / "features")
    labeler.fit(labelled)
    length = LENGTH if task == "text" else None
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as scratch:
        model = labeler.export(Path(scratch, "model", "1"))
        file = Path(scratch, "file")
        add(report, task, "TFLite", lambda: export_tflite(model, file, items, length=length))
        add(report, task, "ONNX", lambda: export_onnx(model, file, items))
        add(
            report,
            task,
            "TFLite in 8 bits",
            lambda: export_tflite(model, file, rest, int8=True, length=length),
        )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=sorted(TASKS), default=sorted(TASKS))
    arguments = parser.parse_args()
    report = Report("formats", arguments)
    for task in arguments.only:
        measure(report, task, arguments)
    report.save()


if __name__ == "__main__":
    main()
