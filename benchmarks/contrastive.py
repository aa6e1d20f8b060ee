"""Contrastive tuning of MiniLM with 8 labels a class, against SetFit with the same weights and labels.

Measures the accuracy on all other sentences of UCI sentiment after `Labeler(transfer="contrastive")`, of the
same labeler frozen, and of the peer; and the seconds of `contrastive_tune`, which does what the peer does: it
tunes and fits a head. `Labeler.fit` cross-validates all of that too, which its own row shows.

Peer: SetFit's `Trainer` with its defaults, in a process of its own; it may live in another environment, whose
Python --peer-python names. Its time is that of `train` alone: imports and loading count on neither side.

    python benchmarks/contrastive.py --peer-python ENVIRONMENT/bin/python [--seeds 10] [--labels 8]
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import draw
from recording import Report, options
from text_sets import text_set
from text_throughput import checkpoint

import tfautolabel as tal

PEER = """
import json, os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from setfit import SetFitModel, Trainer, TrainingArguments
job = json.load(open(sys.argv[2], encoding="utf-8"))
results = []
for draw in job:
    model = SetFitModel.from_pretrained(sys.argv[1])
    arguments = TrainingArguments(seed=draw["seed"], report_to="none", save_strategy="no")
    trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict({"text": draw["texts"], "label": draw["labels"]}))
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    right = np.asarray(model.predict(draw["test"])) == np.asarray(draw["truth"])
    results.append({"accuracy": float(right.mean()), "seconds": seconds})
    print(results[-1], file=sys.stderr, flush=True)
print(json.dumps(results))
"""  # noqa: E501


def peer(python: str, model: Path, job: dict[str, Any]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "job.json")
        file.write_text(json.dumps([job]), encoding="utf-8")
        command = [python, "-c", PEER, str(model), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise RuntimeError(f"the peer failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])[0]


def ours(
    labelled: tal.Dataset, rest: tal.Dataset, truth: np.ndarray, transfer: str, seed: int, cache: Path
) -> dict[str, Any]:
    labeler = tal.Labeler(
        "packaged:minilm-l6", labelled.classes, transfer=transfer, seed=seed, cache_dir=cache, progress=False
    )
    start = time.perf_counter()
    labeler.fit(labelled)
    seconds = time.perf_counter() - start
    predicted = labeler.label(rest).probabilities.argmax(axis=1)
    return {"accuracy": float((predicted == truth).mean()), "seconds": seconds, "record": labeler.transfer_}


def seconds_alone(labelled: tal.Dataset, seed: int) -> float:
    backbone = tal.load_backbone("packaged:minilm-l6")
    head = tal.build_head("linear", backbone.feature_dim, len(labelled.classes), seed)
    start = time.perf_counter()
    tal.contrastive_tune(backbone, head, labelled, seed=seed)
    return time.perf_counter() - start


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--labels", type=int, default=8, help="a class")
    arguments = parser.parse_args()
    report = Report("contrastive", arguments)
    model, file = checkpoint(arguments.data), text_set(arguments.data, "uci")
    data = tal.load_dataset(file)
    with file.open(encoding="utf-8", newline="") as stream:
        texts = np.array([row["text"] for row in csv.DictReader(stream)], dtype=object)
    cache = arguments.data / "features"
    found: dict[str, list[dict[str, Any]]] = {"tuned": [], "frozen": [], "peer": []}
    alone: list[float] = []
    for seed in range(arguments.seeds):
        drawn = draw(data.class_ids, arguments.labels, seed)
        labelled, rest, truth = data.subset(drawn), data.subset(~drawn), data.class_ids[~drawn]
        alone.append(seconds_alone(labelled, seed))
        found["tuned"].append(ours(labelled, rest, truth, "contrastive", seed, cache))
        found["frozen"].append(ours(labelled, rest, truth, "feature", seed, cache))
        job = {
            "seed": seed,
            "texts": texts[drawn].tolist(),
            "labels": data.class_ids[drawn].tolist(),
            "test": texts[~drawn].tolist(),
            "truth": truth.tolist(),
        }
        found["peer"].append(peer(arguments.peer_python, model, job))
        shown = {
            name: (round(own[-1]["accuracy"], 4), round(own[-1]["seconds"], 1)) for name, own in found.items()
        }
        print(seed, shown, round(alone[-1], 1), flush=True)
    accuracy = {name: float(np.mean([one["accuracy"] for one in own])) for name, own in found.items()}
    seconds = {name: float(np.median([one["seconds"] for one in own])) for name, own in found.items()}
    row, measure = f"MiniLM on uci, {arguments.labels} labels a class", f"mean of {arguments.seeds} draws"
    report.add(
        f"{row}: tuned over frozen",
        f"accuracy gained, {measure}",
        accuracy["tuned"] - accuracy["frozen"],
        ">= 0.03",
        result=f"{accuracy['tuned']:.4f}",
        peer=f"frozen: {accuracy['frozen']:.4f}",
        ratio=f"{accuracy['tuned'] - accuracy['frozen']:+.4f}",
        draws=found,
    )
    report.add(
        f"{row}: tuned over SetFit",
        f"accuracy minus the peer's, {measure}",
        accuracy["tuned"] - accuracy["peer"],
        ">= -0.005",
        result=f"{accuracy['tuned']:.4f}",
        peer=f"SetFit: {accuracy['peer']:.4f}",
        ratio=f"{accuracy['tuned'] - accuracy['peer']:+.4f}",
    )
    for name, own, bar in (
        ("tuning and head", float(np.median(alone)), "<= 1.0"),
        ("tuning and head, cross-validated", seconds["tuned"], None),
    ):
        report.add(
            f"{row}: time, {name}",
            "seconds as a share of the peer's, medians",
            own / seconds["peer"],
            bar,
            result=f"{own:.1f} s",
            peer=f"SetFit: {seconds['peer']:.1f} s",
            ratio=f"{own / seconds['peer']:.2f}",
            alone=alone,
        )
    report.save()


if __name__ == "__main__":
    main()
