"""Fingerprints of functions, classes and objects: strings that change with what these do.

A continued search takes over the trials of an earlier process. This is right only if the same code built the
heads then and now, with the same values in its closure, its defaults, its attributes and the names of its
module that it uses. Code of installed packages is identified by name and version.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import json
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tfautolabel._version import __version__

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_BUILT_IN = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
_OF_EVERY_CLASS = frozenset(
    {"__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__"}
)
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})


class UnknowableError(ValueError):
    """A value that cannot be compared with an earlier one."""


def fingerprint_of(value: object) -> str:
    """Returns 64 hexadecimal digits that change with a value and with the code of functions in it.

    If the value has a method `fingerprint`, the result of this method represents it.

    Args:
        value: for example a function that builds heads, or a `keras_tuner.HyperModel`.

    Raises:
        UnknowableError: If the value contains something that cannot be compared with an earlier one, such as
            an open file.
    """
    return hashlib.sha256(json.dumps(_described(value, {}, "it")).encode()).hexdigest()


def _described(value: object, seen: dict[int, int], place: str) -> Any:
    """Describes a value as lists and strings, ready for JSON.

    Args:
        value: any value.
        seen: the `id`s of the values being described, each with its number; this ends cycles.
        place: where the value was found, for the error message.
    """
    if isinstance(value, _PLAIN):
        return [type(value).__name__, repr(value)]
    if id(value) in seen:
        return ["again", seen[id(value)]]
    seen[id(value)] = len(seen)
    for accepts, describe in _KINDS:
        if accepts(value):
            return describe(value, seen, place)
    return _object(value, seen, place)


def _by_own_word(value: Any, seen: dict[int, int], place: str) -> Any:  # noqa: ARG001
    # Leaves out the class: a script's class is in __main__, but in another module if the script is imported.
    return ["own", str(value.fingerprint())]


def _items(values: Any, seen: dict[int, int], place: str) -> Any:
    return [type(values).__name__, *(_described(value, seen, place) for value in values)]


def _unordered(values: Any, seen: dict[int, int], place: str) -> Any:
    described = [json.dumps(_described(value, dict(seen), place)) for value in values]
    return [type(values).__name__, *sorted(described)]


def _mapping(values: Mapping[Any, Any], seen: dict[int, int], place: str) -> Any:
    return [
        type(values).__name__,
        *(
            [_described(key, seen, place), _described(v, seen, f"{place}[{key!r}]")]
            for key, v in values.items()
        ),
    ]


def _array(value: np.ndarray, seen: dict[int, int], place: str) -> Any:  # noqa: ARG001
    if value.dtype.hasobject:
        raise UnknowableError(f"{place} is an array of objects")
    content = np.ascontiguousarray(value)
    return ["array", value.dtype.str, list(value.shape), hashlib.sha256(content.tobytes()).hexdigest()]


def _function(value: types.FunctionType, seen: dict[int, int], place: str) -> Any:  # noqa: ARG001
    if _is_installed(value.__module__):
        return _named(value)
    name = f"the function {value.__qualname__}"
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    used = {
        key: value.__globals__[key] for key in sorted(set(_names(value.__code__))) if key in value.__globals__
    }
    return [
        "function",
        _code(value.__code__),
        _described(list(value.__defaults__ or ()), seen, f"a default of {name}"),
        _described(dict(sorted((value.__kwdefaults__ or {}).items())), seen, f"a default of {name}"),
        [[key, _cell(cell, seen, f"{key}, which {name} uses,")] for key, cell in cells],
        [[key, _described(each, seen, f"{key}, which {name} uses,")] for key, each in used.items()],
    ]


def _cell(cell: types.CellType, seen: dict[int, int], place: str) -> Any:
    try:
        return _described(cell.cell_contents, seen, place)
    except ValueError as error:
        if isinstance(error, UnknowableError):
            raise
        return ["empty"]  # a name that gets its value later


def _code(code: types.CodeType) -> Any:
    """Describes what code does, without its position in the file."""
    constants = [_code(one) if isinstance(one, types.CodeType) else _constant(one) for one in code.co_consts]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars), list(code.co_cellvars)]
    return ["code", sys.version_info[:2], code.co_code.hex(), counts, names, constants]


def _constant(value: object) -> Any:
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _names(code: types.CodeType) -> Iterator[str]:
    """Yields the module-level names that code uses, including code within it."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _method(value: types.MethodType, seen: dict[int, int], place: str) -> Any:
    return ["method", _described(value.__func__, seen, place), _described(value.__self__, seen, place)]


def _partial(value: functools.partial[Any], seen: dict[int, int], place: str) -> Any:
    parts = [value.func, value.args, dict(sorted(value.keywords.items()))]
    return ["partial", *(_described(part, seen, place) for part in parts)]


def _wrapper(value: Any, seen: dict[int, int], place: str) -> Any:
    """Describes a class method, a static method or a property."""
    inner = [value.fget, value.fset] if isinstance(value, property) else [value.__func__]
    return [type(value).__name__, *(_described(each, seen, place) for each in inner)]


def _class(value: type, seen: dict[int, int], place: str) -> Any:
    if _is_installed(value.__module__):
        return _named(value)
    own = {key: each for key, each in vars(value).items() if key not in _OF_EVERY_CLASS}
    parts = [[key, _described(each, seen, f"{value.__name__}.{key}")] for key, each in sorted(own.items())]
    return ["class", value.__qualname__, parts, [_described(base, seen, place) for base in value.__bases__]]


def _keras(value: Any, seen: dict[int, int], place: str) -> Any:
    """Describes a layer, a model or an optimizer by its configuration and weights."""
    weights = value.get_weights() if hasattr(value, "get_weights") else []
    try:
        config = _without_names(json.dumps(value.get_config(), sort_keys=True, default=str))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UnknowableError(f"{place} is a {_name(type(value))}, which cannot describe itself") from error
    arrays = [_array(np.asarray(weight), seen, place) for weight in weights]
    return ["weights", _described(type(value), seen, place), config, arrays]


def _without_names(config: str) -> str:
    """Replaces names in a configuration by numbers, because Keras counts names up: adam, adam_1."""
    for number, name in enumerate(dict.fromkeys(re.findall(r'"name": ("(?:[^"\\]|\\.)*")', config))):
        config = config.replace(name, f'"#{number}"')
    return config


def _object(value: object, seen: dict[int, int], place: str) -> Any:
    """Describes an object by the parts that a copy would be made of."""
    kind = _name(type(value))
    try:
        made_of = value.__reduce_ex__(4)
    except Exception as error:  # an object that cannot be copied may raise anything
        raise UnknowableError(f"{place} is a {kind}") from error
    if isinstance(made_of, str):
        return ["named", kind, made_of]
    make, given, state, *items = [*made_of, None, None, None][:5]
    parts = [make, given, state, *(None if each is None else list(each) for each in items)]
    return ["object", *(_described(part, seen, f"a part of a {kind}") for part in parts)]


def _named(value: object) -> Any:
    """Describes an object of an installed package by its name and the package's version."""
    package = value.__module__.partition(".")[0]
    version = (
        __version__ if package == "tfautolabel" else getattr(sys.modules.get(package), "__version__", "")
    )
    return ["named", _name(value), str(version)]


def _name(value: object) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _is_installed(module: str | None) -> bool:
    """Returns whether a module is from the standard library or a package; else it is the user's own."""
    package = (module or "").partition(".")[0]
    if package in ("tfautolabel", "builtins") or package in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    if file is None:
        return False
    return "site-packages" in file or "dist-packages" in file or file.startswith(_INSTALLED)


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any, dict[int, int], str], Any]], ...] = (
    (lambda v: not isinstance(v, type) and callable(getattr(v, "fingerprint", None)), _by_own_word),
    (lambda v: isinstance(v, types.ModuleType), lambda v, *_: ["module", v.__name__]),
    (lambda v: isinstance(v, (list, tuple)), _items),
    (lambda v: isinstance(v, (set, frozenset)), _unordered),
    (lambda v: isinstance(v, (dict, types.MappingProxyType)), _mapping),
    (lambda v: isinstance(v, (np.ndarray, np.generic)), lambda v, *rest: _array(np.asarray(v), *rest)),
    (lambda v: isinstance(v, types.FunctionType), _function),
    (lambda v: isinstance(v, types.MethodType), _method),
    (lambda v: isinstance(v, _BUILT_IN), lambda v, *_: ["built-in", _name(v)]),
    (lambda v: isinstance(v, functools.partial), _partial),
    (lambda v: isinstance(v, (classmethod, staticmethod, property)), _wrapper),
    (lambda v: isinstance(v, type), _class),
    (lambda v: hasattr(v, "get_config"), _keras),
)
"""Tests for the kind of a value, and how to describe each kind; the first test that fits counts."""
