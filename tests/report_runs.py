"""Folders as a run leaves them, made up: names and labels that nobody should trust included."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from clips import tones, wav
from PIL import Image

from tfautolabel.jobs.evidence import write_evidence
from tfautolabel.measures import evaluate_probabilities
from tfautolabel.runs.identity import digests
from tfautolabel.trust import Certificate

HOSTILE = '<script>alert("class")</script>'
NAMES = (
    "<img src=x onerror=alert(1)>.png",
    "javascript:alert(1)",
    "quote\"'.png",
    "a&b.png",
    "${7*7}{{7*7}}.png",
)
CLASSES = (HOSTILE, "$x$ & co", "cat")


def picture(level, side=150):
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side // 2, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def sound(seed, seconds=0.5):
    return wav(tones(seconds, 8000, seed=seed), rate=8000)


def content(modality, number):
    if modality == "image":
        return picture(number * 7 % 256)
    if modality == "audio":
        return sound(number)
    return f"text {number} <script>alert('text')</script>".encode()


def write_run(
    folder, modality="image", classes=CLASSES, labelled=60, pool=40, evidence=True, extras=True, seed=0
):
    """Writes data and results, and returns the folder of results."""
    rng = np.random.default_rng(seed)
    data, out, k = folder / "data", folder / "out", len(classes)
    data.mkdir(parents=True)
    out.mkdir()
    ending = {"image": "png", "audio": "wav", "text": "txt"}[modality]
    names = [f"{number:04d}.{ending}" for number in range(labelled + pool)]
    names[labelled : labelled + len(NAMES)] = NAMES
    names[1] = "given\"'<b>." + ending
    for number, name in enumerate(names):
        (data / name).write_bytes(content(modality, number))
    class_ids = np.arange(labelled + pool) % k
    features = rng.normal(size=(labelled + pool, 12)) + 4 * np.eye(k, 12)[class_ids]
    probabilities = np.full((labelled + pool, k), 0.1 / max(k - 1, 1))
    own = 0.9 - 0.2 * rng.random(labelled + pool)
    own[labelled : labelled + len(NAMES)] = 0.91  # so that they are shown
    probabilities[np.arange(labelled + pool), class_ids] = own
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    given = class_ids[:labelled].copy()
    given[1] = (given[1] + 1) % k
    confidence, predicted = probabilities.max(axis=1)[labelled:], class_ids[labelled:]
    accepted = confidence >= 0.85
    write_table(out, names[labelled:], predicted, confidence, accepted, classes)
    with open(out / "unreadable.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "reason"), ("<b>broken</b>.png", "truncated <i>PNG</i>")])
    if evidence:
        write_evidence(
            out / "evidence.npz",
            labelled_ids=names[:labelled],
            labelled_class_ids=given,
            labelled_features=features[:labelled],
            out_of_fold=probabilities[:labelled],
            pool_ids=names[labelled:],
            pool_features=features[labelled:],
            pool_predicted=predicted,
            pool_confidence=confidence,
        )
    record = {
        "format_version": 2,
        "id": "ab" * 32,
        "files": digests(out),
        "started": "2026-11-24T10:00:00+00:00",
        "versions": {"tfautolabel": "0.1.0"},
        "inputs": {
            "data": str(data),
            "modality": modality,
            "labels": str(folder / "labels.csv"),
            "labels_sha256": "ab" * 32,
            "labelled": None,
            "labelled_contents_sha256": "cd" * 32,
            "pool_contents_sha256": "ef" * 32,
        },
        "notes": ["a note"],
        "settings": {"head": "linear", "seed": 0, "min_confidence": 0.85},
        "backbone": {"handle": "packaged:small", "fingerprint": "12" * 32},
        "counts": {
            "labelled": labelled,
            "to_label": pool,
            "accepted": int(accepted.sum()),
            "unreadable": 1,
            "classes": {
                name: {
                    "labelled": int((given == number).sum()),
                    "predicted": int((predicted == number).sum()),
                    "accepted": int((predicted[accepted] == number).sum()),
                }
                for number, name in enumerate(classes)
            },
        },
        "cross_validation": {"accuracy": 0.98, "accuracy_interval_95": [0.91, 1.0], "examples": labelled},
        "seconds": {"features": 1.5},
    }
    if extras:
        record |= {
            "certificate": Certificate(
                "estimated",
                0.05,
                0.95,
                0.85,
                labelled,
                40,
                1,
                0.04,
                0.5,
                int(accepted.sum()),
                pool,
                assumptions=("the examples are drawn at random",),
            ).to_dict(),
            "evaluation": evaluate_probabilities(given, probabilities[:labelled], resamples=50).to_dict(),
            "baseline": {
                "majority": {"accuracy": 0.4, "interval": [0.3, 0.5]},
                "probe": {
                    "name": "pixels",
                    "accuracy": 0.5,
                    "interval": [0.4, 0.6],
                    "examples": 40,
                    "only_run_right": 17,
                    "only_other_right": 1,
                    "p_value": 0.00014,
                },
            },
            "transfer": {"asked": "auto", "why": "<i>why</i> it was tuned"},
        }
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return out


def write_table(out, names, predicted, confidence, accepted, classes):
    reasons = ["" if row else "not_sure_enough" for row in accepted]
    reasons[2] = "unlike_anything_labelled"
    columns = {
        "id": names,
        "label": [classes[class_id] for class_id in predicted],
        "confidence": pa.array(confidence, pa.float32()),
        "accepted": accepted,
        "reason": reasons,
        "ood_score": pa.array(np.linspace(0, 1, len(names)), pa.float32()),
    }
    pq.write_table(pa.table(columns), out / "predictions.parquet")


def seal(out):
    """Has the record tell of the files as they are now."""
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (out / "run.json").write_text(json.dumps(record | {"files": digests(out)}), encoding="utf-8")


def as_before_the_renaming(out):
    """Gives a run's folder the names of an earlier version: rejected.csv, and "rejected" in run.json."""
    (out / "unreadable.csv").rename(out / "rejected.csv")
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    record["counts"]["rejected"] = record["counts"].pop("unreadable")
    record["files"]["rejected.csv"] = record["files"].pop("unreadable.csv")
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return out
