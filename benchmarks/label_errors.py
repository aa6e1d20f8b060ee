"""Are wrong labels found among given ones, is their number right, and are copies found?

Labels are made wrong: at random, each as the next class ("next"), or among the third of the examples that
are nearest to the boundary, as the class on the other side ("near"); 5, 10 or 20 % of them. The head predicts
each label without having seen it. Measured are, with 20 and with 100 labels a class (10 of tux-stamps, 20 of
tiles):

- the area under the ROC curve between right and wrong labels, beside cleanlab's two scores on the same
  probabilities (--peer-python names a Python that has cleanlab);
- how often the estimated number of wrong labels is within a factor of two of the truth, of all labels and of
  those that a person should check first;
- how much of the accuracy on other examples that wrong labels cost comes back when a person checks these
  first ones, and when the same number of random ones is checked;
- of a tenth of the labels, copies with the same label and copies with another one: how many are told;
- of 100 pictures, what was saved as JPEG (quality 40 to 90), in 0.5 to 2 times the size, and 0.6 to 1.4 times
  as bright: how many are found, and how many of the pairs found are of different pictures (two of them and
  all their copies count once).

The method was chosen on tiles, uci, spam, digits-resemblyzer and the training pictures of Fashion-MNIST, with
seeds 0 to 2; what finds brightened pictures, on tiles made pale and on training pictures as they are and as
negatives. The rows of other sets took no part in that.

    python benchmarks/label_errors.py --fsdd ARCHIVE [--peer-python PYTHON] [--seeds 3] [--parts labels]
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image, ImageEnhance
from recording import Report
from sklearn.metrics import roc_auc_score
from trust_sets import BACKBONES, Features, read_features, trust_options

import tfautolabel as tal
from tfautolabel.heads import build_head
from tfautolabel.jobs.small_pictures import small_picture_vectors
from tfautolabel.measures.duplicates import near_pairs, same_content
from tfautolabel.measures.label_quality import judge_labels
from tfautolabel.training import train_head

CHOSEN_ON = ("tiles", "uci", "spam", "digits-resemblyzer")
OTHERS = ("fashion-mnist", "tux-stamps", "uci-e5", "digits", "speakers", "speakers-resemblyzer")
SIZES = {"tiles": (20,), "tux-stamps": (10,)}
KINDS, RATES = ("random", "next", "near"), (0.05, 0.1, 0.2)
FIRST_SEED = 20
PARTS = ("copies", "labels")
PEER = """
import json, sys
import numpy as np
from cleanlab.rank import get_label_quality_scores
kept, found = np.load(sys.argv[1]), []
for number in range(len(kept.files) // 2):
    labels, probabilities = kept[f"labels{number}"], kept[f"probabilities{number}"].astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    methods = ("self_confidence", "normalized_margin")
    found.append([get_label_quality_scores(labels, probabilities, method=m).tolist() for m in methods])
print(json.dumps(found))
"""


def fitted(features: np.ndarray, class_ids: np.ndarray, n_classes: int, seed: int) -> tuple[Any, np.ndarray]:
    head = build_head("linear", features.shape[1], n_classes, seed)
    return head, train_head(head, features, class_ids, seed=seed).out_of_fold


def accuracy(head: Any, features: np.ndarray, class_ids: np.ndarray) -> float:
    return float((np.asarray(head(features, training=False)).argmax(axis=1) == class_ids).mean())


def made_wrong(
    truth: np.ndarray, held_out: np.ndarray, kind: str, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """The labels, some of them wrong; `held_out` are probabilities from heads fitted to right labels."""
    n, k = held_out.shape
    count, labels = round(rate * n), truth.copy()
    if kind != "near":
        rows = rng.choice(n, count, replace=False)
        labels[rows] = (truth[rows] + (1 if kind == "next" else rng.integers(1, k, count))) % k
        return labels
    others = held_out.copy()
    others[np.arange(n), truth] = -1.0
    margin = held_out[np.arange(n), truth] - others.max(axis=1)
    rows = rng.choice(np.argsort(margin, kind="stable")[: max(n // 3, count)], count, replace=False)
    labels[rows] = others[rows].argmax(axis=1)
    return labels


def drawn(class_ids: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    rows = [rng.permutation(np.flatnonzero(class_ids == one))[:per_class] for one in np.unique(class_ids)]
    return np.sort(np.concatenate(rows))


def measure(name: str, features: Features, size: int, seed: int) -> list[dict[str, Any]]:
    """One entry for each kind and rate."""
    rng, k = np.random.default_rng(seed), int(features.class_ids.max()) + 1
    rows = drawn(features.class_ids, size, rng)
    rest = np.setdiff1d(np.arange(len(features.class_ids)), rows)
    known, truth = features.values[rows], features.class_ids[rows]
    others = features.values[rest], features.class_ids[rest]
    clean, held_out = fitted(known, truth, k, seed)
    found = []
    for kind in KINDS if k > 2 else ("random", "near"):
        for rate in RATES:
            labels = made_wrong(truth, held_out, kind, rate, rng)
            noisy, probabilities = fitted(known, labels, k, seed)
            wrong, quality = labels != truth, judge_labels(labels, probabilities)
            first = quality.to_check
            corrected, by_chance = labels.copy(), labels.copy()
            corrected[first] = truth[first]
            random_rows = rng.choice(len(labels), len(first), replace=False)
            by_chance[random_rows] = truth[random_rows]
            found.append(
                {
                    "set": name,
                    "size": size,
                    "kind": kind,
                    "rate": rate,
                    "labels": labels,
                    "wrong": wrong,
                    "probabilities": probabilities,
                    "scores": quality.scores,
                    "number": quality.number,
                    "first": len(first),
                    "first_wrong": int(wrong[first].sum()),
                    "first_number": quality.wrong_among(first),
                    "twelve": float(wrong[quality.order[:12]].mean()),
                    "clean": accuracy(clean, *others),
                    "noisy": accuracy(noisy, *others),
                    "checked": accuracy(fitted(known, corrected, k, seed)[0], *others),
                    "by_chance": accuracy(fitted(known, by_chance, k, seed)[0], *others),
                }
            )
    return found


def peer_scores(python: str, entries: list[dict[str, Any]]) -> list[list[list[float]]]:
    """For each entry cleanlab's two scores."""
    arrays = {}
    for number, entry in enumerate(entries):
        arrays[f"labels{number}"], arrays[f"probabilities{number}"] = entry["labels"], entry["probabilities"]
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "labels.npz", **arrays)
        command = [python, "-c", PEER, str(Path(folder) / "labels.npz")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def within_two(estimated: float, true: float) -> bool:
    """Whether a number is within a factor of two; half a label more in each, as in the estimate."""
    return 0.5 <= (estimated + 0.5) / (true + 0.5) <= 2.0


def add_score_rows(report: Report, entries: list[dict[str, Any]], python: str) -> None:
    peers, differences = peer_scores(python, entries), defaultdict(list)
    for entry, scores in zip(entries, peers, strict=True):
        ours = roc_auc_score(entry["wrong"], -entry["scores"])
        theirs = [roc_auc_score(entry["wrong"], -np.array(one)) for one in scores]
        differences[entry["set"]].append((ours, *theirs))
    means = {name: np.mean(found, axis=0) for name, found in differences.items()}
    worst = min(means, key=lambda name: means[name][0] - means[name][1])
    ours, same, margin = np.mean(list(means.values()), axis=0)
    report.add(
        "wrong labels, score",
        f"area under the ROC curve minus cleanlab's, worst of {len(means)} sets ({worst})",
        means[worst][0] - means[worst][1],
        ">= -0.002",
        peer=f"cleanlab self_confidence {same:.3f}, normalized_margin {margin:.3f} on average",
        ratio=f"ours {ours:.3f} on average",
        sets={name: found.tolist() for name, found in means.items()},
    )


def add_number_rows(report: Report, entries: list[dict[str, Any]]) -> None:
    for title, sets in (("sets that took no part in the choice", OTHERS), ("sets of the choice", CHOSEN_ON)):
        some = [one for one in entries if one["set"] in sets]
        judged = [one for one in some if one["number"] is not None]
        if not judged:
            continue
        all_right = [within_two(one["number"], one["wrong"].sum()) for one in judged]
        first_right = [within_two(one["first_number"], one["first_wrong"]) for one in judged]
        by_set = {
            f"{name} {size}": float(
                np.mean(
                    [
                        right
                        for right, one in zip(all_right, judged, strict=True)
                        if (one["set"], one["size"]) == (name, size)
                    ]
                )
            )
            for name, size in sorted({(one["set"], one["size"]) for one in judged})
        }
        bar = ">= 0.8" if sets is OTHERS else None
        measured = (
            f"share of {len(judged)} cases; in {len(some) - len(judged)} more it says that it cannot tell"
        )
        report.add(
            f"number of wrong labels within x2, {title}", measured, np.mean(all_right), bar, sets=by_set
        )
        report.add(
            f"number of wrong ones to check first within x2, {title}", measured, np.mean(first_right), bar
        )


def add_check_rows(report: Report, entries: list[dict[str, Any]]) -> None:
    lost = np.array([one["clean"] - one["noisy"] for one in entries])
    won = np.array([one["checked"] - one["noisy"] for one in entries])
    by_chance = np.array([one["by_chance"] - one["noisy"] for one in entries])
    report.add(
        "a person checks the first ones",
        f"share of the lost accuracy ({lost.mean():.3f} on average) that comes back, {len(entries)} cases",
        won.sum() / lost.sum(),
        ">= 0.55",
        peer=f"as many random ones {by_chance.sum() / lost.sum():.2f}",
        ratio=f"more than .005 worse in {np.mean(won < -0.005):.1%}",
        checked=float(np.mean([one["first"] for one in entries])),
    )
    precision = float(np.mean([one["twelve"] for one in entries]))
    report.add("first 12 labels", "share that is wrong", precision)


def add_copy_rows(report: Report, features: dict[str, Features]) -> None:
    told = planted = 0
    for name, found in features.items():
        rng = np.random.default_rng(FIRST_SEED)
        rows = drawn(found.class_ids, 100, rng)
        contents, labels = [str(one) for one in found.ids[rows]], found.class_ids[rows]
        chosen = rng.choice(len(rows), len(rows) // 10, replace=False)
        conflicting = rng.random(len(chosen)) < 0.5
        copies = np.where(conflicting, (labels[chosen] + 1) % (labels.max() + 1), labels[chosen])
        groups = same_content(
            [*contents, *(contents[one] for one in chosen)], np.concatenate([labels, copies])
        )
        known = {(int(one.rows[0]), int(one.rows[-1])): one.conflicting for one in groups}
        told += sum(
            known.get((int(row), len(rows) + place)) == bool(conflicting[place])
            for place, row in enumerate(chosen)
        )
        planted += len(chosen)
        print(f"{name}: {told} of {planted} copies told", flush=True)
    report.add("copies and conflicts", f"share of {planted} planted ones that is told", told / planted, "= 1")


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def changed(picture: Image.Image, rng: np.random.Generator) -> dict[str, bytes]:
    """The picture saved again in three ways."""
    if picture.mode in ("P", "LA", "RGBA"):
        ground = Image.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture.convert("RGBA"))
        picture = ground.convert("RGB")
    scale = rng.choice([0.5, 0.75, 1.5, 2.0])
    size = [max(8, round(side * scale)) for side in picture.size]
    brighter = ImageEnhance.Brightness(picture).enhance(float(rng.choice([0.6, 0.75, 1.25, 1.4])))
    return {
        "JPEG": encoded(picture, "JPEG", quality=int(rng.integers(40, 91))),
        "size": encoded(picture.resize(size, Image.Resampling.BICUBIC), "PNG"),
        "brightness": encoded(brighter, "PNG"),
    }


def add_near_rows(report: Report, data: Path) -> None:
    folders = {
        "fashion-mnist test": datasets.fashion_mnist(data, "test", 300),
        "tux-stamps": datasets.tux_stamps(data),
        "tiles": datasets.tiles(data),
    }
    for name, folder in folders.items():
        rng = np.random.default_rng(FIRST_SEED)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents = [path.read_bytes() for path in files]
        chosen = rng.choice(len(files), min(100, len(files) // 2), replace=False)
        made = [changed(Image.open(files[row]), rng) for row in chosen]
        ways = list(made[0])
        everything = [*contents, *(one[way] for way in ways for one in made)]
        of = np.concatenate([np.arange(len(files)), np.tile(chosen, len(ways))])
        vectors = small_picture_vectors(tal.Dataset.from_inputs(everything, modality="image"))
        pairs = near_pairs(vectors[:, 0], vectors[:, 1:])
        found = {pair[:2] for pair in pairs}
        base = len(files)
        recall = {}
        for number, way in enumerate(ways):
            places = base + number * len(chosen) + np.arange(len(chosen))
            recall[way] = float(
                np.mean([(int(r), int(p)) in found for r, p in zip(chosen, places, strict=True)])
            )
        originals = [frozenset((int(of[one.first]), int(of[one.second]))) for one in pairs]
        right = sum(len(one) == 1 for one in originals)
        wrong = {
            one for one in originals if len(one) == 2
        }  # two pictures that are alike, and all their copies
        false = len(wrong) / (right + len(wrong))
        told = ", ".join(f"{way} {share:.2f}" for way, share in recall.items())
        report.add(
            f"pictures saved again, {name}",
            f"least share found of three ways, {len(chosen)} of {base} pictures",
            min(recall.values()),
            ">= 0.9",
            ratio=told,
        )
        report.add(
            f"pictures saved again, {name}, false pairs",
            f"share of {right + len(wrong)} pairs",
            false,
            "<= 0.01",
        )


def main() -> None:
    parser = trust_options(__doc__)
    parser.set_defaults(sets=[*CHOSEN_ON, *OTHERS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peer-python", default=sys.executable)
    arguments: argparse.Namespace = parser.parse_args()
    report = Report("label_errors", arguments)
    if "copies" in arguments.parts:
        add_near_rows(report, arguments.data)
    features = read_features(arguments)
    if "fashion-mnist" in features:  # its first 1,000 pictures are the training ones
        whole = features["fashion-mnist"]
        features["fashion-mnist"] = Features(whole.values[1000:], whole.class_ids[1000:], whole.ids[1000:])
    if "copies" in arguments.parts:
        add_copy_rows(report, features)
    if "labels" in arguments.parts:
        add_label_rows(report, features, arguments)
    report.save()


def add_label_rows(report: Report, features: dict[str, Features], arguments: argparse.Namespace) -> None:
    entries: list[dict[str, Any]] = []
    for name, found in features.items():
        for size in SIZES.get(name, (20, 100)):
            for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
                entries += measure(name, found, size, seed)
            print(f"{name}, {size} labels a class: measured with {BACKBONES[name]}", flush=True)
    add_score_rows(report, entries, arguments.peer_python)
    add_number_rows(report, entries)
    add_check_rows(report, entries)


if __name__ == "__main__":
    main()
