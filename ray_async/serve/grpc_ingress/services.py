"""Services: the methods that the user's services have, as their generated code says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc

from ray_async.serve.deploying.import_path import find_attribute
from ray_async.serve.exceptions import RayServeException

__all__ = ("Services", "servicer_functions")


def servicer_functions(named: Iterable[str | Callable[..., Any]]) -> list[Callable[..., Any]]:
    """The functions ``add_…Servicer_to_server`` of generated code.

    Args:
        named: Import paths, as ``module.function`` or ``module:function``, or the functions themselves.

    Raises:
        ConfigError: There is nothing there.
        RayServeException: It is no function.
    """
    found = [find_attribute(one) if isinstance(one, str) else one for one in named]
    for name, one in zip(named, found, strict=True):
        if not callable(one):
            raise RayServeException(f"{name} must be a function of generated code, add_...Servicer_to_server")
    return found


class _AnyMethod:
    """A servicer that has every method: what generated code registers is a method's name."""

    def __getattr__(self, name: str) -> str:
        return name


class Services:
    """Takes the place of a server when generated code adds a servicer to it.

    Args:
        functions: The functions that add servicers.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        self._generic: list[Any] = []
        self.names: list[str] = []
        for function in functions:
            function(_AnyMethod(), self)

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Take the handlers that generated code has made."""
        for handler in handlers:
            self._generic.append(handler)
            self.names.append(handler.service_name())

    def add_registered_method_handlers(self, service_name: str, handlers: Any) -> None:
        """Newer generated code names its handlers once more; they are known already."""

    def find(self, details: Any) -> grpc.RpcMethodHandler | None:
        """The handler of a method, whose behaviour is the method's name; None: no service has it.

        Args:
            details: A ``grpc.HandlerCallDetails``.
        """
        for handler in self._generic:
            found: grpc.RpcMethodHandler | None = handler.service(details)
            if found is not None:
                return found
        return None
