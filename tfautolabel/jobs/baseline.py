"""Baselines without a pretrained model: the commonest class, and a probe on counts, pixels or spectra.

They use the same labelled examples and the same kind of cross-validation as the run, so that the accuracies
can be compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.data.folds import stratified_folds
from tfautolabel.data.long_sounds import LongSound
from tfautolabel.data.row_groups import MAX_WAITING, open_ahead, read_in_groups
from tfautolabel.features.batches import Example, cut
from tfautolabel.measures import accuracy_interval, paired_p_value

LIMIT = 1_000
"""The most labelled examples for the probe, so that it takes only seconds."""
N_FOLDS = 5

_SIDE, _CHARACTERS, _TERMS = 16, 4_000, 30_000
_RATE, _MELS, _FRAME = 16_000, 40, 400
_BATCH = 64
# Words, and single characters in scripts without spaces between words.
_WORDS = r"(?u)[^\W\u3040-\u30ff\u3400-\u9fff]+|[\u3040-\u30ff\u3400-\u9fff]"


def measure_baselines(
    examples: Dataset, classes: Sequence[str], right: np.ndarray, *, seed: int = 0
) -> dict[str, Any]:
    """Measures accuracies that need no transfer.

    Args:
        examples: n labelled examples; more than `LIMIT` are sampled.
        classes: k names.
        right: (n,) bool, which examples the run predicts correctly without having seen them.
        seed: decides the sample and the folds.

    Returns:
        "majority" and "probe", each with a name, an accuracy, its exact 95 % interval, the numbers of
        examples that only the run or only the baseline predicts correctly, and McNemar's p-value; "why" if
        there is no probe.

    Raises:
        ValueError: If `right` does not have one value for each example.
    """
    examples = examples.labelled.with_classes(tuple(classes))
    right = np.asarray(right, bool)
    if right.shape != (len(examples),):
        raise ValueError(f"right must have shape ({len(examples)},). Received: shape {right.shape}")
    # The folds must not depend on the order of the labels.
    by_name = np.argsort(examples.ids, kind="stable")
    examples, right = examples.subset(by_name), right[by_name]
    counts = np.bincount(examples.class_ids, minlength=len(classes))
    commonest = int(counts.argmax())
    majority = _entry(f"always {classes[commonest]}", examples.class_ids == commonest, right)
    if len(examples) > LIMIT:
        rows = np.random.default_rng(seed).choice(len(examples), LIMIT, replace=False)
        rows = np.sort(rows)
        examples, right = examples.subset(rows), right[rows]
    try:
        correct, seen, name = _probe(examples, seed)
    except ValueError as error:
        return {"majority": majority, "probe": None, "why": f"there is no probe: {error}"}
    return {"majority": majority, "probe": _entry(name, correct, right[seen]), "why": None}


def _entry(name: str, correct: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    only_run, only_other = int((right & ~correct).sum()), int((correct & ~right).sum())
    total = len(correct)
    return {
        "name": name,
        "accuracy": float(correct.mean()),
        "accuracy_interval_95": list(accuracy_interval(int(correct.sum()), total)),
        "examples": total,
        "only_run_right": only_run,
        "only_other_right": only_other,
        "p_value": paired_p_value(only_run, only_other),
    }


def _probe(examples: Dataset, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Returns (m,) bool, which rows the probe predicts correctly, (m,) int64, these rows, and its name."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kept, found = _looked_at(examples)
    class_ids = examples.class_ids[kept]
    if examples.modality == "text":
        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORDS, max_features=_TERMS
        )
        model, name = make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=200)), "TF-IDF"
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
        name = f"{_SIDE} x {_SIDE} pixels" if examples.modality == "image" else "mean log-mel spectrum"
    copies = np.unique(found, axis=0, return_inverse=True)[1].reshape(-1)
    folds = stratified_folds(class_ids, N_FOLDS, seed, groups=copies)
    correct = np.zeros(len(class_ids), bool)
    for fold in np.unique(folds):
        held_out = folds == fold
        if len(np.unique(class_ids[~held_out])) < 2:
            raise ValueError("too few labels are left in a fold")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a nearly converged probe is good enough
            model.fit(found[~held_out], class_ids[~held_out])
        correct[held_out] = model.predict(found[held_out]) == class_ids[held_out]
    return correct, kept, name


def _looked_at(examples: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns (m,) int64, the rows that can be read, and the probe's features of each.

    Raises:
        ValueError: If no row can be read.
    """
    look = {"text": _beginnings, "image": _thumbnails, "audio": _spectra}[examples.modality]
    kept, found = [], []
    could_be_read = _sounds(examples) if examples.modality == "audio" else _held(examples)
    for batch in cut(could_be_read, _BATCH, MAX_WAITING):
        sound = batch[0].long
        part, readable = look([one.encoded for one in batch]) if sound is None else _long_spectrum(sound)
        found.append(part[readable])
        kept.append(np.array([example.row for example in batch], np.int64)[readable])
    if not found:
        raise ValueError("no example can be read")
    return np.concatenate(kept), np.concatenate(found)


def _held(examples: Dataset) -> Iterator[Example]:
    """Yields the rows that can be read."""
    for rows, values in read_in_groups(examples, _BATCH):
        for row, value in zip(rows, values, strict=True):
            if not isinstance(value, ReadFailure):
                yield Example(row, value, b"")


def _sounds(examples: Dataset) -> Iterator[Example]:
    """Yields the clips that can be read; long ones are not held."""
    for some in open_ahead(examples, _BATCH, None, lambda _: b""):
        for row, value, _ in some:
            if isinstance(value, LongSound):
                yield Example(row, b"", b"", value)
            elif not isinstance(value, ReadFailure):
                yield Example(row, value, b"")


def _beginnings(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (n,) str, the beginnings of texts, and (n,) bool, whether they could be read (all could)."""
    texts = [text[: 4 * _CHARACTERS].decode("utf-8", "replace")[:_CHARACTERS] for text in encoded]
    return np.array(texts), np.ones(len(texts), bool)


def _thumbnails(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (n, 768) pixels and (n,) bool, whether each could be read."""
    import tensorflow as tf

    from tfautolabel.preprocessors import ImagePreprocessor
    from tfautolabel.preprocessors.graphs import graph_of

    ready = graph_of(ImagePreprocessor(_SIDE))(tf.constant(encoded, tf.string))
    return ready.inputs[0].numpy().reshape(len(encoded), -1), ready.readable.numpy()


def _spectra(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (n, 80) mean and spread of each log-mel band, and (n,) bool, whether each could be read."""
    import tensorflow as tf

    from tfautolabel.preprocessors.graphs import graph_of
    from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

    ready = graph_of(WavePreprocessor(_RATE, min_samples=_FRAME))(tf.constant(encoded, tf.string))
    of_windows = _bands(ready.inputs[0])
    return tf.math.segment_mean(of_windows, ready.example).numpy(), ready.readable.numpy()


def _long_spectrum(sound: LongSound) -> tuple[np.ndarray, np.ndarray]:
    """Returns (1, 80) and (1,) bool, the same of one long clip."""
    from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

    total = np.zeros(2 * _MELS)
    try:
        windows = WavePreprocessor(_RATE, min_samples=_FRAME).long_windows(sound)
        for waves, _ in windows.groups(_BATCH // 4):
            total += _bands(waves).numpy().sum(axis=0, dtype=np.float64)
    except ReadFailure:
        return np.zeros((1, 2 * _MELS), np.float32), np.array([False])
    return (total / windows.number).astype(np.float32)[None], np.array([True])


def _bands(waves: Any) -> Any:
    """Returns (w, 80) mean and spread of each log-mel band of (w, t) samples."""
    import tensorflow as tf

    mel = tf.signal.linear_to_mel_weight_matrix(_MELS, 257, _RATE, 60.0, 7_600.0)
    bands = tf.math.log(tf.abs(tf.signal.stft(waves, _FRAME, 160, 512)) @ mel + 1e-4)
    return tf.concat([tf.reduce_mean(bands, 1), tf.math.reduce_std(bands, 1)], axis=1)
