"""Shared parts of all conversions: real inputs, the comparison on them, and the written files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._errors import first_line
from tfautolabel._progress import progress_of
from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.data.atomic import atomic_write
from tfautolabel.export.numeric import NumericModel, fitting, padded

Runner = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Maps inputs of one row each to (1, k) probabilities."""

BATCH = 16
TIMED = 50
"""The number of windows to time one by one."""

AGREEMENT = {"float32": 0.995, "int8": 0.98}
"""The least share of labels that must stay the same, by the type of the weights."""


@dataclass(frozen=True)
class FormatParity:
    """The comparison of a converted network with the SavedModel on the same windows.

    Attributes:
        windows: number of compared windows.
        recorded: whether they come from the model's few synthetic examples and not from real data.
        too_long: number of windows that were left out because they are too long for the converted network.
        agreement: share of windows with the same label from both.
        max_difference: the largest difference of a probability.
        accuracy: accuracy of the converted network on windows with a known label; None if there are none.
        saved_model_accuracy: accuracy of the SavedModel on the same windows.
        ms: median milliseconds of the converted network for one window.
        saved_model_ms: the same for the SavedModel's network, with the same windows one by one.
    """

    windows: int
    recorded: bool
    too_long: int
    agreement: float
    max_difference: float
    accuracy: float | None
    saved_model_accuracy: float | None
    ms: float
    saved_model_ms: float


class DifferentLabels(RuntimeError):  # noqa: N818 - names the event, as callers tell it from other RuntimeErrors
    """A converted network gives different labels than the SavedModel.

    Args:
        parity: the measured comparison.
        weights: as in `Converted`.
        asked: the required agreement.
    """

    def __init__(self, parity: FormatParity, weights: str, asked: float) -> None:
        super().__init__(
            f"a converted network must give the SavedModel's label for at least {asked:.1%} of the windows. "
            f"Received: {parity.agreement:.1%} of {parity.windows} ({weights}); nothing is written"
        )
        self.parity = parity
        self.weights = weights


@dataclass(frozen=True)
class Converted:
    """The result of a conversion.

    Attributes:
        file: the network's file.
        description: FILE.json, which describes the inputs.
        megabytes: size of the file in 10^6 bytes.
        weights: "float32", "int8", or "int8 weights, float32 activations".
        parity: its comparison with the SavedModel.
    """

    file: Path
    description: Path
    megabytes: float
    weights: str
    parity: FormatParity


def compare(
    model: NumericModel,
    run: Runner,
    dataset: Dataset | None,
    length: int | None = None,
    progress: bool = True,
) -> FormatParity:
    """Compares a converted network with its SavedModel.

    Args:
        model: the SavedModel.
        run: the converted network.
        dataset: examples, labelled or not; None for those recorded in labeler.json.
        length: tokens or samples that the converted network takes, or None if it takes any number.
        progress: whether to show a progress bar if standard error is a terminal.

    Raises:
        ValueError: If no window can be compared.
    """
    differences, truths, found, expected = [], [], [], []
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    too_long = 0
    for inputs, class_ids in windows(model, dataset, progress):
        fits = fitting(inputs, length)
        too_long += int((~fits).sum())
        rows = padded([array[fits] for array in inputs], length)
        for row, class_id in enumerate(class_ids[fits]):
            alone = [array[row : row + 1] for array in rows]
            start = time.perf_counter()
            ours = run(alone)[0]
            between = time.perf_counter()
            theirs = model.predict(alone)[0]
            if len(times["ours"]) <= TIMED:
                times["ours"].append(between - start)
                times["theirs"].append(time.perf_counter() - between)
            differences.append(float(np.abs(ours - theirs).max()))
            truths.append(class_id)
            found.append(ours.argmax())
            expected.append(theirs.argmax())
    if not found:
        count = "the recorded" if dataset is None else f"{len(dataset):,}"
        why = f"{too_long:,} windows are longer than {length}" if too_long else "none can be read"
        raise ValueError(
            "a converted network is compared on examples that can be read and fit. Received: "
            f"{count} examples, of which {why}"
        )
    known = np.array(truths) >= 0

    def accuracy(labels: list[Any]) -> float | None:
        return float((np.array(labels) == np.array(truths))[known].mean()) if known.any() else None

    return FormatParity(
        windows=len(found),
        recorded=dataset is None,
        too_long=too_long,
        agreement=float(np.mean(np.equal(found, expected))),
        max_difference=max(differences),
        accuracy=accuracy(found),
        saved_model_accuracy=accuracy(expected),
        ms=_median_ms(times["ours"]),
        saved_model_ms=_median_ms(times["theirs"]),
    )


def _median_ms(seconds: list[float]) -> float:
    # The first call does the setup for later calls.
    return 1000 * float(np.median(seconds[1:] or seconds))


def windows(
    model: NumericModel, dataset: Dataset | None, progress: bool = False
) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """Yields the windows of examples by batch, with the (w,) class ids of their examples; -1 if unknown.

    Args:
        model: prepares the examples.
        dataset: examples, labelled or not; None for those recorded in labeler.json.
        progress: whether to show a progress bar if standard error is a terminal.
    """
    recorded = [base64.b64decode(one["input"]) for one in model.labeler.description["examples"]]
    count = len(recorded) if dataset is None else len(dataset)
    rate = model.labeler.sample_rate
    with progress_of(count, "comparing", progress) as advance:
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            read = [recorded[row] for row in rows] if dataset is None else dataset.read(rows, rate)
            class_ids = np.full(len(rows), -1) if dataset is None else dataset.class_ids[list(rows)]
            kept = [position for position, one in enumerate(read) if not isinstance(one, ReadFailure)]
            if kept:
                prepared = model.prepare([one for one in read if not isinstance(one, ReadFailure)])
                yield prepared.inputs, class_ids[kept][prepared.example]
            advance(len(rows))


def check_examples(model: NumericModel, dataset: Dataset | None) -> Dataset | None:
    """Returns examples with the model's own class ids.

    Raises:
        ValueError: If they have another modality or a label is not one of the model's classes.
    """
    if dataset is None:
        return None
    labeler = model.labeler
    if dataset.modality != labeler.modality:
        raise ValueError(f"this model labels {labeler.modality} data. Received: {dataset.modality} data")
    return dataset.with_classes(labeler.classes)


def fixed_length(model: NumericModel, length: int | None) -> int | None:
    """Returns how many tokens or samples a format with fixed shapes takes.

    Args:
        model: the model.
        length: the wanted length; None for the most that the preprocessor gives.

    Raises:
        ValueError: If the length is needed but unknown, or has no meaning here.
    """
    if not model.open_lengths:
        if length is not None:
            raise ValueError(f"this network takes inputs of one size only. Received: length={length}")
        return None
    most = model.labeler.description["preprocessor"].get("max_length")
    if most is not None and length is not None and length > most:
        raise ValueError(f"length must be from 1 to {most}, the most tokens there can be. Received: {length}")
    found = length or model.longest
    if found is None or found < 1:
        raise ValueError(
            f"length must be at least 1, and {model.handle} does not tell its own. Received: length={length}"
        )
    return found


def write_converted(
    file: str | os.PathLike[str],
    content: bytes,
    model: NumericModel,
    details: dict[str, Any],
    *,
    parity: FormatParity,
    weights: str,
) -> Converted:
    """Writes a converted network and, next to it, a description of its inputs and the comparison.

    Args:
        file: the network's file.
        content: the file's bytes.
        model: its SavedModel.
        details: `format`, `inputs` and other entries of the description.
        parity: the comparison with the SavedModel.
        weights: as in `Converted`.

    Raises:
        DifferentLabels: If fewer labels agree than `AGREEMENT` requires. Then nothing is written.
        OSError: If a file cannot be written.
    """
    asked = AGREEMENT[weights.partition(" ")[0]]
    if not parity.agreement >= asked:
        raise DifferentLabels(parity, weights, asked)
    file = Path(file)
    described = file.with_name(file.name + ".json")
    known = model.labeler.description
    description = details | {
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [None, len(known["classes"])]}],
        "weights": weights,
        "parity": asdict(parity),
        "megabytes": round(len(content) / 1e6, 3),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    kept = ("classes", "modality", "backbone", "preprocessor", "limits", "acceptance", "min_confidence")
    description |= {name: known[name] for name in kept if name in known}
    description["windows"] = (
        "one row is one window and is taken for an example of its own; for a text or clip of several windows "
        "take the mean of its rows' probabilities, where the SavedModel takes the mean of their features"
    )
    description["not_included"] = (
        "reading and decoding of files, tokenizers, thresholds (apply those under `acceptance` to the "
        "highest probability), and the test for what is unlike all that was labelled"
    )
    # Both are written before either gets its name. So a kill rarely leaves one old and one new file. The
    # checksum shows whether they belong together.
    with atomic_write(described) as text:
        text.write(json.dumps(description, indent=2, ensure_ascii=False) + "\n")
        with atomic_write(file, "wb") as stream:
            stream.write(content)
    return Converted(file, described, len(content) / 1e6, weights, parity)


def converter_error(error: Exception) -> str:
    """Returns a converter's error in one line."""
    return f"{type(error).__name__}: {first_line(error)[:200]}"
