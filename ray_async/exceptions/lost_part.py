"""`LostPart`, which stands for a part of an error that cannot be sent: a lock, a socket, a traceback."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from .rebuild import reduce_error

__all__ = ("LostPart", "stand_in")

_PROTOCOL = 5
_MAX_TEXT = 500


class LostPart:
    """Stands in an error that came from another process for a part that could not be pickled.

    Args:
        text: `repr` of the part.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def close(self) -> None:
        """Nothing: what a finalizer would close is elsewhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return LostPart, (self._text,)


def stand_in(part: Any, reducers: Mapping[type, Callable[[Any], Any]] = copyreg.dispatch_table) -> Any:
    """The answer of a pickler's `reducer_override` for a part of an error: `NotImplemented` where pickle knows how.

    A read-only view of a mapping is replaced by a copy, anything else that cannot be pickled by a `LostPart`.

    Args:
        part: any object that is met.
        reducers: the pickler's own `dispatch_table`.
    """
    if isinstance(part, type | FunctionType | ModuleType):
        return NotImplemented
    try:
        _reduce(part, reducers)
    except Exception:  # a user's __reduce__ may raise anything; that it does is the answer
        return _replaced(part)
    return NotImplemented


def _reduce(part: Any, reducers: Mapping[type, Callable[[Any], Any]]) -> None:
    if isinstance(part, BuiltinFunctionType):
        owner = part.__self__
        if owner is not None and not isinstance(owner, type | ModuleType):
            _reduce(owner, reducers)
        return
    reducer = reducers.get(type(part))
    if reducer is not None:
        reducer(part)
    elif isinstance(part, BaseException):
        reduce_error(part)
    else:
        part.__reduce_ex__(_PROTOCOL)


def _replaced(part: Any) -> Any:
    copy = getattr(part, "copy", None) if isinstance(part, Mapping) else None
    if callable(copy):
        plain = copy()
        if type(plain) is not type(part):
            return _given, (plain,)
    return LostPart, (_text(part),)


def _given(value: Any) -> Any:
    return value


def _text(part: Any) -> str:
    try:
        text = repr(part)
    except Exception as error:  # a user's __repr__ may raise anything
        text = f"<{type(part).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
