"""From files to labels, against the recipe of the TensorFlow Hub tutorial with the same backbone.

Measures seconds from after the imports to a label for each of the pool's files, and the share of them that
is right, on Fashion-MNIST: 100 labelled files and 3,000 to label, 1,000 labelled and 3,000 to label.

Peer: "Transfer learning with TensorFlow Hub" (tensorflow.org/tutorials/images/transfer_learning_with_hub):
tf_keras, `image_dataset_from_directory`, pixels divided by 255, prefetch(AUTOTUNE), `hub.KerasLayer(...,
trainable=False)`, a Dense layer, Adam, 10 epochs, `model.predict`. The backbone is exported once as a
TF-Hub image feature vector: float32 in [0, 1], batch norm kept. `--peer-cache` lets it keep decoded
pictures in memory between epochs (`cache()`).

Ours: `load_dataset`, `Labeler`, `fit`, `label`, with an empty feature cache. Each runs in a process of its
own, in turn.

    python benchmarks/tutorial.py [--repeats 1] [--labels 10 100] [--pool 300]      # labels and pool: a class
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from recording import Report, options, run_worker

BARS = {10: 2.5, 100: 5.0}
EPOCHS = 10
BACKBONE = "packaged:efficientnet-lite0"
SIZE = 224


def export_module(folder: Path) -> None:
    """Writes the backbone in the format of TF-Hub's image feature vectors, trainable and with batch norm."""
    import keras
    import tensorflow as tf

    from tfautolabel import load_backbone

    unit_range = keras.Input((SIZE, SIZE, 3))
    features = load_backbone(BACKBONE).network(keras.layers.Rescaling(255.0)(unit_range))
    network = keras.Model(unit_range, features)
    network.trainable = True

    @tf.function
    def apply(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return network(images, training=training)

    spec = tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)
    for training in (False, True):
        apply.get_concrete_function(spec, training=training)
    module = tf.train.Checkpoint()
    module.__call__ = apply
    module.variables = [variable.value for variable in network.variables]
    module.trainable_variables = [variable.value for variable in network.trainable_variables]
    module.regularization_losses = []
    tf.saved_model.save(module, str(folder))


def label_as_in_tutorial(arguments: argparse.Namespace) -> dict[str, Any]:
    import tensorflow as tf
    import tensorflow_hub as hub
    import tf_keras

    start = time.perf_counter()

    def read(folder: Path, shuffle: bool) -> tuple[tf.data.Dataset, list[str]]:
        files = tf_keras.utils.image_dataset_from_directory(
            folder, image_size=(SIZE, SIZE), batch_size=32, shuffle=shuffle, seed=0
        )
        scale = tf_keras.layers.Rescaling(1 / 255)
        batches = files.map(lambda images, labels: (scale(images), labels))
        batches = batches.cache() if arguments.peer_cache and shuffle else batches
        return batches.prefetch(tf.data.AUTOTUNE), files.class_names

    train, classes = read(arguments.labelled, shuffle=True)
    pool, _ = read(arguments.pool_folder, shuffle=False)
    backbone = hub.KerasLayer(str(arguments.module), input_shape=(SIZE, SIZE, 3), trainable=False)
    model = tf_keras.Sequential([backbone, tf_keras.layers.Dense(len(classes))])
    model.compile(
        optimizer=tf_keras.optimizers.Adam(),
        loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, epochs=EPOCHS, verbose=0)
    predicted = model.predict(pool, verbose=0).argmax(axis=1)
    seconds = time.perf_counter() - start
    # In the order of `predict`: shuffle=False sorts the files by class and name.
    truth = np.concatenate([labels.numpy() for _, labels in pool])
    return {"seconds": seconds, "accuracy": float((predicted == truth).mean()), "labelled": len(predicted)}


def label_with_tfautolabel(arguments: argparse.Namespace) -> dict[str, Any]:
    import tfautolabel as tal
    from tfautolabel import Labeler, load_dataset

    start = time.perf_counter()
    labelled = load_dataset(arguments.labelled, "folder")
    pool = load_dataset(arguments.pool_folder, None)
    labeler = Labeler(BACKBONE, labelled.classes, cache_dir=arguments.cache_dir, progress=False)
    labeler.fit(labelled)
    labels = labeler.label(pool)
    seconds = time.perf_counter() - start
    known = load_dataset(arguments.pool_folder, "folder").with_classes(labelled.classes)
    truth = dict(zip(known.ids, known.class_ids, strict=True))
    right = [
        truth[name] == best
        for name, best in zip(labels.ids, labels.probabilities.argmax(axis=1), strict=True)
    ]
    assert tal.ABSTAIN not in truth.values()
    return {"seconds": seconds, "accuracy": float(np.mean(right)), "labelled": len(labels)}


WORKERS = {"ours": label_with_tfautolabel, "peer": label_as_in_tutorial}


def measure(
    labelled: Path, pool: Path, module: Path, arguments: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Both workers in turn, each in a process of its own."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WORKERS}
    for _ in range(arguments.repeats):
        for name in WORKERS:
            with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as empty:
                command = [
                    __file__,
                    "--worker",
                    name,
                    "--labelled",
                    str(labelled),
                    "--pool-folder",
                    str(pool),
                ]
                command += ["--module", str(module), "--cache-dir", empty]
                command += ["--peer-cache"] if arguments.peer_cache else []
                runs[name].append(run_worker(command))
            last = runs[name][-1]
            print(
                f"{labelled.name} {name}: {last['seconds']:.1f} s, accuracy {last['accuracy']:.4f}",
                flush=True,
            )
    return runs


def add_rows(
    report: Report, runs: dict[str, list[dict[str, Any]]], per_class: int, pool: int, cached: bool
) -> None:
    seconds = {name: float(np.median([run["seconds"] for run in runs[name]])) for name in runs}
    accuracy = {name: float(np.median([run["accuracy"] for run in runs[name]])) for name in runs}
    suffix = f"{per_class * 10:,} labelled + {pool * 10:,} to label" + (
        ", peer with cache()" if cached else ""
    )
    ratio = seconds["peer"] / seconds["ours"]
    has_bar = per_class in BARS and pool == 300
    report.add(
        f"TF-Hub tutorial, time, {suffix}",
        "times faster, files to labels",
        ratio,
        f">= {BARS[per_class]}" if has_bar else None,
        result=f"{seconds['ours']:.1f} s",
        peer=f"TF-Hub tutorial: {seconds['peer']:.1f} s",
        ratio=f"{ratio:.2f} times faster",
        runs=runs,
    )
    difference = accuracy["ours"] - accuracy["peer"]
    report.add(
        f"TF-Hub tutorial, accuracy, {suffix}",
        "accuracy minus the tutorial's",
        difference,
        ">= 0",
        result=f"{accuracy['ours']:.4f}",
        peer=f"TF-Hub tutorial: {accuracy['peer']:.4f}",
        ratio=f"{difference:+.4f}",
    )


def parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--labels", type=int, nargs="+", default=list(BARS), help="a class")
    parser.add_argument("--pool", type=int, default=300, help="files to label, a class")
    parser.add_argument("--peer-cache", action="store_true", help="the peer keeps decoded pictures in memory")
    internal = parser.add_argument_group("internal")
    internal.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    for name in ("--labelled", "--pool-folder", "--module", "--cache-dir"):
        internal.add_argument(name, type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.worker:
        print(json.dumps(WORKERS[arguments.worker](arguments)))
        return
    import datasets

    report = Report("tutorial", arguments)
    pool = datasets.fashion_mnist(arguments.data, "test", arguments.pool)
    module = Path(tempfile.mkdtemp(prefix="tfautolabel-module-"))
    try:
        export_module(module)
        for per_class in arguments.labels:
            labelled = datasets.fashion_mnist(arguments.data, "train", per_class)
            runs = measure(labelled, pool, module, arguments)
            add_rows(report, runs, per_class, arguments.pool, arguments.peer_cache)
    finally:
        shutil.rmtree(module)
    report.save()


if __name__ == "__main__":
    main()
