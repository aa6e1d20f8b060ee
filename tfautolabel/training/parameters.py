"""Selects the parameters of a backbone to train, and cuts a network before the first of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import keras
import numpy as np

from tfautolabel._keras_internals import (
    all_layers,
    call_again,
    inner_layers,
    is_functional,
    let_train,
    nodes,
    own_parameters,
)
from tfautolabel.backbones.modules.layer import SavedModelLayer

NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)

SCOPES = "head, norm, first:n or last:n with n >= 1, or all"
"""The valid scopes, for messages."""

_NUMBERED = re.compile(r"(.*?block_?\d+[a-z]?|.*?\d+[a-z]?)(?:_|$)")
_SHARED_NAME = re.compile(r"^variable\d+_")
_NORMALIZATION_NAME = re.compile(r"gamma|beta|norm|_bn_", re.IGNORECASE)


class NothingMovesError(ValueError):
    """No parameter of a network can be trained as asked.

    Attributes:
        inference_only: whether the reason is that the network was saved for inference only.
    """

    def __init__(self, scope: str, network: str, inference_only: bool) -> None:
        why = "is for inference only" if inference_only else "has no such parameters"
        super().__init__(
            f"scope must name parameters that can move. Received: {scope!r} for {network}, which {why}"
        )
        self.inference_only = inference_only


class Parameter(NamedTuple):
    """One weight of a network.

    Attributes:
        variable: the weight itself.
        block: the name of the part of the network that it belongs to.
        normalizes: whether it scales or shifts the output of a normalisation.
    """

    variable: keras.Variable
    block: str
    normalizes: bool


def parameters(network: keras.Model) -> list[Parameter]:
    """Returns a network's weights in the order of the data flow, frozen or not, without statistics.

    Layers whose names agree up to their number ("block3_expand", "block3_project") form a block. Without a
    number, the name up to the first underscore counts. The variables of a SavedModel are grouped in the same
    way by their own names.

    Args:
        network: any model.
    """
    found: dict[int, Parameter] = {}
    for layer in _outer_layers(network):
        opaque = isinstance(layer, SavedModelLayer)
        for owner, variable in _weights(layer):
            name = _SHARED_NAME.sub("", variable.name) if opaque else layer.name
            match = _NUMBERED.match(name)
            block = match[1] if match else name.partition("_")[0]
            normalizes = (
                _NORMALIZATION_NAME.search(name) is not None if opaque else isinstance(owner, NORMALIZATIONS)
            )
            found.setdefault(id(variable), Parameter(variable, block, normalizes))
    return list(found.values())


def select_parameters(network: keras.Model, scope: str) -> dict[int, int]:
    """Returns the weights to train.

    Args:
        network: any model.
        scope: "head" for none, "norm" for those of normalisations, "first:n" and "last:n" for the first and
            the last n blocks, "all".

    Returns:
        The `id` of each variable to train, mapped to the number of blocks after its own: 0 in the last block.

    Raises:
        ValueError: If the scope is not one of these.
        NothingMovesError: If the network has no such parameters; it is a ValueError too.
    """
    some = re.fullmatch(r"(first|last):([1-9]\d*)", scope)
    if scope not in ("head", "norm", "all") and not some:
        raise ValueError(f"scope must be {SCOPES}. Received: scope={scope!r}")
    if scope == "head":
        return {}
    known = parameters(network)
    names = list(dict.fromkeys(parameter.block for parameter in known))
    behind = {name: len(names) - 1 - place for place, name in enumerate(names)}
    count = int(some[2]) if some else len(names)
    wanted = set(names[:count] if some and some[1] == "first" else names[-count:])
    chosen = {
        id(parameter.variable): behind[parameter.block]
        for parameter in known
        if parameter.block in wanted and (scope != "norm" or parameter.normalizes)
    }
    if not chosen:
        raise NothingMovesError(scope, network.name, _is_inference_only(network))
    return chosen


@contextmanager
def moving(network: keras.Model, chosen: dict[int, int], statistics: bool) -> Iterator[None]:
    """Makes the chosen parameters trainable while the block runs, and then freezes everything again.

    Args:
        network: any model.
        chosen: the `id`s of the variables to train.
        statistics: whether batch norms in the trained part update their moving statistics.
    """
    layers = all_layers(network)
    try:
        for layer in layers:
            layer.trainable = True
        for layer in layers:
            own = own_parameters(layer)
            for variable in own:
                variable.trainable = id(variable) in chosen
            # A trainable batch norm would use the batch's statistics and update its own.
            if isinstance(layer, NORMALIZATIONS[0]) and not (statistics and any(v.trainable for v in own)):
                let_train(layer, any(variable.trainable for variable in own))
        yield
    finally:
        network.trainable = False
        for layer in layers:
            layer.trainable = False


class Cut(NamedTuple):
    """A network in two parts.

    Attributes:
        before: the frozen part, from the network's inputs to a list of tensors; None if nothing comes before
            the trained part.
        behind: the part from these tensors to the network's output; None if nothing is trained.
    """

    before: keras.Model | None
    behind: keras.Model | None


def cut_network(network: keras.Model, chosen: dict[int, int]) -> Cut:
    """Cuts a network before the first trained parameter, so that the part before it is computed once.

    Args:
        network: any model; only functional ones can be cut.
        chosen: the `id`s of the variables that move.
    """
    if not chosen:
        return Cut(network, None)
    if not is_functional(network):
        return Cut(None, network)
    moved: set[int] = set()
    frontier: dict[int, keras.KerasTensor] = {}
    for node in nodes(network):
        inputs = [] if node.is_input else node.input_tensors
        if any(id(tensor) in moved for tensor in inputs) or _holds(node.operation, chosen):
            moved.update(id(tensor) for tensor in node.outputs)
            frontier.update((id(t), t) for t in inputs if id(t) not in moved)
    tensors = list(frontier.values())
    if {id(tensor) for tensor in tensors} <= {id(tensor) for tensor in network.inputs}:
        return Cut(None, network)
    before = keras.Model(network.inputs, tensors, name=f"{network.name}_before")
    return Cut(before, _from_there_on(network, tensors))


def _from_there_on(network: keras.Model, tensors: list[keras.KerasTensor]) -> keras.Model:
    """Returns the part of a functional network after some of its tensors, with new inputs.

    A `keras.Model` could be made from the tensors themselves. But if one of them is an input of the network,
    Keras then marks it as part of the new model, and the network can no longer be saved.
    """
    inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in tensors]
    known = {id(tensor): given for tensor, given in zip(tensors, inputs, strict=True)}
    for node in nodes(network):
        if node.is_input or any(id(tensor) in known for tensor in node.outputs):
            continue
        if all(id(tensor) in known for tensor in node.input_tensors):
            outputs = keras.tree.flatten(call_again(node, known))
            known.update((id(old), new) for old, new in zip(node.outputs, outputs, strict=True))
    return keras.Model(inputs, known[id(network.outputs[0])], name=f"{network.name}_behind")


class Snapshot:
    """The values of variables at one moment.

    Args:
        variables: the variables whose values are kept.
        values: values from another moment; by default the current ones.
    """

    def __init__(
        self, variables: Sequence[keras.Variable], values: Sequence[np.ndarray] | None = None
    ) -> None:
        present = [variable.numpy() for variable in variables] if values is None else values
        self._values = list(zip(variables, present, strict=True))

    def restore(self) -> None:
        """Restores all values."""
        for variable, value in self._values:
            variable.assign(value)

    @property
    def pairs(self) -> list[tuple[keras.Variable, np.ndarray]]:
        """Returns each variable with its value."""
        return list(self._values)


def _weights(layer: keras.layers.Layer) -> Iterator[tuple[keras.layers.Layer, keras.Variable]]:
    """Yields the weights of a layer and of the layers within it, including frozen ones."""
    for variable in own_parameters(layer):
        yield layer, variable
    for inner in inner_layers(layer):
        yield from _weights(inner)


def _outer_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers in the order of the data flow; for a nested model, its layers instead of itself."""
    for layer in network.layers:
        if isinstance(layer, keras.Model) and layer.layers:
            yield from _outer_layers(layer)
        else:
            yield layer


def _holds(operation: object, chosen: dict[int, int]) -> bool:
    return isinstance(operation, keras.layers.Layer) and any(
        id(variable) in chosen for _, variable in _weights(operation)
    )


def _is_inference_only(network: keras.Model) -> bool:
    return any(isinstance(layer, SavedModelLayer) and layer.inference_only for layer in network.layers)
