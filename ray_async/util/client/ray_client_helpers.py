"""Attaching for the length of a block, under the names that tests written for Ray's thin client use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import ray_async

__all__ = ("ray_start_client_server", "ray_start_client_server_for_address")


@contextmanager
def ray_start_client_server_for_address(address: str | None) -> Iterator[ModuleType]:
    """Attach this process to a node as a driver, and detach it at the end of the block.

    Args:
        address: The node's; None starts one.

    Raises:
        ConnectionError: The address names no running node.
    """
    ray_async.init(address=address)
    try:
        yield ray_async
    finally:
        ray_async.shutdown()


@contextmanager
def ray_start_client_server(**options: Any) -> Iterator[ModuleType]:
    """Start a node with the options of ``init``, and end it at the end of the block."""
    ray_async.init(**options)
    try:
        yield ray_async
    finally:
        ray_async.shutdown()
