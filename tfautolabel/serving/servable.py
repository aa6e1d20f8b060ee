"""One version of a model in memory: loaded, checked, and ready to be called."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._model_folder import DESCRIPTION, GRAPH, read_description
from tfautolabel._tensorflow_internals import saved_model_message
from tfautolabel.export.requirements import import_requirements
from tfautolabel.export.standalone_check import TOLERANCE
from tfautolabel.runs.outputs import check_model
from tfautolabel.serving.refusals import Refusal, first_sentence

DEFAULT_SIGNATURE = "serving_default"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Signature:
    """One function of a model.

    Attributes:
        name: such as "serving_default".
        function: takes tensors by name, gives tensors by name.
        inputs: name to specification; strings are (…) object arrays of bytes.
        outputs: names, sorted.
        has_rows: whether each row is taken for itself, so that requests may be merged and split.
    """

    name: str
    function: Any
    inputs: dict[str, tf.TensorSpec]
    outputs: tuple[str, ...]
    has_rows: bool

    def call(self, arrays: Arrays) -> Arrays:
        """Runs the function; blocks.

        Raises:
            tf.errors.OpError: If the model does not take the values.
            ValueError: If it does not take their shapes.
        """
        tensors = {
            name: tf.constant(value, self.inputs[name].dtype, shape=value.shape)
            for name, value in arrays.items()
        }
        return {name: _array(tensor) for name, tensor in self.function(**tensors).items()}


class Servable:
    """A version of a model.

    Attributes:
        name: of the model.
        version: its number.
        signatures: name to signature.
        signature_defs: what the protocol's metadata says of them, as JSON values.
        description: labeler.json, or None for a SavedModel of another origin.
        merges_rows: whether its signatures are known to take each row for itself.
    """

    def __init__(
        self,
        name: str,
        version: int,
        model: Any,
        signature_defs: dict[str, Any],
        description: dict[str, Any] | None,
        merges_rows: bool,
    ) -> None:
        self.name = name
        self.version = version
        self.signature_defs = signature_defs
        self.description = description
        self._model = model  # functions do not keep the variables that they read
        self.signatures = {
            key: _signature(key, function, merges_rows) for key, function in sorted(model.signatures.items())
        }

    def signature(self, name: str) -> Signature:
        """The signature of a name; an empty one stands for the default.

        Raises:
            Refusal: If there is none.
        """
        found = self.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            raise Refusal(
                400, f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
            )
        return found


def load_servable(name: str, version: int, folder: Path, *, merge_all: bool = False) -> Servable:
    """Loads a version, and refuses one that does not do what its labeler.json records.

    Loading runs the model's graph: load only what you trust.

    Args:
        name: of the model.
        version: its number.
        folder: with saved_model.pb, and labeler.json where `Labeler.export` wrote it.
        merge_all: whether signatures without a labeler.json take each row for itself too. What looks so need
            not be: a model may take the mean over all rows.

    Raises:
        ValueError: If it cannot be loaded, gives other labels than were recorded, or lies in the folder of a
            run that is not finished or that it is no part of.
        MissingExtraError: If its graph needs a package that is not installed.
    """
    if not (folder / GRAPH).is_file():
        raise ValueError(f"there is no {GRAPH}")
    check_model(folder)
    description = read_description(folder) if (folder / DESCRIPTION).is_file() else None
    if description is not None:
        import_requirements(description["requires"])
    try:
        signature_defs = _read_signature_defs(folder / GRAPH)
        model = tf.saved_model.load(os.fspath(folder))
        servable = Servable(
            name, version, model, signature_defs, description, merge_all or description is not None
        )
    except Exception as error:  # whatever TensorFlow makes of a damaged file
        raise ValueError(
            f"TensorFlow cannot load it ({type(error).__name__}: {first_sentence(error)})"
        ) from error
    if not servable.signatures:
        raise ValueError("it has no signatures")
    if description is not None:
        _check_recorded(servable, description)
    return servable


def _signature(name: str, function: Any, merges_rows: bool) -> Signature:
    specs, outputs = dict(function.structured_input_signature[1]), function.structured_outputs
    has_rows = merges_rows and bool(specs) and all(map(_is_open, (*specs.values(), *outputs.values())))
    return Signature(name, function, specs, tuple(sorted(outputs)), has_rows)


def _is_open(spec: Any) -> bool:
    """Whether there is a first dimension, of any size."""
    return spec.shape.rank is not None and spec.shape.rank >= 1 and spec.shape[0] is None


def _array(tensor: Any) -> np.ndarray:
    value = tensor.numpy()
    return (
        value
        if isinstance(value, np.ndarray)
        else np.array(value, object if tensor.dtype == tf.string else None)
    )


def _read_signature_defs(file: Path) -> dict[str, Any]:
    """The SignatureDefs of the graph tagged "serve", printed as TensorFlow Serving prints them."""
    from google.protobuf import json_format  # type: ignore[import-untyped]

    saved = saved_model_message(file.read_bytes())
    graph = next(graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags)
    return {
        key: json_format.MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for key, definition in sorted(graph.signature_def.items())
    }


def _check_recorded(servable: Servable, description: dict[str, Any]) -> None:
    """Runs the recorded examples, which also makes the first request as fast as the others."""
    try:
        examples = description["examples"]
        if not examples:
            return
        encoded = np.array([base64.b64decode(each["input"]) for each in examples], object)
        outputs = servable.signature(DEFAULT_SIGNATURE).call({"examples": encoded})
        recorded = np.array([each["probabilities"] for each in examples], np.float32)
        difference = float(np.abs(outputs["probabilities"] - recorded).max())
    except Exception as error:
        raise ValueError(
            f"its recorded examples cannot be run ({type(error).__name__}: {first_sentence(error)})"
        ) from error
    if not difference <= TOLERANCE:
        raise ValueError(
            f"the probabilities of its recorded examples are off by {difference:.2g}, at most {TOLERANCE} is "
            "allowed"
        )
