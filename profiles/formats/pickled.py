"""Plain values out of a Python pickle, without unpickling it.

Loading a pickle runs what its author wants: opcodes import names and call them. So nothing is
loaded here; the opcodes, as the standard library's disassembler reads them, are followed one by
one, and only those are known that build numbers, text, lists, tuples and tables. Whatever else a
file asks for is refused by its place, and what a file may use is bounded by its own size: no
opcode here makes more than it says, memo places are a table, and nothing is recursive.
"""

import pickletools
from collections.abc import Callable

from profiles.formats.source import Source

_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_PY2_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_LITERALS = _NUMBERS | _TEXTS | _PY2_TEXTS
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_GETS, _PUTS = {"GET", "BINGET", "LONG_BINGET"}, {"PUT", "BINPUT", "LONG_BINPUT"}
_NOTHING = {"PROTO", "FRAME"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class _Refused(Exception):
    """The rule that an opcode breaks."""


class _Machine:
    """The pickle machine's stack and memo, with the opcodes that build plain values."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._builds: dict[str, Callable[[], None]] = {
            "EMPTY_DICT": lambda: self.stack.append({}),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "MARK": lambda: self.stack.append(_MARK),
            "LIST": lambda: self.stack.append(self._marked()),
            "TUPLE": lambda: self.stack.append(tuple(self._marked())),
            "DICT": lambda: self.stack.append(_table({}, self._marked())),
            "APPEND": lambda: self._extend([self.stack.pop()]),
            "APPENDS": lambda: self._extend(self._marked()),
            "SETITEM": lambda: self._set([self.stack.pop(-2), self.stack.pop()]),
            "SETITEMS": lambda: self._set(self._marked()),
            "MEMOIZE": lambda: self._memo.__setitem__(len(self._memo), self.stack[-1]),
        }

    def step(self, name: str, argument: object) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in self._builds:
            self._builds[name]()
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _GETS and isinstance(argument, int):
            self.stack.append(self._memo[argument])
        elif name in _PUTS and isinstance(argument, int):
            self._memo[argument] = self.stack[-1]
        elif name in _TUPLES:
            size = _TUPLES[name]
            self.stack[-size:] = [tuple(self.stack[-size:])]
        elif name not in _NOTHING:
            raise _Refused(f"{name} is not for plain values: it would run or import something")

    def result(self) -> object:
        if (last := self.stack.pop()) is _MARK:
            raise _Refused("it ends within a list")
        return last

    def _marked(self) -> list[object]:
        """What lies above the last mark."""
        items: list[object] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _extend(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise _Refused("appends to something that is no list")
        target.extend(items)

    def _set(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise _Refused("sets entries of something that is no table")
        _table(target, items)


def _table(target: dict[object, object], items: list[object]) -> dict[object, object]:
    if len(items) % 2 or not all(isinstance(key, str | int) for key in items[::2]):
        raise _Refused("the keys of a table must be text or whole numbers")
    target.update(zip(items[::2], items[1::2], strict=True))
    return target


def plain_values(source: Source) -> object:
    """What the pickle holds, if it holds numbers, text, lists, tuples and tables only."""
    if not source.content:
        raise source.error("", "is empty")
    machine, place = _Machine(), "byte 0"
    try:
        for opcode, argument, at in pickletools.genops(source.content):
            place = f"byte {at}"
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except _Refused as refusal:
        raise source.error(place, f"is a pickle that is refused: {refusal}") from None
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise source.error(place, f"is not a whole pickle: {error}") from None
    raise source.error(place, "is not a whole pickle: it has no end")
