"""Fine-tuning EfficientNet-Lite0 with 100 labels a class of Fashion-MNIST, against the frozen backbone.

Measures the accuracy on 3,000 official test pictures of `Labeler(transfer="model")`, which cross-validates,
for several draws of the labels from the 1,000 training pictures a class that the set is cut to.

Peer: the same labeler with `transfer="feature"`, the same labels.

    python benchmarks/fine_tune.py [--seeds 3] [--labels 100]
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accuracy import draw
from recording import Report, options

import tfautolabel as tal

BAR = 0.025


def measure(
    labelled: tal.Dataset, test: tal.Dataset, transfer: str, seed: int, cache: Path
) -> dict[str, Any]:
    labeler = tal.Labeler(
        "packaged:efficientnet-lite0",
        labelled.classes,
        transfer=transfer,
        seed=seed,
        cache_dir=cache,
        progress=False,
    )
    start = time.perf_counter()
    labeler.fit(labelled)
    seconds = time.perf_counter() - start
    accuracy = labeler.evaluate(test).accuracy
    return {"accuracy": accuracy, "seconds": seconds, "record": labeler.transfer_}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=100, help="a class")
    arguments = parser.parse_args()
    report = Report("fine_tune", arguments)
    pool = tal.load_dataset(datasets.fashion_mnist(arguments.data, "train", 1000), "folder")
    test = tal.load_dataset(datasets.fashion_mnist(arguments.data, "test", 300), "folder")
    found: dict[str, list[dict[str, Any]]] = {"feature": [], "model": []}
    for seed in range(arguments.seeds):
        labelled = pool.subset(draw(pool.class_ids, arguments.labels, seed))
        for transfer, own in found.items():
            own.append(measure(labelled, test, transfer, seed, arguments.data / "features"))
            print(seed, transfer, own[-1], flush=True)
    means = {name: float(np.mean([one["accuracy"] for one in own])) for name, own in found.items()}
    report.add(
        f"Lite0 on fashion-mnist, {arguments.labels} labels a class",
        f"accuracy gained, mean of {arguments.seeds} draws",
        means["model"] - means["feature"],
        f">= {BAR}" if arguments.labels == 100 else None,
        result=f"{means['model']:.4f}",
        peer=f"frozen: {means['feature']:.4f}",
        ratio=f"{means['model'] - means['feature']:+.4f}",
        seconds={name: float(np.median([one["seconds"] for one in own])) for name, own in found.items()},
        draws=found,
    )
    report.save()


if __name__ == "__main__":
    main()
