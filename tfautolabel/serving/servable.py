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
        function: takes tensors by name and returns tensors by name.
        inputs: name to specification; strings are (…) object arrays of bytes.
        outputs: sorted names.
        has_rows: whether the function handles each row separately, so that requests may be merged and split.
    """

    name: str
    function: Any
    inputs: dict[str, tf.TensorSpec]
    outputs: tuple[str, ...]
    has_rows: bool

    def call(self, arrays: Arrays) -> Arrays:
        """Runs the function and returns its outputs; blocks until it is done.

        Raises:
            tf.errors.OpError: If the model does not accept the values.
            ValueError: If the model does not accept their shapes.
        """
        tensors = {
            name: tf.constant(value, self.inputs[name].dtype, shape=value.shape)
            for name, value in arrays.items()
        }
        return {name: _array(tensor) for name, tensor in self.function(**tensors).items()}


class Servable:
    """A version of a model.

    Attributes:
        name: the model's name.
        version: the version number.
        signatures: name to signature.
        signature_defs: the signatures in the protocol's metadata, as JSON values.
        description: the content of labeler.json, or None for a SavedModel from another source.
        merges_rows: whether its signatures are known to handle each row separately.
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
        self._model = model  # functions do not keep their variables alive
        self.signatures = {
            key: _signature(key, function, merges_rows) for key, function in sorted(model.signatures.items())
        }

    def signature(self, name: str) -> Signature:
        """Returns the signature with a name; an empty name stands for the default one.

        Raises:
            Refusal: If there is no such signature.
        """
        found = self.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            raise Refusal(
                400, f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
            )
        return found


def load_servable(name: str, version: int, folder: Path, *, merge_all: bool = False) -> Servable:
    """Loads a version and checks that it gives the results recorded in its labeler.json.

    Loading runs the model's graph: load only what you trust.

    Args:
        name: the model's name.
        version: the version number.
        folder: holds saved_model.pb, and labeler.json if `Labeler.export` wrote it.
        merge_all: whether signatures without a labeler.json count as handling each row separately too. This
            cannot be seen from a signature: a model may take the mean over all rows.

    Raises:
        ValueError: If the version cannot be loaded, or gives other labels than the recorded ones, or lies in
            the folder of a run that is not finished or that it does not belong to.
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
    except Exception as error:  # TensorFlow may raise anything for a damaged file
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
    """Returns whether there is a first dimension, and it may have any size."""
    return spec.shape.rank is not None and spec.shape.rank >= 1 and spec.shape[0] is None


def _array(tensor: Any) -> np.ndarray:
    value = tensor.numpy()
    return (
        value
        if isinstance(value, np.ndarray)
        else np.array(value, object if tensor.dtype == tf.string else None)
    )


def _read_signature_defs(file: Path) -> dict[str, Any]:
    """Returns the SignatureDefs of the graph with tag "serve", printed as TensorFlow Serving prints them."""
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
    """Runs and checks the recorded examples; this also makes the first request as fast as the others."""
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
