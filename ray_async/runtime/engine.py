"""The engine of one machine, as `ray_async.engine.registry` finds it: what is started is imported when it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray_async.engine.init_options import InitOptions
    from ray_async.engine.protocol import Session
    from ray_async.engine.state import State

__all__ = ("start_session", "state_at")


def start_session(options: InitOptions) -> Session:
    """Start a node, or find one, and connect to it as a driver.

    Raises:
        ConnectionError: the address names no running node.
    """
    from ray_async.runtime.start.session_start import start_session

    return start_session(options)


def state_at(address: str) -> State:
    """The state of another node of this machine.

    Raises:
        ConnectionError: no node runs at the address.
    """
    from ray_async.runtime.session.other_state import OtherState

    return OtherState(address)
