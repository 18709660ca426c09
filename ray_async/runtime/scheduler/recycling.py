"""Starting workers that grants wait for, and stopping those that are not needed."""

from __future__ import annotations

from ray_async.runtime.scheduler.cluster_state import ClusterState
from ray_async.runtime.scheduler.instructions import StartWorker, StopReason, StopWorker
from ray_async.runtime.scheduler.node_table import Node, Worker, WorkerState

__all__ = ("Recycler",)


class Recycler:
    """Keeps each node's number of workers where it should be."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def start_missing(self) -> None:
        """Start workers for the grants that wait for one."""
        nodes = list(self._state.short_of_workers)
        self._state.short_of_workers.clear()
        for node in nodes:
            if node.alive:
                for env_key, grants in node.waiting.items():
                    self.start(node, env_key, len(grants) - node.starting.get(env_key, 0))

    def start(self, node: Node, env_key: str, count: int) -> None:
        """Start up to `count` workers, making room by stopping idle ones of other environments."""
        started = 0
        while started < count:
            population = node.task_workers + node.starting_count
            if population >= min(node.soft_limit, self._state.settings.max_task_workers):
                other = node.oldest_idle_except(env_key, None)
                if other is not None:
                    self.stop(other, StopReason.OTHER_ENVIRONMENT)
                elif population >= self._state.settings.max_task_workers:
                    break
            node.starting[env_key] = node.starting.get(env_key, 0) + 1
            started += 1
        if started:
            self._state.emit(StartWorker(node.node_id, env_key, started))

    def arrived(self, node: Node, env_key: str, count: int) -> None:
        """Count workers as no longer starting."""
        left = node.starting.get(env_key, 0) - count
        if left > 0:
            node.starting[env_key] = left
        else:
            node.starting.pop(env_key, None)
        if node.waiting_count:
            self._state.short_of_workers[node] = None

    def stop(self, worker: Worker, reason: StopReason) -> None:
        """Ask for a worker's end, once."""
        if worker.state is WorkerState.STOPPING:
            return
        if worker.state is WorkerState.IDLE:
            worker.node.drop_idle(worker)
        self.leave(worker)
        worker.state = WorkerState.STOPPING
        self._state.emit(StopWorker(worker.slot, reason))

    def leave(self, worker: Worker) -> None:
        """Take a worker out of its node's counts."""
        node = worker.node
        if worker.state is WorkerState.ACTOR:
            node.actor_workers -= 1
        elif worker.state is not WorkerState.STOPPING:
            node.task_workers -= 1
            node.limit_told = False
            self._state.freed = True

    def stop_unused(self) -> None:
        """Stop workers beyond the soft limit that were idle for too long, the longest idle first."""
        for node in self._state.nodes:
            for slot, since in list(node.idle_since.items()):
                if node.task_workers <= node.soft_limit or since + self._idle_s > self._state.now:
                    break
                self.stop(node.workers[slot], StopReason.IDLE)

    @property
    def _idle_s(self) -> float:
        return self._state.settings.worker_idle_s

    def next_time(self) -> float | None:
        """When `stop_unused` next has something to do."""
        times = [
            next(iter(node.idle_since.values())) + self._idle_s
            for node in self._state.nodes
            if node.idle_since and node.task_workers > node.soft_limit
        ]
        return min(times, default=None)
