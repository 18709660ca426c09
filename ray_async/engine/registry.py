"""Engines by name: the one place where a string names the module of one, imported when a session starts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from ray_async.engine.init_options import InitOptions
    from ray_async.engine.protocol import Session
    from ray_async.engine.state import State

__all__ = ("Engine", "get_engine")

_MODULES = {"local": "ray_async.runtime.engine"}


class Engine(Protocol):
    """What a module offers that is an engine."""

    def start_session(self, options: InitOptions) -> Session:
        """Connect this process as a driver.

        Raises:
            ConnectionError: The address names no running node.
        """
        ...

    def state_at(self, address: str) -> State:
        """The state of a node to which this process is not connected.

        Raises:
            ConnectionError: No node runs there.
        """
        ...


def get_engine(name: str = "local") -> Engine:
    """Import an engine.

    Args:
        name: "local": the runtime of one machine.
    """
    return cast("Engine", import_module(_MODULES[name]))
