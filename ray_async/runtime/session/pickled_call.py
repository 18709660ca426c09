"""A pickled value or call, looked at without running what it pickles: its classes, and where each argument lies."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

__all__ = ("Argument", "arguments_of", "failing_step", "names_of")

_MEMOIZING = frozenset({"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"})
_RECALLING = frozenset({"GET", "BINGET", "LONG_BINGET"})
_STACK_SLICE = pickletools.stackslice
# What pickle, cloudpickle and this package call by themselves says nothing of a value.
_HELPERS = ("builtins.", "copyreg.", "cloudpickle.", "_codecs.", "ray_async.exceptions.", "ray_async._core.")


class _Node:
    """An item of the stack, put there by one step of the pickle."""

    __slots__ = ("parts", "start", "value")

    def __init__(self, start: int, value: Any = None, parts: list[_Node] | None = None) -> None:
        self.start = start
        self.value = value
        self.parts: list[_Node] = parts or []


class Argument(NamedTuple):
    """An argument of a pickled call: its name in words, and the steps of loading from its first to before the next."""

    words: str
    first: int
    end: int


def names_of(pickled: bytes, argument: Argument | None = None) -> list[str]:
    """Qualified names of the classes and functions that a value is made with, in the order in which it names them.

    Args:
        pickled: the value, or a call.
        argument: the argument of the call that is meant; all by default.
    """
    found: dict[str, None] = {}
    for step, name in _steps(pickled)[1]:
        if not name.startswith(_HELPERS) and (argument is None or argument.first <= step < argument.end):
            found.setdefault(name)
    return list(found)


def arguments_of(pickled: bytes) -> list[Argument]:
    """The arguments of a pickled call, which is a tuple of the positional ones and a dict of the others."""
    call = _steps(pickled)[0]
    positional, named = call.parts if len(call.parts) == 2 else (_Node(0), _Node(0))
    keys, values = named.parts[::2], named.parts[1::2]
    places = [(node.start, f"argument {index}") for index, node in enumerate(positional.parts, 1)]
    places += [(node.start, f"argument {key.value!r}") for key, node in zip(keys, values, strict=False)]
    ends = [start for start, _ in places[1:]] + [len(pickled)]
    return [Argument(words, start, end) for (start, words), end in zip(places, ends, strict=True)]


def failing_step(pickled: bytes, buffers: list[bytes]) -> int | None:
    """The number of the step at which loading fails; None if it does not fail this time."""
    steps = _Counted(pickle._Unpickler.dispatch)
    unpickler = pickle._Unpickler(BytesIO(pickled), buffers=buffers)
    vars(unpickler)["dispatch"] = steps
    try:
        unpickler.load()
    except Exception:  # that the user's code raises something, and where, is the answer
        return steps.count - 1
    return None


class _Counted(dict[int, Any]):
    """The functions of the steps; counts how many were looked up."""

    count = 0

    def __getitem__(self, code: int) -> Any:
        self.count += 1
        return super().__getitem__(code)


def _steps(pickled: bytes) -> tuple[_Node, list[tuple[int, str]]]:
    """The whole as a tree of nodes, and the names that are looked up with the steps that do it."""
    stack: list[_Node | None] = []  # None: a mark
    memo: list[_Node] = []
    names: list[tuple[int, str]] = []
    node = _Node(0)
    for step, (operation, value, _) in enumerate(pickletools.genops(pickled)):
        if operation.name == "MARK":
            stack.append(None)
        elif operation.name in _MEMOIZING:
            memo.append(_top(stack))
        elif operation.name in _RECALLING:
            stack.append(_Node(step, memo[int(str(value))].value))
        else:
            taken = list(_taken(stack, operation.stack_before))
            node = _Node(min((part.start for part in taken), default=step), value, taken)
            if operation.name == "STACK_GLOBAL":
                names.append((step, ".".join(str(part.value) for part in taken)))
            elif operation.name in {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}:
                node.parts = [*taken[0].parts, *taken[1:]]
            stack += [node] * len(operation.stack_after)
    return (node.parts[0] if node.parts else node), names


def _top(stack: list[_Node | None]) -> _Node:
    top = stack[-1]
    assert top is not None
    return top


def _taken(stack: list[_Node | None], before: list[Any]) -> Iterator[_Node]:
    """Take what a step takes off the stack, oldest first."""
    count = len(before)
    if _STACK_SLICE in before:
        mark = len(stack) - 1 - stack[::-1].index(None)
        fixed = before.index(pickletools.markobject)
        start = mark - fixed
    else:
        start = len(stack) - count
    taken = [node for node in stack[start:] if node is not None]
    del stack[start:]
    yield from taken
