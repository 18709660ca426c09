"""Rendezvous: how the members of a group find the store of the first one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from ray_async.api.cluster_state import nodes
from ray_async.engine.current import get_session
from ray_async.machine.address import LOOPBACK
from ray_async.util.node_address import get_node_ip_address

__all__ = ("meet",)

_NAMESPACE = b"collective"
_TRY_S = 2.0  # for a connection to an address that may be an earlier group's
_NAP_S = 0.01


@contextlib.contextmanager
def meet(group_name: str, world_size: int, rank: int, timeout_s: float) -> Iterator[tuple[Any, str]]:
    """Give a store that all members see, and the address under which this one can be reached.

    The first member's address lies in the session's key-value store until the block ends there: nobody finds the
    address of a group that has met.

    Raises:
        TimeoutError: The first member is not there in time.
    """
    own = get_node_ip_address() if len({node["NodeManagerAddress"] for node in nodes()}) > 1 else LOOPBACK
    keys, key = get_session().key_values, group_name.encode()
    if rank > 0:
        yield _join(keys, key, timeout_s), own
        return
    store = dist.TCPStore(own, 0, world_size, True, timedelta(seconds=timeout_s), wait_for_workers=False)
    keys.put(key, f"{own}:{store.port}".encode(), _NAMESPACE, True)
    try:
        yield store, own
    finally:
        keys.remove(key, _NAMESPACE, False)


def _join(keys: Any, key: bytes, timeout_s: float) -> Any:
    end = time.monotonic() + timeout_s
    while True:
        address = keys.get(key, _NAMESPACE)
        if address is not None:
            host, _, port = address.decode().rpartition(":")
            left = timedelta(seconds=min(_TRY_S, max(_NAP_S, end - time.monotonic())))
            with contextlib.suppress(dist.DistError):  # nobody there: an earlier group's, whose first member has died
                return dist.TCPStore(host, int(port), None, False, left, wait_for_workers=False)
        if time.monotonic() > end:
            raise TimeoutError(
                f"the first member of the group {key.decode()!r} has not come within {timeout_s} seconds"
            )
        time.sleep(_NAP_S)
