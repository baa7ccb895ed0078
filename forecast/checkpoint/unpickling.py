"""Reads the pickles that published archives are, without ever unpickling.

A pickle is a program for a stack machine. This one interprets only the instructions that build plain
containers, and treats the four names that occur in published archives as symbols: it constructs the arrays
they stand for itself and calls nothing that the file names. Any other instruction or name is refused when
it is met. Memory stays within a small multiple of the file's size.

The instructions are those of PEP 3154 (protocol 4) and before; `pickletools` of the standard library
decodes them.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from forecast.checkpoint.errors import InvalidArchive, UnsafeArchive

_MAX_INSTRUCTIONS = 10_000_000
_MAX_DIMENSIONS = 8
_DTYPES = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})


class _Symbol(Enum):
    RECONSTRUCT = "numpy.core.multiarray._reconstruct"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    JAX_ARRAY = "jax._src.array._reconstruct_array"


_SYMBOLS = {symbol.value: symbol for symbol in _Symbol} | {
    "numpy._core.multiarray._reconstruct": _Symbol.RECONSTRUCT,  # numpy >= 2
}


@dataclass
class _Dtype:
    """A dtype, complete once its byte order is known."""

    code: str
    byte_order: str = ""


@dataclass
class _Unfilled:
    """An array announced by `_reconstruct`, whose contents come with the next BUILD."""

    memo_keys: list[int] = field(default_factory=list)


class _Mark:
    """Position on the stack where the items of a container begin."""


def loads(data: bytes) -> Any:
    """The containers, scalars and read-only arrays that `data` describes.

    Raises UnsafeArchive when it asks for anything else and InvalidArchive when it is truncated or malformed.
    """
    machine = _Machine(len(data))
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.execute(opcode.name, argument)
    except (UnsafeArchive, InvalidArchive):
        raise
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise InvalidArchive(f"expected a complete pickle, got one that is truncated or malformed: {error}") from error
    return machine.result


class _Machine:
    def __init__(self, size: int) -> None:
        self.result: Any = None
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._instructions = 0
        self._array_bytes_left = size

    def execute(self, name: str, argument: Any) -> None:
        self._instructions += 1
        if self._instructions > _MAX_INSTRUCTIONS:
            raise UnsafeArchive(f"the archive has more than {_MAX_INSTRUCTIONS} pickle instructions: refused")
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        else:
            raise UnsafeArchive(
                f"the archive uses the pickle instruction {name}, which plain arrays and containers never need. "
                "Nothing was executed; do not use this file."
            )

    def _pop(self) -> Any:
        item = self._stack.pop()
        if isinstance(item, _Mark):
            raise InvalidArchive("expected a value on the stack, got a mark: the pickle is malformed")
        return item

    def _pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(item := self._stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise UnsafeArchive(f"expected a {kind.__name__} to fill, got {type(self._stack[-1]).__name__}: refused")
        return self._stack[-1]

    def mark(self, _: None) -> None:
        self._stack.append(_Mark())

    def memoize(self, key: int | None) -> None:
        key = len(self._memo) if key is None else key
        item = self._stack[-1]
        self._memo[key] = item
        if isinstance(item, _Unfilled):
            item.memo_keys.append(key)

    def recall(self, key: int) -> None:
        self._stack.append(self._memo[key])

    def tuple_of_marked(self, _: None) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def append(self, _: None) -> None:
        item = self._pop()
        self._top(list).append(item)

    def append_marked(self, _: None) -> None:
        items = self._pop_to_mark()
        self._top(list).extend(items)

    def set_item(self, _: None) -> None:
        value, key = self._pop(), self._pop()
        self._update(self._top(dict), [key, value])

    def set_marked(self, _: None) -> None:
        items = self._pop_to_mark()
        self._update(self._top(dict), items)

    def _update(self, target: dict[Any, Any], items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise UnsafeArchive(f"expected text as a dictionary key, got {type(key).__name__}: refused")
            target[key] = value

    def name_on_line(self, argument: str) -> None:
        self._push_symbol(argument.replace(" ", ".", 1))

    def name_on_stack(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise UnsafeArchive("the archive asks for a name that is no text: refused")
        self._push_symbol(f"{module}.{name}")

    def _push_symbol(self, name: str) -> None:
        if name not in _SYMBOLS:
            raise UnsafeArchive(
                f"the archive asks for {name[:200]!r}; only {', '.join(sorted(_SYMBOLS))} are admitted. "
                "Nothing was executed; do not use this file."
            )
        self._stack.append(_SYMBOLS[name])

    def reduce(self, _: None) -> None:
        arguments, function = self._pop(), self._pop()
        match function, arguments:
            case _Symbol.DTYPE, (str(code), bool(), bool()) if code in _DTYPES:
                self._stack.append(_Dtype(code))
            case _Symbol.RECONSTRUCT, (_Symbol.NDARRAY, (0,), bytes()):
                self._stack.append(_Unfilled())
            case _Symbol.JAX_ARRAY, (_Symbol.RECONSTRUCT, (_Symbol.NDARRAY, (0,), bytes()), tuple(state), dict()):
                self._stack.append(self._array(state))
            case _Symbol.DTYPE, (str(code), *_):
                raise UnsafeArchive(f"expected an array of numbers, got dtype {code[:40]!r}: refused")
            case _:
                raise UnsafeArchive("the archive calls something other than an array's constructor: refused")

    def build(self, _: None) -> None:
        state, target = self._pop(), self._pop()
        match target, state:
            case _Dtype(byte_order=""), (3, "<" | ">" | "|" as order, None, None, None, -1, -1, 0):
                target.byte_order = order
                self._stack.append(target)
            case _Unfilled(), tuple():
                array = self._array(state)
                self._stack.append(array)
                self._memo.update(dict.fromkeys(target.memo_keys, array))
            case _:
                raise UnsafeArchive("the archive sets the state of something other than an array: refused")

    def _array(self, state: tuple[Any, ...]) -> np.ndarray:
        """The read-only array of NumPy's pickle state (1, shape, dtype, is_fortran, contents)."""
        match state:
            case (1, tuple(shape), _Dtype(code, order), bool(fortran), bytes(contents)) if order:
                dtype = np.dtype(order + code)
            case _:
                raise UnsafeArchive(
                    "expected an array's shape, dtype of numbers and bytes, got something else: refused"
                )
        if len(shape) > _MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
            raise InvalidArchive(f"expected an array shape of at most {_MAX_DIMENSIONS} sizes, got something else")
        if math.prod(shape) * dtype.itemsize != len(contents):
            raise InvalidArchive(f"an array {shape} of {dtype} does not fit its {len(contents)} bytes")
        self._array_bytes_left -= len(contents)
        if self._array_bytes_left < 0:
            raise UnsafeArchive("the archive's arrays hold more bytes than the file: refused")
        return np.frombuffer(contents, dtype).reshape(shape, order="F" if fortran else "C")

    def stop(self, _: None) -> None:
        self.result = self._pop()
        if self._stack:
            raise InvalidArchive("expected one object in the pickle, got more")


def _nothing(machine: _Machine, argument: Any) -> None:
    """PROTO and FRAME carry no data."""


_LITERALS = frozenset(
    (
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
    )
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": _Machine.mark,
    "MEMOIZE": _Machine.memoize,
    "BINPUT": _Machine.memoize,
    "LONG_BINPUT": _Machine.memoize,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "TUPLE": _Machine.tuple_of_marked,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_marked,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_marked,
    "GLOBAL": _Machine.name_on_line,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "STOP": _Machine.stop,
}
