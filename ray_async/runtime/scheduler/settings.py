"""Numbers that the scheduler works with."""

from __future__ import annotations

from ray_async.frozen import Record

__all__ = ("SchedulerSettings",)


class SchedulerSettings(Record):
    """Limits and times (seconds) of the scheduler.

    Args:
        spread_threshold: used share (0 to 1) of a node from which DEFAULT prefers the least used node.
        max_task_workers: workers of one node, those of actors apart; a depth limit for tasks that wait for tasks.
        max_starting: workers that one node starts at a time; 0 for its number of CPUs.
        soft_worker_limit: idle workers beyond so many workers of a node are stopped; 0 for its number of CPUs.
        worker_idle_s: how long such a worker stays.
        lease_idle_s: how long a lease may do nothing before it is asked back.
        fresh_lease_s: a new lease counts as busy after so long, if nothing was reported of it.
        quantum_s: how long a lease may run before it can be asked back for others, and how long those wait first.
        hold_s: how long resources are first held back for one that waits; doubles each time it was in vain.
        hold_limit_s: longest time that they are held back.
        start_pause_s: pause after a worker failed to start; doubles with each further failure of its environment.
        start_pause_limit_s: longest such pause.
        prestart: workers of the plain environment to start on a new node.
        fail_infeasible: give up what no node could ever hold, instead of warning and waiting for a node that can.
    """

    spread_threshold: float = 0.5
    max_task_workers: int = 250
    max_starting: int = 0
    soft_worker_limit: int = 0
    worker_idle_s: float = 1.0
    lease_idle_s: float = 0.5
    fresh_lease_s: float = 0.02
    quantum_s: float = 0.02
    hold_s: float = 1.0
    hold_limit_s: float = 60.0
    start_pause_s: float = 0.1
    start_pause_limit_s: float = 5.0
    prestart: int = 0
    fail_infeasible: bool = False
