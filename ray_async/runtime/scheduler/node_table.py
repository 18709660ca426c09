"""Logical nodes and their workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum

from ray_async.runtime.scheduler.grants import Grant
from ray_async.runtime.scheduler.pool import AcceleratorIds, ResourcePool
from ray_async.runtime.scheduler.resources import UNITS_PER_ONE, ResourceSet

__all__ = ("NODE_ID_LABEL", "NodeRow", "NodeTable", "WorkerKey", "WorkerRow", "WorkerState")

NODE_ID_LABEL = "ray.io/node-id"
_MAX_PAST_NODES = 1000  # nodes that are gone, of which workers may report still

#: Environment and devices; None for the devices of a worker that was never leased and can still take any.
WorkerKey = tuple[str, AcceleratorIds | None]


class WorkerState(Enum):
    """What a worker is used for."""

    IDLE = "idle"
    LEASED = "leased"
    ACTOR = "actor"
    STOPPING = "stopping"


class WorkerRow:
    """One worker process."""

    __slots__ = ("devices", "env_key", "grant", "node", "slot", "state")

    def __init__(self, slot: int, node: NodeRow, env_key: str) -> None:
        self.slot = slot
        self.node = node
        self.env_key = env_key
        self.devices: AcceleratorIds | None = None
        self.state = WorkerState.IDLE
        self.grant: Grant | None = None

    @property
    def key(self) -> WorkerKey:
        """Which grants the worker can serve."""
        return self.env_key, self.devices


class NodeRow:
    """A logical node: resources, labels, workers, and the grants that wait for a worker of it."""

    __slots__ = (
        "actor_workers",
        "alive",
        "idle",
        "idle_since",
        "labels",
        "limit_reported",
        "max_starting",
        "node_id",
        "pool",
        "soft_limit",
        "start_pauses",
        "starting",
        "task_workers",
        "waiting",
        "waiting_count",
        "workers",
    )

    def __init__(self, node_id: str, resources: ResourceSet, labels: Mapping[str, str]) -> None:
        self.node_id = node_id
        self.labels = {**labels, NODE_ID_LABEL: node_id}
        self.pool = ResourcePool.for_node(self, resources)
        self.alive = True
        cpus = max(1, -(-resources["CPU"] // UNITS_PER_ONE))
        self.soft_limit = cpus
        self.max_starting = cpus
        self.workers: dict[int, WorkerRow] = {}
        self.task_workers = 0
        self.actor_workers = 0
        self.idle: dict[WorkerKey, dict[int, WorkerRow]] = {}
        self.idle_since: dict[int, float] = {}
        self.starting: dict[str, int] = {}
        self.waiting: dict[str, deque[Grant]] = {}
        self.waiting_count = 0
        self.limit_reported = False
        #: Environments whose workers failed to start: no new try before (time, after a pause of so many seconds).
        self.start_pauses: dict[str, tuple[float, float]] = {}

    @property
    def starting_count(self) -> int:
        """Workers that were asked for and are not there yet."""
        return sum(self.starting.values())

    def add_idle(self, worker: WorkerRow, now: float) -> None:
        """File an idle worker; the newest is used first and stopped last."""
        worker.state = WorkerState.IDLE
        self.idle.setdefault(worker.key, {})[worker.slot] = worker
        self.idle_since[worker.slot] = now

    def drop_idle(self, worker: WorkerRow) -> None:
        """Take a worker out of the idle ones."""
        shelf = self.idle[worker.key]
        del shelf[worker.slot], self.idle_since[worker.slot]
        if not shelf:
            del self.idle[worker.key]

    def find_idle(self, env_key: str, devices: AcceleratorIds) -> WorkerRow | None:
        """Return the newest idle worker that can serve such a grant: one used alike, else an unused one."""
        for key in ((env_key, devices), (env_key, None)):
            shelf = self.idle.get(key)
            if shelf:
                return shelf[next(reversed(shelf))]
        return None

    def oldest_idle_except(self, env_key: str, devices: AcceleratorIds | None) -> WorkerRow | None:
        """Return the worker that was idle longest among those that cannot serve such a grant."""
        useful = ((env_key, devices), (env_key, None)) if devices is not None else ((env_key, None),)
        for slot in self.idle_since:
            worker = self.workers[slot]
            if worker.key not in useful:
                return worker
        return None

    @property
    def blocked_workers(self) -> int:
        """Workers whose task waits for other tasks."""
        return sum(1 for worker in self.workers.values() if worker.grant is not None and worker.grant.blocked)


class NodeTable:
    """All nodes, live ones in order of arrival (the head first) and the ids of those that are gone."""

    __slots__ = ("_alive", "gone")

    def __init__(self) -> None:
        self._alive: dict[str, NodeRow] = {}
        self.gone: dict[str, NodeRow] = {}

    def add(self, node: NodeRow) -> None:
        """Add a live node; ValueError when its id was used before."""
        if node.node_id in self._alive or node.node_id in self.gone:
            raise ValueError(f"node id {node.node_id!r} was used before")
        self._alive[node.node_id] = node

    def remove(self, node_id: str) -> NodeRow | None:
        """Mark a node as gone and return it; None when it is not a live one."""
        node = self._alive.pop(node_id, None)
        if node is not None:
            node.alive = False
            node.pool.closed = True
            self.gone[node_id] = node
            if len(self.gone) > _MAX_PAST_NODES:
                del self.gone[next(iter(self.gone))]
        return node

    def get(self, node_id: str) -> NodeRow | None:
        """Return a live node."""
        return self._alive.get(node_id)

    def __iter__(self) -> Iterator[NodeRow]:
        return iter(self._alive.values())

    def __len__(self) -> int:
        return len(self._alive)
