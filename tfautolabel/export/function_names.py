"""Takes out of a SavedModel what depends on the process that wrote it, so that one model gives one file."""

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
"""What a loop's condition is given and does not look at, named after the condition, its number included."""
_FILLING = re.compile(r"(?<=key_value_init)\d+")
"""The count in the name of what fills a lookup table."""
_WIRE = re.compile(r"(\^?)([^:]*)((?::.*)?)", re.DOTALL)
"""What a node takes: a node's name, before it ^ where it only waits for it, behind it which output."""


def settle_function_names(folder: Path) -> None:
    """Numbers the functions of a graph from 0 and orders them by name.

    TensorFlow ends their names with a number that counts all graphs which the process has made, and orders
    them by a hash of that. Their order among each other stays.

    Args:
        folder: of a SavedModel. Its fingerprint.pb goes: it would hold the hash of the former file and a
            random number, and no loader needs it.

    Raises:
        OSError: If the file cannot be written.
    """
    model = saved_model_message((folder / GRAPH).read_bytes())
    for graph in model.meta_graphs:
        _settle(graph)
    # TensorFlow's kind of message knows no option for the order of maps but this.
    (folder / GRAPH).write_bytes(model.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def settled(names: Iterable[str]) -> dict[str, str]:
    """Old names to new ones.

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
    """Numbers lookup tables and what fills them; a loader adds to a table's name what tells models apart."""
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
    """Those that are numbers to their ranks."""
    return {
        name: str(rank)
        for rank, name in enumerate(sorted({name for name in counts if name.isdecimal()}, key=int))
    }


def _settle_captured(function: Any) -> None:
    """Numbers captured tensors within a function, which are named by a count over the process too."""
    names = _ranked((node.name for node in function.node_def), _CAPTURED, "")
    # As arguments they have another form; "arg" keeps the new names apart from those of nodes.
    arguments = [argument.name for argument in function.signature.input_arg]
    names |= _ranked(arguments, _NUMBERED, "arg")
    names |= {name: found[1] + found[2] for name in arguments if (found := _UNUSED.fullmatch(name))}
    _rename_within(function, lambda name: names.get(name, name))
    for place, argument in function.arg_attr.items():
        # For people who debug; of a captured tensor it is the same count.
        specified = argument.attr.get("_user_specified_name")
        if specified is not None and specified.s.isdigit():
            argument.attr["_user_specified_name"].s = str(place).encode()


def _rename_within(function: Any, new: Callable[[str], str]) -> None:
    """Gives what is in a function other names."""
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
    """Old names to names with their number's rank."""
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
        # New names never meet old ones here: a copy under a new name may not be taken for an old one.
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
