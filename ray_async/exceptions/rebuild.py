"""Exceptions as pickle sees them: rebuilt with type and state, and without `__init__` where nobody asks for it.

An exception without a `__reduce__` of its own is all in its arguments, attributes, slots and fields. So it is made
bare and these are put back: its `__init__` may take other arguments than it gives to its base, or change what it takes.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

from .base import RayError
from .state import (
    arguments_of,
    fields_of,
    is_builtin,
    make_bare,
    set_arguments,
    set_attributes,
    set_fields,
)

__all__ = ("make_error", "make_error_by", "make_error_group", "reduce_error", "set_error_state")

_PROTOCOL = 5
# tblib, which some libraries install, registers a reducer for each exception class that it finds; these lose fields.
_FOREIGN = "tblib"


def reduce_error(error: BaseException) -> Any:
    """The answer of a pickler's `reducer_override` for an exception.

    Raises:
        Exception: whatever a `__reduce__` of the user's raises.
    """
    cls = type(error)
    registered = copyreg.dispatch_table.get(cls)
    if registered is not None and not getattr(registered, "__module__", "").startswith(_FOREIGN):
        return NotImplemented
    if isinstance(error, RayError):
        return error.__reduce_ex__(_PROTOCOL)
    if not _is_plain(cls):
        return _reduce_by_its_own(error)
    attributes, fields = dict(error.__dict__), fields_of(error)
    if isinstance(error, BaseExceptionGroup):
        group = fields.pop("message"), fields.pop("exceptions")
        made: tuple[Any, ...] = make_error_group, (cls, *group, arguments_of(error))
    elif is_builtin(cls):
        made = error.__reduce__()[:2]  # type: ignore[assignment]  # a builtin's is a tuple
    else:
        made = make_error, (cls, arguments_of(error))
    if _is_builtins(cls.__setstate__):
        state = (attributes, fields) if attributes or fields else None
        return made if state is None else (*made, state, None, None, set_error_state)
    if not _is_builtins(cls.__getstate__):
        return *made, error.__getstate__()
    return (*made, attributes) if attributes else made


def make_error(cls: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """An exception without attributes (used by pickle)."""
    try:
        error: BaseException = make_bare(cls)
    except TypeError:
        return cls(*arguments)  # the class of an extension module knows how it is made
    set_arguments(error, arguments)
    return error


def make_error_group(
    cls: type[BaseExceptionGroup[Any]], message: str, exceptions: tuple[BaseException, ...], arguments: tuple[Any, ...]
) -> BaseException:
    """An exception group without attributes (used by pickle)."""
    error: BaseException = make_bare(cls, (message, exceptions))
    set_arguments(error, arguments)
    return error


def make_error_by(
    cls: type[BaseException], function: Callable[..., BaseException], arguments: tuple[Any, ...]
) -> BaseException:
    """An exception made as its `__reduce__` wants it, or bare if its constructor refuses that (used by pickle)."""
    try:
        return function(*arguments)
    except Exception:  # a user's constructor may raise anything
        if function is not cls:
            raise
        return make_error(cls, arguments)


def set_error_state(error: BaseException, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Put attributes, slots and fields back (used by pickle)."""
    attributes, fields = state
    set_attributes(error, attributes)
    set_fields(error, fields)


def _is_plain(cls: type[BaseException]) -> bool:
    """Test of a class: it is pickled in the way that a builtin has defined."""
    return cls.__reduce_ex__ is BaseException.__reduce_ex__ and _is_builtins(cls.__reduce__)


def _is_builtins(method: Any) -> bool:
    """Test of a method: it is that of a builtin class."""
    owner = getattr(method, "__objclass__", None)
    return owner is not None and is_builtin(owner)


def _reduce_by_its_own(error: BaseException) -> Any:
    reduced = error.__reduce_ex__(_PROTOCOL)
    if not isinstance(reduced, tuple) or len(reduced) < 2:
        return reduced
    function, arguments, *rest = reduced
    return make_error_by, (type(error), function, arguments), *rest
