"""Starting workers that grants wait for, and stopping those that are not needed."""

from __future__ import annotations

from ray_async.runtime.scheduler.instructions import (
    Instruction,
    KillForPlacementGroup,
    StartWorker,
    StopReason,
    StopWorker,
)
from ray_async.runtime.scheduler.node_table import NodeRow, WorkerRow, WorkerState
from ray_async.runtime.scheduler.tables import ClusterState
from ray_async.runtime.scheduler.worker_limit import report_limit

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
            for env_key, grants in node.waiting.items():
                if self._state.now >= node.start_pauses.get(env_key, (0.0, 0.0))[0]:
                    self.start(node, env_key, len(grants) - node.starting.get(env_key, 0))

    def retry(self) -> None:
        """Look again at environments whose pause after a failure is over."""
        forget_before = self._state.now - self._state.settings.start_pause_limit_s
        for node in self._state.nodes:
            if node.start_pauses and node.waiting:
                self._state.short_of_workers[node] = None
            for env_key, (until, _) in list(node.start_pauses.items()):
                if until < forget_before and env_key not in node.waiting:
                    del node.start_pauses[env_key]

    def failed(self, node: NodeRow, env_key: str, count: int) -> None:
        """Count workers that will not come, and pause before the next try."""
        settings = self._state.settings
        _, before = node.start_pauses.get(env_key, (0.0, 0.0))
        pause = min(settings.start_pause_limit_s, before * 2 or settings.start_pause_s)
        node.start_pauses[env_key] = (self._state.now + pause, pause)
        self._count_off(node, env_key, count)
        self._state.freed = True

    def start(self, node: NodeRow, env_key: str, count: int) -> None:
        """Start up to `count` workers, making room by stopping idle ones of other environments."""
        started = 0
        while started < count:
            population = node.task_workers + node.starting_count
            if population >= min(node.soft_limit, self._state.settings.max_task_workers):
                other = node.oldest_idle_except(env_key, None)
                if other is not None:
                    self.stop(other, StopReason.OTHER_ENVIRONMENT)
                elif population >= self._state.settings.max_task_workers:
                    report_limit(self._state, node)
                    break
            node.starting[env_key] = node.starting.get(env_key, 0) + 1
            started += 1
        if started:
            self._state.emit(StartWorker(node.node_id, env_key, started))

    def arrived(self, node: NodeRow, env_key: str) -> None:
        """Count a worker as no longer starting."""
        node.start_pauses.pop(env_key, None)
        self._count_off(node, env_key, 1)

    def _count_off(self, node: NodeRow, env_key: str, count: int) -> None:
        left = node.starting.get(env_key, 0) - count
        if left > 0:
            node.starting[env_key] = left
        else:
            node.starting.pop(env_key, None)
        if node.waiting_count:
            self._state.short_of_workers[node] = None

    def stop(self, worker: WorkerRow, reason: StopReason) -> None:
        """Ask for a worker's end, once."""
        self._end(worker, StopWorker(worker.slot, reason))

    def kill(self, worker: WorkerRow, pg_id: str) -> None:
        """Have a worker killed whose placement group was removed; it keeps what it holds until it is dead."""
        self._end(worker, KillForPlacementGroup(worker.slot, pg_id))

    def _end(self, worker: WorkerRow, instruction: Instruction) -> None:
        if worker.state is WorkerState.STOPPING:
            return
        if worker.state is WorkerState.IDLE:
            worker.node.drop_idle(worker)
        self.leave(worker)
        worker.state = WorkerState.STOPPING
        self._state.emit(instruction)

    def leave(self, worker: WorkerRow) -> None:
        """Take a worker out of its node's counts."""
        node = worker.node
        if worker.state is WorkerState.ACTOR:
            node.actor_workers -= 1
        elif worker.state is not WorkerState.STOPPING:
            node.task_workers -= 1
            node.limit_reported = False
            self._state.freed = True
            if node.waiting_count:
                self._state.short_of_workers[node] = None

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
        """When `stop_unused` or `retry` next has something to do."""
        times = [
            next(iter(node.idle_since.values())) + self._idle_s
            for node in self._state.nodes
            if node.idle_since and node.task_workers > node.soft_limit
        ]
        times += [
            node.start_pauses[env_key][0]
            for node in self._state.nodes
            if node.start_pauses
            for env_key in node.waiting
            if env_key in node.start_pauses and len(node.waiting[env_key]) > node.starting.get(env_key, 0)
        ]
        return min(times, default=None)
