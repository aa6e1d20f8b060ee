"""How large is a report, and how long does it take to write?

A made-up run is written and reported on, in a process of its own: 50,000 items in 20 classes with 1,000
labelled ones, as pictures (5,000 files that the reader goes through in turn, 320 by 240 pixels of noise, the
worst case for JPEG), as texts in one table, and as sound clips of six seconds (noise too). The seconds hold
the import of what is needed, finding the items again, and writing the page; the map is timed by itself, since
`run` makes it while the features are in memory.

    python benchmarks/report.py [--items 50000]
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from recording import Report, options, run_worker

CLASSES = [f"class {number:02d}" for number in range(20)]
LABELLED = 1000
FILES = {"image": 5000, "audio": 1000}
DIMENSIONS = 1280
RATE, SECONDS = 16_000, 6


def write_data(folder: Path, modality: str, items: int) -> tuple[Path, list[str]]:
    """The data, and the names of all items; a file is linked to under several names."""
    rng = np.random.default_rng(0)
    if modality == "text":
        words = np.array(
            [
                "the",
                "soup",
                "was",
                "cold",
                "but",
                "the",
                "bread",
                "fresh",
                "and",
                "nobody",
                "said",
                "a",
                "word",
                "about",
                "it",
            ]
        )
        with (folder / "texts.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for row in range(items):
                label = CLASSES[row % len(CLASSES)] if row < LABELLED else ""
                writer.writerow([" ".join(rng.choice(words, 60)), label])
        return folder / "texts.csv", [str(row) for row in range(items)]
    data = folder / "data"
    data.mkdir()
    names = [f"{number:05d}.{'png' if modality == 'image' else 'wav'}" for number in range(items)]
    for number, name in enumerate(names):
        if number < FILES[modality]:
            (data / name).write_bytes(_picture(rng) if modality == "image" else _clip(rng))
        else:
            (data / name).hardlink_to(data / names[number % FILES[modality]])
    return data, names


def _picture(rng: np.random.Generator) -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (240, 320, 3), np.uint8)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _clip(rng: np.random.Generator) -> bytes:
    from tfautolabel.preprocessors.sounds.wave import wav_bytes

    return wav_bytes(rng.uniform(-0.5, 0.5, RATE * SECONDS).astype(np.float32), RATE)


def write_run(folder: Path, modality: str, items: int) -> tuple[Path, float]:
    """A folder of results, and the seconds that the evidence took."""
    from tfautolabel.jobs.evidence import POINTS, write_evidence

    rng = np.random.default_rng(1)
    data, names = write_data(folder, modality, items)
    out, k = folder / "out", len(CLASSES)
    out.mkdir()
    pool = items - LABELLED
    class_ids = np.arange(items) % k
    probabilities = rng.dirichlet(np.full(k, 0.05), items)
    right = rng.random(items) < 0.9
    top = probabilities.argmax(axis=1)
    rows = np.arange(items)[right]
    own = probabilities[rows, class_ids[rows]].copy()
    probabilities[rows, class_ids[rows]] = probabilities[rows, top[rows]]
    probabilities[rows, top[rows]] = own
    predicted, confidence = probabilities.argmax(axis=1)[LABELLED:], probabilities.max(axis=1)[LABELLED:]
    accepted = confidence >= 0.8
    unlike = rng.random(pool) < 0.02
    columns = {
        "id": names[LABELLED:],
        "label": [CLASSES[number] for number in predicted],
        "confidence": pa.array(confidence, pa.float32()),
        "accepted": accepted & ~unlike,
        "reason": np.where(unlike, "unlike_anything_labelled", np.where(accepted, "", "not_sure_enough")),
        "ood_score": pa.array(rng.random(pool), pa.float32()),
    }
    pq.write_table(pa.table(columns), out / "predictions.parquet")
    with (out / "unreadable.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "reason"), *((f"broken {n}", "empty file") for n in range(500))])
    centres = rng.normal(size=(k, DIMENSIONS))
    some = np.arange(LABELLED + POINTS)
    features = (centres[class_ids[some]] + 2 * rng.normal(size=(len(some), DIMENSIONS))).astype(np.float32)
    start = time.perf_counter()
    write_evidence(
        out / "evidence.npz",
        labelled_ids=names[:LABELLED],
        labelled_class_ids=class_ids[:LABELLED],
        labelled_features=features[:LABELLED],
        out_of_fold=probabilities[:LABELLED],
        pool_ids=names[LABELLED : LABELLED + POINTS],
        pool_features=features[LABELLED:],
        pool_predicted=predicted[:POINTS],
        pool_confidence=confidence[:POINTS],
    )
    took = time.perf_counter() - start
    write_record(out, data, modality, class_ids[:LABELLED], predicted, accepted & ~unlike)
    return out, took


def write_record(
    out: Path,
    data: Path,
    modality: str,
    given: np.ndarray,
    predicted: np.ndarray,
    accepted: np.ndarray,
) -> None:
    counts = [
        np.bincount(ids, minlength=len(CLASSES)).tolist() for ids in (given, predicted, predicted[accepted])
    ]
    rows = zip(*counts, strict=True)
    names = ("labelled", "predicted", "accepted")
    record = {
        "format_version": 2,
        "id": "",
        "files": {},
        "versions": {},
        "inputs": {
            "data": str(data),
            "modality": modality,
            "labels": None if modality == "text" else str(out.parent / "labels.csv"),
            "labelled": None,
        },
        "settings": {"min_confidence": 0.8, "input_column": "text" if modality == "text" else None},
        "backbone": {"handle": "made up", "fingerprint": ""},
        "counts": {
            "labelled": LABELLED,
            "to_label": len(predicted),
            "accepted": int(accepted.sum()),
            "unreadable": 500,
            "classes": {
                name: dict(zip(names, row, strict=True)) for name, row in zip(CLASSES, rows, strict=True)
            },
        },
        "cross_validation": {"accuracy": 0.9, "accuracy_interval_95": [0.88, 0.92], "examples": LABELLED},
    }
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")


def work(out: Path) -> None:
    """In a process of its own: writes the report of a folder."""
    start = time.perf_counter()
    from tfautolabel.report import write_report

    path = write_report(out)
    text = path.read_text(encoding="utf-8")
    shown = sum(text.count(mark) for mark in ("<img ", "<audio ", "<blockquote "))
    result = {"seconds": time.perf_counter() - start, "bytes": path.stat().st_size, "shown": shown}
    print(json.dumps(result))


def main(arguments: argparse.Namespace) -> None:
    report = Report("report", arguments)
    for modality in ("image", "text", "audio"):
        with tempfile.TemporaryDirectory() as scratch:
            out, map_seconds = write_run(Path(scratch), modality, arguments.items)
            found = run_worker([__file__, "--worker", str(out)], timeout=600)
        megabytes = found["bytes"] / 1e6
        name = f"{modality}, {arguments.items:,} items"
        details = {"shown": found["shown"]}
        report.add(f"{name}: size", "MB of report.html", megabytes, "< 8", **details)
        seconds = found["seconds"] + map_seconds
        report.add(
            f"{name}: time",
            "seconds beyond the run, the map included",
            seconds,
            "< 60",
            result=f"{seconds:.1f} (map {map_seconds:.1f})",
            **details,
        )
    report.save()


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="in the run (%(default)s)")
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]))
    else:
        main(parser.parse_args())
