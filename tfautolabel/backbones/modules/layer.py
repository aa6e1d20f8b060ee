"""A Keras 3 layer around a SavedModel of TensorFlow Hub, with real fine-tuning.

`hub.KerasLayer` is a Keras 2 layer, which Keras 3 models refuse. `keras.layers.TFSMLayer` is only for
inference. In this layer, Keras and the module share the same variables, so an optimizer's updates reach both.
It also tells the module when it is training. The format is TensorFlow Hub's "reusable SavedModel",
https://www.tensorflow.org/hub/reusable_saved_models.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfautolabel._keras_internals import is_trainable, track
from tfautolabel.backbones.modules.files import load_module

SIGNATURES = ("serving_default", "image_feature_vector", "default")
"""Signatures to use if the root is not callable, in the order of preference.

The last two come from TensorFlow 1's module format. There, "default" of a classifier gives scores.
"""

OUTPUT_KEYS = ("feature_vector", "default", "pooled_output", "embedding", "embeddings")
"""The default choices among several outputs, in the order of preference."""


class SavedModelLayer(keras.layers.Layer):
    """Runs a SavedModel inside Keras models and trains it with them.

    A reusable SavedModel (with a callable root) trains when `trainable=True`. The optimizer updates its
    trainable variables. It is called with `training=True` if it was saved for that, so moving statistics
    follow the data and dropout works. A SavedModel that only has signatures is for inference only.

    Args:
        folder: the SavedModel's folder.
        output_key: the output to use of a module that returns a dictionary, or its position in a tuple. By
            default one of `OUTPUT_KEYS`, or the only entry of a dictionary.
        trainable: whether `fit` changes the module's variables.
        name: the layer's name. Characters that exports do not allow are replaced.

    Attributes:
        folder: the SavedModel's folder, as a string.
        output_key: as received.
        inference_only: True if the SavedModel has signatures only.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not a SavedModel or has nothing that can be called with one input, or if
            `trainable=True` is given for one that is for inference only.
        RuntimeError: If the SavedModel uses operations that are not available, such as TensorFlow Text's, or
            if Keras does not run on TensorFlow or no longer shares variables.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        output_key: str | int | None = None,
        trainable: bool = False,
        name: str | None = None,
        **layer_options: Any,
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "a SavedModel needs Keras on TensorFlow: KERAS_BACKEND must be tensorflow. "
                f"Received: {keras.backend.backend()}"
            )
        # The module's own types are used under any policy. A float16 input would match none of its functions.
        layer_options |= {"dtype": "float32", "autocast": False}
        super().__init__(trainable=False, name=name and _clean(name), **layer_options)
        self.supports_jit = False
        self.folder = os.fspath(folder)
        self.output_key = output_key
        self._module = load_module(Path(self.folder))
        self.inference_only = not callable(self._module)
        self._signature_key = _signature_key(self._module, self.folder) if self.inference_only else None
        self._training_values = () if self.inference_only else _training_values(self._module.__call__)
        self._share_variables()
        self.built = True
        self.trainable = trainable

    @property
    def trainable(self) -> bool:
        """Whether `fit` changes the module's variables.

        Raises:
            ValueError: If it is set to True on a SavedModel that is for inference only.
        """
        return is_trainable(self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value and self.inference_only:
            raise ValueError(
                f"{self.folder} has signatures only, which are for inference: trainable must be False. "
                f"Received: trainable={value}"
            )
        keras.layers.Layer.trainable.fset(self, value)

    @property
    def module_input(self) -> Any:
        """Returns the module's input, a `tf.TensorSpec`, such as (None, 224, 224, 3) float32 for images."""
        if self._signature_key is not None:
            return next(iter(self._signature.structured_input_signature[1].values()))
        return self._module.__call__.concrete_functions[0].structured_input_signature[0][0]

    @property
    def _signature(self) -> Any:
        return self._module.signatures[self._signature_key]

    def _share_variables(self) -> None:
        """Tracks a Keras variable for each variable of the module."""
        variables, trainable_ids = _module_variables(self._module)
        if self._signature_key is not None and not variables:
            variables = list(self._signature.variables)
        for index, variable in enumerate(variables):
            shared = keras.Variable(
                initializer=variable,
                dtype=variable.dtype,
                trainable=id(variable) in trainable_ids and not self.inference_only,
                name=f"variable{index}_{_clean(variable.name.split(':')[0])}",
            )
            # Keras uses a tf.Variable without a copy, although it does not promise this. Training a copy
            # would silently have no effect.
            if shared.value is not variable:
                raise RuntimeError(
                    f"Keras {keras.__version__} copies a SavedModel's variables instead of sharing them: "
                    "use the Keras versions that tfautolabel's setup.cfg names"
                )
            track(self, shared)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Runs the module. `training` only has an effect while the layer is trainable, as in batch norm."""
        learning = bool(training) and self.trainable
        if learning:
            for loss in getattr(self._module, "regularization_losses", ()):
                self.add_loss(loss())
        return self._pick_output(self._run(inputs, learning))

    def _run(self, inputs: tf.Tensor, learning: bool) -> tf.Tensor:
        if self._signature_key is not None:
            (argument,) = self._signature.structured_input_signature[1]
            return self._signature(**{argument: inputs})
        if not self._training_values:
            return self._module(inputs)
        # A module saved for inference only still needs the argument.
        value = learning if learning in self._training_values else self._training_values[0]
        return self._module(inputs, training=value)

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,  # noqa: ARG002
    ) -> keras.KerasTensor:
        """Returns the output's shape and type, from tracing the module on a symbolic input."""
        specs = keras.tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), inputs)
        try:
            traced = tf.function(lambda x: self._run(x, learning=False)).get_concrete_function(specs)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.folder} cannot be called with this input; it takes {self.module_input}. "
                f"Received: {inputs}"
            ) from error
        output = self._pick_output(traced.structured_outputs)
        return keras.KerasTensor(output.shape, output.dtype.name)

    def _pick_output(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the output that the layer gives."""
        if not isinstance(outputs, Mapping):
            if self.output_key is None and not isinstance(outputs, (list, tuple)):
                return outputs
            if isinstance(outputs, (list, tuple)) and isinstance(self.output_key, int):
                if 0 <= self.output_key < len(outputs):
                    return outputs[self.output_key]
                valid = f"in [0, {len(outputs) - 1}] for {self.folder}, which returns a tuple"
            else:
                valid = f"a place in a tuple, or None for a single output; {self.folder} returns "
                valid += f"no dictionary but {type(outputs).__name__}"
            raise ValueError(f"output_key must be {valid}. Received: output_key={self.output_key!r}")
        candidates = OUTPUT_KEYS if self.output_key is None else (self.output_key,)
        for key in candidates:
            if key in outputs:
                return outputs[key]
        if self.output_key is None and len(outputs) == 1:
            return next(iter(outputs.values()))
        raise ValueError(
            f"output_key must be one of {sorted(outputs)} for {self.folder}. "
            f"Received: output_key={self.output_key!r}"
        )

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the layer, as long as the folder exists."""
        own = {"folder": self.folder, "output_key": self.output_key, "trainable": self.trainable}
        return {"name": self.name, **own}


def _clean(name: str) -> str:
    """Returns a name that Keras and `model.export` accept: no slash, no colon, no leading underscore."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_.-") or "saved_model"


def _signature_key(module: object, folder: str) -> str:
    """Returns the key of the signature to run, which must have one input."""
    signatures = getattr(module, "signatures", {})
    for key in SIGNATURES:
        if key in signatures:
            inputs = sorted(signatures[key].structured_input_signature[1])
            if len(inputs) != 1:
                raise ValueError(f"signature {key} of {folder} must have one input. Received: {inputs}")
            return key
    raise ValueError(
        f"a SavedModel must have a root that can be called or one of the signatures {list(SIGNATURES)}. "
        f"Received: {folder} with signatures {sorted(signatures)}"
    )


def _training_values(function: Any) -> tuple[bool, ...]:
    """Returns the values of `training` that a loaded function was saved for; none without that argument."""
    specification = function.function_spec.fullargspec
    values = set()
    for concrete in function.concrete_functions:
        positional, named = concrete.structured_input_signature
        # In some TensorFlow versions `args` contains self for a method. The signature never does.
        names = [name for name in specification.args if name != "self"]
        values.add(({**dict(zip(names, positional, strict=False)), **named}).get("training"))
    return tuple(sorted(value for value in values if isinstance(value, bool)))


def _module_variables(module: object) -> tuple[list[Any], set[int]]:
    """Returns all variables of a loaded module, and the `id`s of the trainable ones.

    A reusable SavedModel lists its variables. A plain saved `tf.Module` lists none after loading, so this
    function searches for them.
    """
    if hasattr(module, "variables"):
        variables = list({id(variable): variable for variable in module.variables}.values())
        return variables, {id(variable) for variable in getattr(module, "trainable_variables", ())}
    found = [part for part in tf.train.TrackableView(module).descendants() if isinstance(part, tf.Variable)]
    return found, {id(variable) for variable in found if variable.trainable and variable.dtype.is_floating}
