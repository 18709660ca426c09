"""Context variables that were registered, and OpenTelemetry's context, on their way with a call.

Values are captured at the call and lie in its options as `context`; where nothing is registered, nothing is captured
and the call has no options. A variable is known by `module:name` where it is a module's global, else by its own name.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar
from typing import Any

from ray_async._core import store, submission
from ray_async._core.call_options import CallOptions
from ray_async._core.object_ref import ObjectRef
from ray_async.serialization import registry as serializers

__all__ = ("Applied", "ContextCarrier", "register")

_TELEMETRY = "opentelemetry"
_MISSING = object()
_UNCHANGING = frozenset({str, int, bytes, bool, float})

#: The registered variables of this process by key.
_variables: dict[str, ContextVar[Any]] = {}
_finding = threading.RLock()


def register(variable: ContextVar[Any]) -> None:
    """Carry a variable with calls; TypeError for anything else, ValueError for a second variable of the same key."""
    if not isinstance(variable, ContextVar):
        raise TypeError(f"expected a contextvars.ContextVar, got {type(variable)}")
    _enter(_key_of(variable), variable)


def _enter(key: str, variable: ContextVar[Any]) -> None:
    known = _variables.setdefault(key, variable)
    if known is not variable:
        raise ValueError(f"another context variable is registered as {key!r}: give one of them another name")
    serializers.register(ContextVar, _describe, _restore)
    submission.carry_context()


def _key_of(variable: ContextVar[Any]) -> str:
    for name, module in list(sys.modules.items()):
        if name == "__main__":
            continue
        # A look at what is there already: getattr would load parts of lazy modules.
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is variable:
                return f"{name}:{attribute}"
    return variable.name


def _describe(variable: ContextVar[Any]) -> tuple[str, bool, Any]:
    """What a worker needs to know of a variable that travels inside a function."""
    for key, known in _variables.items():
        if known is variable:
            default = Context().run(variable.get, _MISSING)
            if default is _MISSING:
                default = Context().run(_default_of, variable)
            return key, default is not _MISSING, None if default is _MISSING else default
    from ray_async.serialization.pickling import PicklingRefused

    raise PicklingRefused(f"{variable!r} cannot be pickled: call register_context_variable() with it first")


def _default_of(variable: ContextVar[Any]) -> Any:
    try:
        return variable.get()
    except LookupError:
        return _MISSING


def _restore(described: tuple[str, bool, Any]) -> ContextVar[Any]:
    key, has_default, default = described
    return _find(key, {"default": default} if has_default else {})


def _find(key: str, default: Mapping[str, Any]) -> ContextVar[Any]:
    """The variable of a key in this process; registered here too, so that it goes on to nested calls."""
    with _finding:  # calls that bring the same variable may arrive in several threads at once
        variable = _variables.get(key)
        if variable is None:
            module, _, name = key.rpartition(":")
            if module:
                from importlib import import_module

                variable = getattr(import_module(module), name)
            else:
                variable = ContextVar(key, **default)
            _enter(key, variable)
    return variable


class ContextCarrier:
    """Adds the caller's context to the options of a call.

    Args:
        arena: where the options are stored.
    """

    def __init__(self, arena: Any) -> None:
        self._arena = arena
        #: The last options that were made, since callers mostly make many calls in one context.
        self._last: tuple[Any, dict[str, Any], Any] | None = None

    def carry(self, options: Any) -> Any:
        """The options of a call, with the context if there is one.

        Args:
            options: reference to the options that all calls of the template share, or None.

        Raises:
            TypeError: a value cannot be pickled.
        """
        found = _captured()
        if not found:
            return options
        last = self._last
        if last is not None and last[0] is options and _same(last[1], found):
            return last[2]
        shared: CallOptions = store.read(self._arena, options) if options is not None else {}
        # The node reads the other options, as long as they are plain.
        carried: dict[str, object] | ObjectRef[Any] = store.put(self._arena, found) if shared else found
        with_context: CallOptions = {**shared, "context": carried}
        ref = store.put(self._arena, with_context)
        self._last = options, found, ref
        return ref


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    # Equality of what cannot change: a list that was changed in place is another value.
    return one.keys() == other.keys() and all(
        type(value) in _UNCHANGING and type(value) is type(other[key]) and other[key] == value
        for key, value in one.items()
    )


def _captured() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, variable in _variables.items():
        value = variable.get(_MISSING)
        if value is not _MISSING:
            found[key] = value
    if "opentelemetry.context" in sys.modules:
        from opentelemetry import propagate

        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        if carrier:
            found[_TELEMETRY] = carrier
    return found


class Applied:
    """A block in which the variables that came with a call are set.

    Not a generator of `contextlib`'s, which assigns to the exceptions that pass: the user's may be frozen.

    Args:
        values: the variables by key.
    """

    __slots__ = ("_undo", "_values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._undo: list[tuple[Callable[[Any], None], Any]] = []

    def __enter__(self) -> None:
        try:
            for key, value in self._values.items():
                if key == _TELEMETRY:
                    from opentelemetry import context, propagate  # what the caller had loaded

                    self._undo.append((context.detach, context.attach(propagate.extract(value))))
                else:
                    variable = _find(key, {})
                    self._undo.append((variable.reset, variable.set(value)))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exception: Any) -> None:
        while self._undo:
            undo, token = self._undo.pop()
            undo(token)
