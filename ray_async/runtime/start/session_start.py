"""Starting a session as a driver: the node's interpreter first, and the rest of the work while it starts."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from ray_async.engine.init_options import InitOptions
from ray_async.runtime.start.standard_descriptors import fill_standard_descriptors

if TYPE_CHECKING:
    from ray_async.runtime.session.driver import DriverSession

__all__ = ("start_session",)


def start_session(options: InitOptions) -> DriverSession:
    """Connect this process as a driver, starting a node where none is to be attached to.

    Raises:
        ConnectionError: the address names no running node.
    """
    fill_standard_descriptors()
    launch = None
    if options.address in (None, "local"):
        from ray_async.runtime.start.node_launch import NodeLaunch

        launch = NodeLaunch()
    try:
        from ray_async.runtime.session.driver import connect_driver

        return connect_driver(_hooked(options), launch)
    except BaseException:
        if launch is not None:
            launch.kill()
        raise


def _hooked(options: InitOptions) -> InitOptions:
    """With the job's environment as the function that RAY_RUNTIME_ENV_HOOK names makes it."""
    path = os.environ.get("RAY_RUNTIME_ENV_HOOK")
    if not path or options.skip_env_hook:
        return options
    module, _, name = path.rpartition(".")
    hook = getattr(import_module(module), name)
    return options._replace(runtime_env=hook(dict(options.runtime_env) if options.runtime_env else None))
