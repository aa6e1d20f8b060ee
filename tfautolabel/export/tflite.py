"""Converts exported models to LiteRT (TensorFlow Lite) files, for phones, microcontrollers and browsers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._cores import granted_cores
from tfautolabel._optional import require
from tfautolabel.data import Dataset
from tfautolabel.export.conversion import (
    AGREEMENT,
    Converted,
    check_examples,
    compare,
    converter_error,
    fixed_length,
    windows,
    write_converted,
)
from tfautolabel.export.logit_correction import LogitCorrection, fit_logit_correction
from tfautolabel.export.numeric import OUTPUT, NumericModel, fitting, padded, quiet_converters

CALIBRATION = 200
"""The most windows for measuring the ranges of activations."""

FULL, DYNAMIC = "int8", "int8 weights, float32 activations"


def export_tflite(
    model: str | os.PathLike[str],
    file: str | os.PathLike[str],
    examples: Dataset | None = None,
    *,
    int8: bool = False,
    length: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Converted:
    """Writes backbone and head to a .tflite file, and keeps it only if LiteRT gives the same labels.

    The file takes one row per call. With `int8`, operations use 8-bit integers with ranges from examples
    (Jacob et al. 2018, arXiv 1712.05877). If that changes too many labels, only the weights become 8-bit
    integers. Then the file corrects the logits with a map that is fitted on the same examples; see
    `fit_logit_correction`. Inputs and output keep their types in all cases.

    Args:
        model: an exported model's folder.
        file: the file to write. FILE.json next to it describes the inputs.
        examples: real examples for the comparison, labelled or not. By default the few that were recorded
            with the model.
        int8: whether to quantise. A part of the examples, at most half, gives the ranges and is not compared.
        length: tokens or samples in a row, for networks that take any number. By default the most that the
            preprocessor gives.
        seed: random seed for the choice of the examples that give the ranges.
        progress: whether to show a progress bar if standard error is a terminal.

    Returns:
        The written files, with sizes, times and agreement.

    Raises:
        FileNotFoundError: If there is no exported model.
        MissingExtraError: If LiteRT is not installed.
        DifferentLabels: If too few labels agree. Then nothing is written.
        RuntimeError: If the network cannot be converted.
        ValueError: If an argument does not fit.
    """
    interpreter = require("ai_edge_litert.interpreter", extra="tflite").Interpreter
    numeric = NumericModel(model)
    examples = check_examples(numeric, examples)
    if int8 and (examples is None or len(examples) < 2):
        raise ValueError(
            "int8 needs two real examples or more, for the ranges of activations and for the comparison. "
            f"Received: {0 if examples is None else len(examples)} examples"
        )
    length = fixed_length(numeric, length)
    details: dict[str, Any] = {
        "format": "tflite",
        "file": Path(file).name,
        "inputs": numeric.describe(1, length),
    }
    if not int8:
        content = _convert(numeric.frozen(1, length), numeric.handle)
        parity = compare(numeric, Run(interpreter, content, numeric), examples, length, progress)
        return write_converted(file, content, numeric, details, parity=parity, weights="float32")
    assert examples is not None
    order = np.random.default_rng(seed).permutation(len(examples))
    held = min(CALIBRATION, len(examples) // 2)
    calibration, rest = examples.subset(np.sort(order[:held])), examples.subset(np.sort(order[held:]))
    rows = _rows(numeric, calibration, length)
    content, weights = _convert(numeric.frozen(1, length), numeric.handle, rows), FULL
    parity = compare(numeric, Run(interpreter, content, numeric), rest, length, progress)
    if parity.agreement < AGREEMENT[FULL]:
        correction = _correction(interpreter, numeric, rows, length)
        details["logits_corrected"] = correction is not None
        finish = None if correction is None else correction.in_graph
        content, weights = _convert(numeric.frozen(1, length, finish), numeric.handle, ()), DYNAMIC
        parity = compare(numeric, Run(interpreter, content, numeric), rest, length, progress)
    return write_converted(file, content, numeric, details, parity=parity, weights=weights)


def _correction(
    interpreter: object, numeric: NumericModel, rows: Sequence[dict[str, np.ndarray]], length: int | None
) -> LogitCorrection | None:
    """Fits the correction of the logits for 8-bit weights on some rows."""
    network = numeric.frozen(1, length, tf.identity)
    run = Run(interpreter, _convert(network, numeric.handle, ()), numeric)
    tensors = [{name: tf.constant(array) for name, array in row.items()} for row in rows]
    return fit_logit_correction(
        np.concatenate([run(list(row.values())) for row in rows]),
        np.concatenate([network(**row)[OUTPUT].numpy() for row in tensors]),
    )


class Run:
    """A .tflite file in LiteRT.

    Args:
        interpreter: LiteRT's class.
        content: the file's bytes.
        numeric: the model, for the names of its inputs.
    """

    def __init__(self, interpreter: Any, content: bytes, numeric: NumericModel) -> None:
        self._interpreter = interpreter(model_content=content, num_threads=granted_cores())
        self._signature = self._interpreter.get_signature_runner()
        self._names = [spec.name for spec in numeric.specs]

    def __call__(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Maps inputs of one row each to (1, k) probabilities."""
        (output,) = self._signature(**dict(zip(self._names, inputs, strict=True))).values()
        return np.asarray(output)


def _convert(function: object, handle: str, ranges: Sequence[dict[str, np.ndarray]] | None = None) -> bytes:
    """Returns the file's bytes.

    Args:
        function: the frozen network.
        handle: the backbone's handle, for the message.
        ranges: rows for measuring the ranges of activations. Empty to quantise only weights, None to quantise
            nothing.
    """
    # This module holds only the function. The SavedModel would add its string tables.
    holder = tf.Module()
    holder.run = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
    if ranges is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if ranges:
        converter.representative_dataset = lambda: iter(ranges)
    try:
        with quiet_converters():
            return bytes(converter.convert())
    except Exception as error:
        raise RuntimeError(
            f"the network of {handle} cannot be converted to TFLite, which lacks operations or loops of it. "
            f"Received: {converter_error(error)}"
        ) from error


def _rows(numeric: NumericModel, dataset: Dataset, length: int | None) -> list[dict[str, np.ndarray]]:
    """Returns single windows by the names of the inputs."""

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for inputs, _ in windows(numeric, dataset):
            fits = fitting(inputs, length)
            ready = padded([array[fits] for array in inputs], length)
            for row in range(int(fits.sum())):
                yield {
                    spec.name: array[row : row + 1] for spec, array in zip(numeric.specs, ready, strict=True)
                }

    found = [row for row, _ in zip(rows(), range(CALIBRATION), strict=False)]
    if not found:
        raise ValueError("int8 needs examples that can be read. Received: none")
    return found
