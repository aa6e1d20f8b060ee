"""Reads the tensors of a PyTorch checkpoint without PyTorch and without unpickling anything.

A checkpoint is a pickle, and a pickle is a program. This file does not run it. It reads the opcodes and
executes only those that build dictionaries, lists and tensors. Tensors are the only objects. It never imports
or calls a name in the file, so a malicious file only causes an error.

It reads both layouts: the legacy one (five pickles in a row, then the raw storages) and the zip archive that
torch.save writes since version 1.6. torch/serialization.py defines the formats.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_DTYPES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
    "torch BoolStorage": "?",
}
_GLOBALS = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *_DTYPES,
)
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ZIP_START = b"PK\x03\x04"

_MAX_DEPTH = 16
_MAX_ENTRIES = 1_000_000
"""The most entries of nested dictionaries. A few that contain each other can unfold to billions."""


@dataclass(frozen=True)
class _Global:
    """A name in the pickle. It is never resolved to an object."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A flat array whose bytes are elsewhere in the file."""

    key: str
    dtype: np.dtype
    elements: int


@dataclass(frozen=True)
class _Tensor:
    """A strided view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """The mark that a pickle's MARK opcode puts on the stack."""


_MARK = _Mark()


def read_torch_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads every tensor of a checkpoint.

    Args:
        path: a .pt or .pth file that torch.save wrote.

    Returns:
        Each tensor under its name. The keys of nested dictionaries and lists are joined with dots. Everything
        that is not a tensor is left out. The arrays are read-only.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a checkpoint, is damaged, or holds anything but numbers, text,
            dictionaries, lists and tensors of NumPy's types.
    """
    data = Path(path).read_bytes()
    try:
        if data.startswith(_ZIP_START):
            root, storages = _read_zip(data)
        else:
            root, storages = _read_legacy(data)
        return {name: _as_array(tensor, storages) for name, tensor in _named_tensors(root)}
    except (ValueError, struct.error, MemoryError, OverflowError) as error:
        raise ValueError(
            f"{path} is not a PyTorch checkpoint that can be read: {str(error)[:300]}"
        ) from error


def _read_legacy(data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    file = io.BytesIO(data)
    if _Interpreter(file).run() != _LEGACY_MAGIC:
        raise ValueError("it does not begin as one")
    version = _Interpreter(file).run()
    if version != _LEGACY_PROTOCOL:
        raise ValueError(f"its layout must be version {_LEGACY_PROTOCOL}. Received: {_shorten(version)}")
    system = _Interpreter(file).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    interpreter = _Interpreter(file)
    root = interpreter.run()
    keys = _Interpreter(file).run()
    if not isinstance(keys, list):
        raise ValueError("the list of its storages is missing")
    storages = {}
    for key in keys:
        storage = interpreter.storages.get(key) if isinstance(key, str) else None
        header = file.read(8)
        if storage is None or len(header) != 8 or struct.unpack("<q", header)[0] != storage.elements:
            raise ValueError(f"storage {_shorten(key)} does not agree with its description")
        storages[storage.key] = _storage_array(storage, file.read(storage.elements * storage.dtype.itemsize))
    return root, storages


def _read_zip(data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ValueError(f"it must hold one data.pkl. Received: {len(pickles)}")
            prefix = pickles[0].removesuffix("data.pkl")
            if f"{prefix}byteorder" in archive.namelist():
                order = _read_stored(archive, f"{prefix}byteorder")
                if order != b"little":
                    raise ValueError(f"its numbers are not little-endian. Received: {_shorten(order)}")
            interpreter = _Interpreter(io.BytesIO(_read_stored(archive, pickles[0])))
            root = interpreter.run()
            described = interpreter.storages.values()
            if sum(storage.elements * storage.dtype.itemsize for storage in described) > len(data):
                raise ValueError("its storages are larger than the file")
            return root, {
                storage.key: _storage_array(storage, _read_stored(archive, f"{prefix}data/{storage.key}"))
                for storage in described
            }
    # zipfile raises the last two for encrypted members and for unknown versions.
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"the archive is damaged: {_shorten(str(error))}") from error


def _read_stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Reads one member. PyTorch never compresses, and an uncompressed member cannot outgrow the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"member {_shorten(name)} is compressed")
    return archive.read(name)


def _storage_array(storage: _Storage, data: bytes) -> np.ndarray:
    expected = storage.elements * storage.dtype.itemsize
    if len(data) != expected:
        raise ValueError(f"storage {_shorten(storage.key)} must have {expected} bytes. Received: {len(data)}")
    return np.frombuffer(data, storage.dtype)


def _as_array(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Returns a tensor as a read-only view. Tensors that share a storage share its bytes."""
    flat = storages.get(tensor.storage.key)
    if flat is None:
        raise ValueError(f"storage {_shorten(tensor.storage.key)} is missing")
    size = math.prod(tensor.shape)
    reach = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    # A view with more elements than the storage repeats some. It could claim any amount of memory.
    if size > flat.size or tensor.offset > flat.size or (size and tensor.offset + reach >= flat.size):
        raise ValueError(f"a tensor of shape {tensor.shape} reaches outside its storage")
    if size == 0:
        return np.zeros(tensor.shape, flat.dtype)
    strides = tuple(stride * flat.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)


def _named_tensors(root: object) -> Iterator[tuple[str, _Tensor]]:
    """Returns every tensor below the root with its dotted name, in the file's order."""
    seen: set[str] = set()
    entries = 0
    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    while waiting:
        path, value = waiting.pop()
        entries += 1
        if entries > _MAX_ENTRIES or len(path) > _MAX_DEPTH:
            raise ValueError("its dictionaries are nested too deeply or hold too much")
        if isinstance(value, _Tensor):
            name = ".".join(path)
            if name in seen:
                raise ValueError(f"two tensors are named {_shorten(name)}")
            seen.add(name)
            yield name, value
        elif isinstance(value, dict):
            waiting.extend(((*path, str(key)), child) for key, child in reversed(value.items()))
        elif isinstance(value, (list, tuple)):
            waiting.extend(((*path, str(i)), value[i]) for i in reversed(range(len(value))))


def _shorten(value: object) -> str:
    """Returns a value from the file for an error message: always short, and in one line.

    Of a container only the type is named, because one that contains itself many times would never end.
    """
    if isinstance(value, (str, bytes)):
        return repr(value[:60])
    return repr(value)[:60] if isinstance(value, (int, float)) else type(value).__name__


class _Interpreter:
    """Executes one pickle, with support for containers and tensors only.

    Attributes:
        storages: every storage that the pickle mentions, by its key.
    """

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self) -> Any:
        """Returns the pickled object. The file position is then just after the pickle.

        Raises:
            ValueError: If the pickle is malformed or uses anything that a checkpoint does not need.
        """
        for opcode, argument, _ in pickletools.genops(self._file):
            if opcode.name == "STOP":
                return self._pop()
            if opcode.name in _LITERALS:
                self._stack.append(argument)
            elif opcode.name in _MAKERS:
                self._stack.append(_MAKERS[opcode.name]())
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            elif opcode.name not in ("PROTO", "FRAME"):
                raise ValueError(f"refused: pickle opcode {opcode.name}")
        raise ValueError("a pickle has no end")

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise ValueError("a pickle takes a value that is not there")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        values: list[Any] = []
        while self._stack:
            value = self._stack.pop()
            if value is _MARK:
                return values[::-1]
            values.append(value)
        raise ValueError("a pickle has a mark missing")

    def _peek(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError(f"a pickle fills something that is not a {kind.__name__}")
        return self._stack[-1]

    def _global(self, argument: str) -> None:
        if argument not in _GLOBALS:
            raise ValueError(f"refused: {_shorten(argument.replace(' ', '.'))}")
        self._stack.append(_Global(argument))

    def _stack_global(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        self._global(f"{module} {name}" if isinstance(name, str) and isinstance(module, str) else "?")

    def _put(self, index: int) -> None:
        self._memo[index] = self._peek(object)

    def _memoize(self, _: None) -> None:
        self._put(len(self._memo))

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise ValueError("a pickle refers to a value that is not there")
        self._stack.append(self._memo[index])

    def _tuple(self, length: int | None) -> None:
        values = self._pop_to_mark() if length is None else [self._pop() for _ in range(length)][::-1]
        self._stack.append(tuple(values))

    def _append(self, values: list[Any]) -> None:
        self._peek(list).extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._peek(dict)
        if len(values) % 2:
            raise ValueError("a dictionary in it has a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (str, int, float)):
                raise ValueError(f"a dictionary in it has a key of type {type(key).__name__}")
            target[key] = value

    def _build(self, _: None) -> None:
        # PyTorch records layer versions on a state_dict this way. Attributes are not needed here.
        self._pop()
        self._peek(dict)

    def _reduce(self, _: None) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise ValueError("refused: a call of something that is not a known function")
        if function.name == "collections OrderedDict" and arguments == ():
            self._stack.append({})
        elif function.name.startswith("torch._utils _rebuild_tensor") and len(arguments) >= 4:
            self._stack.append(_tensor(*arguments[:4]))
        elif function.name == "torch._utils _rebuild_parameter" and arguments:
            self._stack.append(arguments[0])
        else:
            raise ValueError(f"refused: a call of {function.name.replace(' ', '.')} with these arguments")

    def _persistent(self, _: None) -> None:
        reference = self._pop()
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise ValueError(f"refused: persistent id {_shorten(reference)}")
        kind, key, _location, elements, *view = reference[1:]
        if not isinstance(kind, _Global) or kind.name not in _DTYPES or not isinstance(key, str):
            raise ValueError("a storage in it is of no known type")
        if not _is_size(elements) or any(part is not None for part in view):
            raise ValueError(f"storage {_shorten(key)} is a view or has no size")
        storage = _Storage(key, np.dtype(_DTYPES[kind.name]), elements)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {_shorten(key)} is described in two ways")
        self._stack.append(storage)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 62


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    if not isinstance(storage, _Storage) or not _is_size(offset):
        raise ValueError("a tensor in it has no storage")
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        raise ValueError("a tensor in it has no shape")
    if len(shape) > 32 or not all(map(_is_size, shape + strides)):
        raise ValueError("a tensor in it has an impossible shape")
    return _Tensor(storage, offset, shape, strides)


_LITERALS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE")
_MAKERS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_ACTIONS: dict[str, Callable[[_Interpreter, Any], None]] = {
    "GLOBAL": _Interpreter._global,
    "STACK_GLOBAL": _Interpreter._stack_global,
    "BINPUT": _Interpreter._put,
    "LONG_BINPUT": _Interpreter._put,
    "MEMOIZE": _Interpreter._memoize,
    "BINGET": _Interpreter._get,
    "LONG_BINGET": _Interpreter._get,
    "TUPLE": lambda self, _: self._tuple(None),
    "TUPLE1": lambda self, _: self._tuple(1),
    "TUPLE2": lambda self, _: self._tuple(2),
    "TUPLE3": lambda self, _: self._tuple(3),
    "APPEND": lambda self, _: self._append([self._pop()]),
    "APPENDS": lambda self, _: self._append(self._pop_to_mark()),
    "SETITEM": lambda self, _: self._set_items([self._pop(), self._pop()][::-1]),
    "SETITEMS": lambda self, _: self._set_items(self._pop_to_mark()),
    "BUILD": _Interpreter._build,
    "REDUCE": _Interpreter._reduce,
    "BINPERSID": _Interpreter._persistent,
}
