"""Starting a session as a driver: the node's interpreter first, and the rest of the work while it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.runtime.init_options import InitOptions

if TYPE_CHECKING:
    from ray_async.runtime.driver import DriverSession

__all__ = ("start_session",)


def start_session(options: InitOptions) -> DriverSession:
    """Connect this process as a driver, starting a node where none is to be attached to.

    Raises:
        ConnectionError: the address names no running node.
    """
    launch = None
    if options.address in (None, "local"):
        from ray_async.runtime.node_launch import NodeLaunch

        launch = NodeLaunch()
    try:
        from ray_async.runtime.driver import connect_driver

        return connect_driver(options, launch)
    except BaseException:
        if launch is not None:
            launch.kill()
        raise
