"""Removes from a SavedModel what depends on the writing process, so that one model gives one file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tfautolabel._model_folder import GRAPH
from tfautolabel._tensorflow_internals import saved_model_message

_NUMBERED = re.compile(r"(.*_)(\d+)", re.DOTALL)
_CAPTURED = re.compile(r"(.*/)(\d+)", re.DOTALL)
_UNUSED = re.compile(r"(.*_)\d+(___redundant_placeholder\d+)", re.DOTALL)
"""An unused argument of a loop's condition. Its name contains the condition's name and number."""
_FILLING = re.compile(r"(?<=key_value_init)\d+")
"""The count in the name of the operation that fills a lookup table."""
_WIRE = re.compile(r"(\^?)([^:]*)((?::.*)?)", re.DOTALL)
"""A node's input: ^ if it is only a control dependency, the name of a node, and the output's number."""


def settle_function_names(folder: Path) -> None:
    """Numbers a graph's functions from 0 and sorts them by name.

    TensorFlow ends their names with a count of all graphs in the process, and sorts them by a hash of the
    name. The new numbers keep the order of the old ones.

    Args:
        folder: a SavedModel's folder. Its fingerprint.pb is removed. It would hold the hash of the old file
            and a random number, and no loader needs it.

    Raises:
        OSError: If the file cannot be written.
    """
    model = saved_model_message((folder / GRAPH).read_bytes())
    for graph in model.meta_graphs:
        _settle(graph)
    # This is the only option for the order of maps in TensorFlow's messages.
    (folder / GRAPH).write_bytes(model.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def settled(names: Iterable[str]) -> dict[str, str]:
    """Maps old names to new ones.

    Examples:
        >>> settled(["body_107", "cond_95", "plain"])
        {'cond_95': 'cond_0', 'body_107': 'body_1'}
    """
    return _ranked(names, _NUMBERED, "")


def _settle(graph: Any) -> None:
    library = graph.graph_def.library
    names = settled(function.signature.name for function in library.function)
    for function in library.function:
        function.signature.name = names.get(function.signature.name, function.signature.name)
        _rename_attributes(function.attr, names)
        for node in function.node_def:
            _rename_node(node, names)
        _settle_captured(function)
    for node in graph.graph_def.node:
        _rename_node(node, names)
    for gradient in library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    in_order = sorted(library.function, key=lambda function: function.signature.name)
    del library.function[:]
    library.function.extend(in_order)
    _rename_objects(graph.object_graph_def, names)
    _settle_tables(graph)


def _settle_tables(graph: Any) -> None:
    """Numbers lookup tables and the operations that fill them. A loader makes the names unique per model."""
    functions = graph.graph_def.library.function
    within = [node for function in functions for node in function.node_def]
    named = [node for node in (*graph.graph_def.node, *within) if "shared_name" in node.attr]
    tables = _numbers(node.attr["shared_name"].s.decode("utf-8", "replace") for node in named)
    for node in named:
        name = node.attr["shared_name"].s.decode("utf-8", "replace")
        if name in tables:
            node.attr["shared_name"].s = tables[name].encode()
    fillings = _numbers(found[0] for node in within for found in _FILLING.finditer(node.name))
    for function in functions:
        _rename_within(
            function, lambda name: _FILLING.sub(lambda found: fillings.get(found[0], found[0]), name)
        )


def _numbers(counts: Iterable[str]) -> dict[str, str]:
    """Maps the counts that are numbers to their ranks."""
    return {
        name: str(rank)
        for rank, name in enumerate(sorted({name for name in counts if name.isdecimal()}, key=int))
    }


def _settle_captured(function: Any) -> None:
    """Numbers the captured tensors in a function, whose names also contain a count of the process."""
    names = _ranked((node.name for node in function.node_def), _CAPTURED, "")
    # As arguments they have a different form. "arg" makes the new names different from those of nodes.
    arguments = [argument.name for argument in function.signature.input_arg]
    names |= _ranked(arguments, _NUMBERED, "arg")
    names |= {name: found[1] + found[2] for name in arguments if (found := _UNUSED.fullmatch(name))}
    _rename_within(function, lambda name: names.get(name, name))
    for place, argument in function.arg_attr.items():
        # This is for debugging. For a captured tensor it is the same count.
        specified = argument.attr.get("_user_specified_name")
        if specified is not None and specified.s.isdigit():
            argument.attr["_user_specified_name"].s = str(place).encode()


def _rename_within(function: Any, new: Callable[[str], str]) -> None:
    """Renames the arguments and nodes in a function."""
    for argument in function.signature.input_arg:
        argument.name = new(argument.name)
    for node in function.node_def:
        _rename_wires(node, new)
    function.signature.control_output[:] = map(new, function.signature.control_output)
    for outputs in (function.ret, function.control_ret):
        wires = {key: _rewired(wire, new) for key, wire in outputs.items()}
        outputs.clear()
        outputs.update(wires)
    renamed = {new(key): wire for key, wire in function.control_ret.items()}
    function.control_ret.clear()
    function.control_ret.update(renamed)


def _rename_wires(node: Any, new: Callable[[str], str]) -> None:
    node.name = new(node.name)
    node.input[:] = [_rewired(wire, new) for wire in node.input]


def _ranked(names: Iterable[str], pattern: re.Pattern[str], mark: str) -> dict[str, str]:
    """Maps old names to names with the rank of their number."""
    found = [match for name in names if (match := pattern.fullmatch(name))]
    in_order = sorted(found, key=lambda match: (int(match[2]), match[1]))
    return {match[0]: f"{match[1]}{mark}{rank}" for rank, match in enumerate(in_order)}


def _rewired(wire: str, new: Callable[[str], str]) -> str:
    control, name, output = _WIRE.fullmatch(wire).groups()  # type: ignore[union-attr] # it takes anything
    return f"{control}{new(name)}{output}"


def _rename_node(node: Any, names: dict[str, str]) -> None:
    if node.op in names:
        node.op = names[node.op]
    _rename_attributes(node.attr, names)
    debug = node.experimental_debug_info.original_func_names
    for number, name in enumerate(debug):
        debug[number] = names.get(name, name)


def _rename_attributes(attributes: Any, names: dict[str, str]) -> None:
    for value in attributes.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            value.func.name = names.get(value.func.name, value.func.name)
            _rename_attributes(value.func.attr, names)
        elif kind == "list":
            for function in value.list.func:
                function.name = names.get(function.name, function.name)
                _rename_attributes(function.attr, names)
        elif kind == "s" and (name := value.s.decode("utf-8", "replace")) in names:
            value.s = names[name].encode()


def _rename_objects(objects: Any, names: dict[str, str]) -> None:
    for old in [name for name in objects.concrete_functions if name in names]:
        content = type(objects.concrete_functions[old])()
        content.CopyFrom(objects.concrete_functions[old])
        del objects.concrete_functions[old]
        # "\0" keeps new names apart from old ones, so that a copy is not mistaken for an old entry.
        objects.concrete_functions[f"\0{names[old]}"].CopyFrom(content)
    for marked in [name for name in objects.concrete_functions if name.startswith("\0")]:
        objects.concrete_functions[marked[1:]].CopyFrom(objects.concrete_functions[marked])
        del objects.concrete_functions[marked]
    for node in objects.nodes:
        if node.HasField("function"):
            used = node.function.concrete_functions
            used[:] = [names.get(name, name) for name in used]
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = names.get(bare.concrete_function_name, bare.concrete_function_name)
