"""Context variables that travel with calls."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ray_async.serialization.context_variables import register

__all__ = ("register_context_variable",)


def register_context_variable(variable: ContextVar[Any]) -> None:
    """Carry a context variable to the remote side of every call from now on.

    Its value at ``.remote()`` is the variable's value while the task, the actor's ``__init__`` or the method runs, and
    for the calls that these make in turn. A variable that has no value is not carried. OpenTelemetry's current context
    needs no registration: it is carried wherever ``opentelemetry`` is loaded.

    Args:
        variable: Best a global of a module that workers can import; one of ``__main__`` is known by its name there.

    Raises:
        TypeError: Not a context variable.
        ValueError: Another variable of this name is registered.

    Example:
        >>> user: ContextVar[str] = ContextVar("user")
        >>> ray.register_context_variable(user)
        >>> user.set("ada")
        >>> ray.get(whoami.remote())
        'ada'
    """
    register(variable)
