"""Torch config: the process group of torch.distributed that all workers of a run are in."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from typing import Any

from ray_async.train.backend import Backend, BackendConfig
from ray_async.train.messages import WorldPlace

__all__ = ("TorchBackend", "TorchConfig")


@dataclass
class TorchConfig(BackendConfig):
    """Settings of the process group.

    Args:
        backend: ``"gloo"`` or ``"nccl"``; None: ``"nccl"`` where workers have GPUs.
        init_method: ``"env"`` or ``"tcp"``: accepted, and the same here, since the workers meet at a store of rank 0.
        timeout_s: Seconds that a collective call may take.
    """

    backend: str | None = None
    init_method: str = "env"
    timeout_s: int = 1800

    def __post_init__(self) -> None:
        if self.init_method not in ("env", "tcp"):
            raise ValueError(f"init_method must be 'env' or 'tcp', but is {self.init_method!r}")

    @property
    def backend_cls(self) -> type[Backend]:
        return TorchBackend


class TorchBackend(Backend):
    """Makes the process group when the workers have started, and ends it with them."""

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        assert isinstance(backend_config, TorchConfig)
        has_gpus = all(fact.gpus for fact in worker_group.facts)
        name = backend_config.backend or ("nccl" if has_gpus else "gloo")
        address = worker_group.facts[0].node_ip
        port = worker_group.execute_single(0, _open_store, address, backend_config.timeout_s)
        worker_group.execute_each(
            _join,
            [(place, name, address, port, backend_config.timeout_s) for place in worker_group.places],
        )

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        worker_group.execute(_leave)


# The store of rank 0, until the process group has taken it.
_stores: list[Any] = []


def _open_store(address: str, timeout: float) -> int:
    """Open a store at a free port, and return that."""
    import torch.distributed as dist

    store = dist.TCPStore(
        address, 0, is_master=True, wait_for_workers=False, timeout=datetime.timedelta(seconds=timeout)
    )
    _stores.append(store)
    return int(store.port)


def _join(place: WorldPlace, name: str, address: str, port: int, timeout: float) -> None:
    import torch.distributed as dist

    os.environ.update(
        MASTER_ADDR=address,
        MASTER_PORT=str(port),
        RANK=str(place.world_rank),
        WORLD_SIZE=str(place.world_size),
        LOCAL_RANK=str(place.local_rank),
        LOCAL_WORLD_SIZE=str(place.local_world_size),
        NODE_RANK=str(place.node_rank),
    )
    limit = datetime.timedelta(seconds=timeout)
    store = _stores.pop() if place.world_rank == 0 else dist.TCPStore(address, port, is_master=False, timeout=limit)
    dist.init_process_group(name, store=store, rank=place.world_rank, world_size=place.world_size, timeout=limit)


def _leave() -> None:
    import torch.distributed as dist

    # The training function may have ended it by itself.
    if dist.is_initialized():
        dist.destroy_process_group()
