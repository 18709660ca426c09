"""The global variables of functions that travel by value, such as those of a program's main module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

from ray_async import cloudpickle

__all__ = ("WorkerGlobals",)

_ABSENT = object()


class WorkerGlobals:
    """What an initializer sets or changes of its module's global variables, for functions of the same module.

    A function that is found by its name shares them anyway. One that travels by value arrives each time with copies of
    the variables that it refers to; those that the initializer has set or changed belong to the worker instead.

    Args:
        initializer: called after this was made.
    """

    def __init__(self, initializer: Callable[..., Any]) -> None:
        self._variables = _carried_globals(initializer)
        before = {} if self._variables is None else self._variables
        self._before = {name: (value, _picture(value)) for name, value in before.items() if not name.startswith("__")}
        self._owned: dict[str, Any] = {}

    def take_changes(self) -> None:
        """Note what the initializer, which has returned, has set or changed."""
        for name, value in (self._variables or {}).items():
            earlier, picture = self._before.get(name, (_ABSENT, None))
            if not name.startswith("__") and (value is not earlier or _picture(value) != picture):
                self._owned[name] = value
        self._before = {}

    @contextmanager
    def seen_by(self, function: Callable[..., Any]) -> Iterator[None]:
        """Have a function see these variables; what it sets them to stays for the next one.

        Args:
            function: as it arrived.
        """
        theirs = _carried_globals(function) if self._owned else None
        if theirs is None or self._variables is None or theirs.get("__name__") != self._variables.get("__name__"):
            yield
            return
        theirs.update(self._owned)
        try:
            yield
        finally:
            self._owned.update((name, theirs[name]) for name in self._owned if name in theirs)


def _carried_globals(function: Any) -> dict[str, Any] | None:
    """The global variables of a callable that travelled by value; None of any other one."""
    while hasattr(function, "func"):  # a functools.partial
        function = function.func
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__globals__"):
        function = type(function).__call__
    variables: dict[str, Any] | None = getattr(function, "__globals__", None)
    module = sys.modules.get(str((variables or {}).get("__name__")))
    return None if module is not None and variables is vars(module) else variables


def _picture(value: Any) -> bytes | None:
    """Bytes that differ once a value has been changed in place, without the contents of arrays, which are read-only.

    None of code, and of what cannot be pickled.
    """
    if isinstance(value, type | ModuleType | FunctionType):
        return None
    try:
        return bytes(cloudpickle.dumps(value, protocol=5, buffer_callback=lambda buffer: None))
    except Exception:  # whatever code of the user's raises: only what can be pickled can have travelled
        return None
