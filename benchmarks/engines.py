"""Speed of each engine that this machine has, and what its precision does to labels.

Speed, EfficientNet-Lite0 from JPEG files, batch 32, images a second:
  files    `tfautolabel.extract_features` from JPEG files by an engine; no cache;
  alone    the frozen graph on the CPU in float32, on pixels that are in memory already.
Both are warmed up, then run in turn in one process for several rounds, every second round in reverse
order. The ratio is that of the medians; the lowest and highest ratio of a round stand beside it. Engines
that this machine has no use for get a row that says why.

Precision, for pictures and texts: a labeler is fitted in a precision, and labels the other examples with
the features of that precision, and with those of float32, as its exported model does. A row has the share
of equal labels; beside it the greatest difference of a probability, of the labelled examples and of the
recorded ones that an export compares, the least cosine, and the accuracies. The limits of the engines were
chosen on `tiles` and `uci`; `fashion` and `spam` had no part in that. float16 is computed by XLA on the CPU
where there is no GPU: the same operations, without a GPU's order of sums.

    python benchmarks/engines.py [--files 480] [--rounds 7] [--each 20] [--only speed]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import datasets
import numpy as np
import text_sets
from extraction import decode
from recording import Report, options

import tfautolabel as tal
from tfautolabel._cpu import why_bf16_is_slow
from tfautolabel._gpus import visible_gpus, why_none_visible
from tfautolabel.features.engines import ENGINES, gpu
from tfautolabel.features.frozen import FrozenNetwork

PICTURES, TEXTS = "packaged:efficientnet-lite0", "packaged:minilm-l6"
SETS = {"tiles": PICTURES, "fashion": PICTURES, "uci": TEXTS, "spam": TEXTS}
SPEEDS = {"cpu": "float32", "bf16": "bf16", "gpu": "float16"}
BAR = {"cpu": ">= 0.95"}


def why_not(name: str) -> str:
    """Why the speed of an engine says nothing here, or ""."""
    if name == "gpu" and not visible_gpus():
        return why_none_visible()
    return why_bf16_is_slow() if name == "bf16" else ""


def in_turn(runs: dict[str, Callable[[], object]], count: int, rounds: int) -> dict[str, np.ndarray]:
    """Images a second of each in every round; the first, uncounted one warms up."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-1, rounds):
        for name in list(runs) if number % 2 == 0 else reversed(runs):
            start = time.perf_counter()
            runs[name]()
            rates[name].append(count / (time.perf_counter() - start))
        print(f"round {number}: " + ", ".join(f"{n} {rates[n][-1]:.0f}" for n in runs), flush=True)
    return {name: np.array(values[1:]) for name, values in rates.items()}


def measure_speed(arguments: argparse.Namespace, report: Report) -> None:
    backbone = tal.load_backbone(PICTURES)
    files = tal.load_dataset(datasets.photos(arguments.data, arguments.files, arguments.side), None)
    pixels = decode(files, backbone, len(files))
    batches = [pixels[start : start + 32] for start in range(0, len(pixels), 32)]
    alone = FrozenNetwork(backbone.network)
    for name, precision in SPEEDS.items():
        row = f"{arguments.side} px JPEG files by the engine {name} in {precision}"
        if reason := why_not(name):
            report.add(row, "ratio of images a second", 0.0, result=f"not measured here: {reason}")
            continue
        rates = in_turn(
            {
                "files": lambda name=name, precision=precision: tal.extract_features(
                    files, backbone, use_cache=False, progress=False, device=ENGINES[name].device,
                    precision=precision,
                ),
                "alone": lambda: [alone(batch) for batch in batches],
            },
            len(files),
            arguments.rounds,
        )  # fmt: skip
        medians = {each: float(np.median(values)) for each, values in rates.items()}
        ratio, of_rounds = medians["files"] / medians["alone"], rates["files"] / rates["alone"]
        report.add(
            row,
            "ratio of images a second",
            ratio,
            BAR.get(name),
            result=f"{medians['files']:.0f} images/s",
            peer=f"frozen graph alone, CPU, float32: {medians['alone']:.0f} images/s",
            ratio=f"{ratio:.2f} (rounds {of_rounds.min():.2f} to {of_rounds.max():.2f})",
            rates={each: values.tolist() for each, values in rates.items()},
        )


def drawn(arguments: argparse.Namespace, name: str, seed: int = 0) -> tuple[tal.Dataset, tal.Dataset]:
    """Labelled examples to fit on and others to label, as many of each class."""
    if name == "fashion":
        everything = tal.load_dataset(datasets.fashion_mnist(arguments.data, "test", 2 * arguments.each))
    elif name == "tiles":
        everything = tal.load_dataset(datasets.tiles(arguments.data))
    else:
        everything = tal.load_dataset(text_sets.text_set(arguments.data, name))
    rng = np.random.default_rng(seed)
    of_class = [
        rng.permutation(np.flatnonzero(everything.class_ids == one)) for one in range(len(everything.classes))
    ]
    first, last = arguments.each, 2 * arguments.each
    return (
        everything.subset(np.concatenate([rows[:first] for rows in of_class])),
        everything.subset(np.concatenate([rows[first:last] for rows in of_class])),
    )


def measure_precision(
    arguments: argparse.Namespace,
    report: Report,
    name: str,
    precision: str,
    backbone: tal.Backbone,
    cache: str,
) -> None:
    known, others = drawn(arguments, name)
    shared = {"cache_dir": cache, "progress": False}
    labeler = tal.Labeler(backbone, known.classes, precision=precision, **shared)
    usual = tal.Labeler(backbone, known.classes, device="cpu", precision="float32", **shared)
    for one in (labeler, usual):
        one.fit(known)
    model = replace(labeler.fitted, reading=usual.reading)
    recorded = backbone.preprocessor.recorded_examples()[:-1]  # the last one cannot be read
    found, right = labeler.predict(others), model.predict(others)
    own, plain = labeler.extract(others).features, usual.extract(others).features
    cosine = np.sum(own * plain, 1) / np.linalg.norm(own, axis=1) / np.linalg.norm(plain, axis=1)
    same = float(np.mean(found.argmax(1) == right.argmax(1)))
    accuracy, without = (
        float(np.mean(one.predict(others).argmax(1) == others.class_ids)) for one in (labeler, usual)
    )
    difference, at_export = (
        float(np.abs(one - other).max())
        for one, other in ((found, right), (labeler.predict(recorded), model.predict(recorded)))
    )
    report.add(
        f"{precision} / {name}",
        "share of labels that are as by its model in float32",
        same,
        result=f"{same:.3f}; probabilities differ by {difference:.3f} at most, {at_export:.3f} in the "
        f"recorded examples; cosine at least {cosine.min():.5f}",
        peer=f"accuracy {accuracy:.3f}, fitted in float32 {without:.3f}",
        labels=len(others),
        difference=difference,
        at_export=at_export,
        cosines={"least": float(cosine.min()), "mean": float(cosine.mean())},
    )


def measure_precisions(arguments: argparse.Namespace, report: Report) -> None:
    if not visible_gpus():
        gpu.visible_gpus = lambda: ("/CPU:0",)
    handles = dict.fromkeys(SETS[name] for name in arguments.sets)
    backbones = {handle: tal.load_backbone(handle) for handle in handles}
    with tempfile.TemporaryDirectory() as cache:
        for precision in arguments.precisions:
            for name in arguments.sets:
                measure_precision(arguments, report, name, precision, backbones[SETS[name]], cache)
                print(report.rows[-1]["row"], report.rows[-1]["result"], flush=True)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=480)
    parser.add_argument("--side", type=int, default=256, help="of the JPEG files, pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--each", type=int, default=20, help="labelled examples a class, and others a class")
    parser.add_argument("--precisions", nargs="+", default=["bf16", "float16"])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--only", choices=("speed", "precision"), help="by default both")
    arguments = parser.parse_args()
    report = Report("engines", arguments)
    if arguments.only != "precision":
        measure_speed(arguments, report)
    if arguments.only != "speed":
        measure_precisions(arguments, report)
    report.save()


if __name__ == "__main__":
    main()
