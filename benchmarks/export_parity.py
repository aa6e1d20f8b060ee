"""The exported SavedModel against the Labeler that it came from.

Measures, on 600 real files in 12 formats (Tux Paint stamps and JPEG photographs written anew in each), how
many labels differ and the largest difference of a probability between `Labeler.predict` and the
SavedModel's `serving_default`, called as a server would: encoded bytes in, batches of 32 and, for every
tenth file, alone.

Peer: `Labeler.predict`, in the same process.

    python benchmarks/export_parity.py [--files 600]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import datasets
import numpy as np
import tensorflow as tf
from accuracy import draw
from pictures import FORMATS, write_in_all_formats
from recording import Report, options, print_table

import tfautolabel as tal

BATCH = 32


def serve(model: tf.Module, encoded: list[bytes], batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) str and probabilities (n, k) float32 from the signature `serving_default`."""
    signature = model.signatures["serving_default"]
    outputs = [
        signature(examples=tf.constant(encoded[start : start + batch_size]))
        for start in range(0, len(encoded), batch_size)
    ]
    labels = np.concatenate([output["label"].numpy() for output in outputs]).astype(str)
    return labels, np.concatenate([output["probabilities"].numpy() for output in outputs])


def fit(data: Path) -> tal.Labeler:
    stamps = tal.load_dataset(datasets.tux_stamps(data), "folder")
    labelled = stamps.subset(draw(stamps.class_ids, 10, seed=0))
    labeler = tal.Labeler("packaged:efficientnet-lite0", stamps.classes, cache_dir=data / "features")
    labeler.fit(labelled)
    return labeler


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=600)
    arguments = parser.parse_args()
    report = Report("export_parity", arguments)
    labeler = fit(arguments.data)
    stamps = sorted(datasets.tux_stamps(arguments.data).rglob("*.png"))
    photos = sorted(datasets.photos(arguments.data, 960, 256).glob("*.jpg"))
    # Shuffled, so that every format gets stamps and photographs.
    originals = [path for pair in zip(stamps, photos, strict=False) for path in pair]
    order = np.random.default_rng(0).permutation(len(originals))
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as scratch:
        folder = Path(scratch, "files")
        formats = write_in_all_formats([originals[row] for row in order], folder, arguments.files)
        encoded = [path.read_bytes() for path in sorted(folder.iterdir())]
        model = tf.saved_model.load(str(labeler.export(Path(scratch, "model", "1"))))
    expected = labeler.predict(encoded)
    unread = int((expected.sum(axis=1) == 0).sum())
    names = np.array(labeler.classes)[expected.argmax(axis=1)]
    labels, probabilities = serve(model, encoded, BATCH)
    alone_labels, alone = serve(model, encoded[::10], 1)
    differences = np.abs(probabilities - expected).max(axis=1)
    rows = [
        [name, formats.count(name), f"{differences[np.array(formats) == name].max():.1e}"] for name in FORMATS
    ]
    print_table(["format", "files", "max |Δp|"], rows)
    differ = int((labels != names).sum() + (alone_labels != names[::10]).sum()) + unread
    largest = float(max(differences.max(), np.abs(alone - expected[::10]).max()))
    what = f"{len(encoded)} files in {len(FORMATS)} formats"
    report.add("export, labels", f"labels that differ, {what}", differ, "= 0", peer="Labeler.predict")
    report.add(
        "export, probabilities",
        f"largest |Δp|, {what}",
        largest,
        "<= 1e-4",
        result=f"{largest:.1e}",
        peer="Labeler.predict",
        by_format={row[0]: row[2] for row in rows},
    )
    report.save()


if __name__ == "__main__":
    main()
