"""Does `transfer="auto"` ever lower accuracy? 8, 16 and 64 labels a class on four sets.

Measures the accuracy on up to 1,000 other examples of a labeler with `transfer="auto"` and its default time
budget, minus that of the same labeler with `transfer="feature"`, as a mean over draws of the labels: UCI
sentiment and SpamAssassin with MiniLM, Fashion-MNIST with EfficientNet-Lite0, FSDD spoken digits with
speech-embedding.

    python benchmarks/do_no_harm.py [--seeds 5] [--labels 8 16 64] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import sound_sets
from accuracy import draw
from recording import Report, options
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.labeler.choose import DEFAULT_BACKBONES

SETS = ("uci", "spam", "fashion-mnist", "digits")
BAR = -0.005
TEST = 1000


def dataset(name: str, arguments: argparse.Namespace) -> tal.Dataset:
    if name == "fashion-mnist":
        return tal.load_dataset(datasets.fashion_mnist(arguments.data, "train", 1000), "folder")
    if name == "digits":
        folder = sound_sets.fsdd(arguments.data, arguments.fsdd)
        labels = {path.name: path.stem.split("_")[0] for path in folder.glob("*.wav")}
        return tal.load_dataset(folder, labels, modality="audio")
    return tal.load_dataset(text_set(arguments.data, name))


def measure(
    labelled: tal.Dataset, test: tal.Dataset, transfer: str, seed: int, cache: Path
) -> dict[str, Any]:
    labeler = tal.Labeler(
        DEFAULT_BACKBONES[labelled.modality],
        labelled.classes,
        transfer=transfer,
        seed=seed,
        cache_dir=cache,
        progress=False,
    )
    start = time.perf_counter()
    labeler.fit(labelled)
    seconds = round(time.perf_counter() - start, 1)
    accuracy = labeler.evaluate(test).accuracy
    return {"accuracy": accuracy, "seconds": seconds, "record": labeler.transfer_}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[8, 16, 64], help="a class")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings; without it no digits")
    arguments = parser.parse_args()
    report = Report("do_no_harm", arguments)
    for name in arguments.sets:
        if name == "digits" and arguments.fsdd is None:
            print("digits: skipped, it needs --fsdd", flush=True)
            continue
        data = dataset(name, arguments)
        for per_class in arguments.labels:
            found: dict[str, list[dict[str, Any]]] = {"feature": [], "auto": []}
            for seed in range(arguments.seeds):
                drawn = draw(data.class_ids, per_class, seed)
                rest = np.random.default_rng(seed).permutation(np.flatnonzero(~drawn))[:TEST]
                labelled, test = data.subset(drawn), data.subset(np.sort(rest))
                for transfer, own in found.items():
                    own.append(measure(labelled, test, transfer, seed, arguments.data / "features"))
                print(name, per_class, seed, *(own[-1] for own in found.values()), flush=True)
            add(report, name, per_class, found)
            report.save()


def add(report: Report, name: str, per_class: int, found: dict[str, list[dict[str, Any]]]) -> None:
    means = {key: float(np.mean([one["accuracy"] for one in own])) for key, own in found.items()}
    kept = sum(bool(one["record"].get("kept")) for one in found["auto"])
    report.add(
        f"{name}, {per_class} labels a class",
        f"accuracy of auto minus frozen, mean of {len(found['auto'])} draws",
        means["auto"] - means["feature"],
        f">= {BAR}",
        result=f"{means['auto']:.4f}, {kept} of {len(found['auto'])} tuned",
        peer=f"frozen: {means['feature']:.4f}",
        ratio=f"{means['auto'] - means['feature']:+.4f}",
        seconds=float(np.median([one["seconds"] for one in found["auto"]])),
        draws=found,
    )


if __name__ == "__main__":
    main()
