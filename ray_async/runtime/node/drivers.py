"""Drivers: who is attached to the node, and what happens when one goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

from ray_async._core.constants import ProcessKind
from ray_async.runtime.node.death.evidence import DeathCause

if TYPE_CHECKING:
    from ray_async.runtime.messages.job_description import JobDescription
    from ray_async.runtime.node.node import Node
    from ray_async.runtime.node.workers import WorkerProcess
    from ray_async.transport.server import Peer

__all__ = ("Drivers",)


class _Driver:
    __slots__ = ("job", "owns_node", "pid", "pidfd", "slot")

    def __init__(self, job: int, pid: int, slot: int, owns_node: bool) -> None:
        self.job = job
        self.pid = pid
        self.slot = slot
        self.owns_node = owns_node
        self.pidfd = -1


class Drivers:
    """The node's drivers.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._by_slot: dict[int, _Driver] = {}
        self._next_job = 1

    def add(self, job: int, pid: int, slot: int, owns_node: bool) -> None:
        """Watch a driver's process."""
        driver = self._by_slot[slot] = _Driver(job, pid, slot, owns_node)
        self._next_job = max(self._next_job, job + 1)
        with contextlib.suppress(OSError, AttributeError):
            driver.pidfd = os.pidfd_open(pid)
            asyncio.get_running_loop().add_reader(driver.pidfd, self._died, driver)
        if driver.pidfd < 0 and not _is_alive(pid):
            self._died(driver)

    def attach(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """A process of this user joins as a driver: it gets a job, and the arena's descriptor by another message."""
        pid = int(message["pid"])
        job: JobDescription = {
            "id": self._next_job,
            "namespace": str(message["namespace"]),
            "sys_path": [str(p) for p in message["sys_path"]],
            "cwd": str(message["cwd"]),
            "default_actor_lifetime": message.get("default_actor_lifetime"),
            "logging": dict(message.get("logging") or {}),
            "imports": [str(name) for name in message.get("imports") or ()],
        }
        slot = self._node.arena.reserve(ProcessKind.DRIVER)
        self._node.environments.add_job(job)
        self.add(job["id"], pid, slot, owns_node=False)
        peer.notes.update(slot=slot, pid=pid)
        config = self._node.config
        return {
            "job": job,
            "slot": slot,
            "node_id": config["node_id"],
            "node_ip": config["node_ip"],
            "node_pid": os.getpid(),
            "address": config["address"],
            "session_dir": config["session_dir"],
            "spill_path": config["spill_path"],
            "directory": config["directory"],
            "arena_fd": self._node.arena.fd,
            "labels": config.get("labels") or {},
        }

    def add_foreign(self, given: JobDescription) -> int:
        """Give a job of another node, whose tasks run here, a number of this node's."""
        number, self._next_job = self._next_job, self._next_job + 1
        self._node.environments.add_job({**given, "id": number})
        return number

    def job_of(self, peer: Peer) -> int:
        """Job of the worker or driver at the other end of a connection; 0 for none."""
        slot = peer.notes.get("slot")
        if slot is None:
            return 0
        process = self._node.workers.by_slot.get(slot) or self._by_slot.get(slot)
        return process.job if process is not None else 0

    def tick(self) -> None:
        """Where there are no pidfds: look for drivers that are gone."""
        for driver in list(self._by_slot.values()):
            if driver.pidfd < 0 and not _is_alive(driver.pid):
                self._died(driver)

    def left(self, slot: int) -> list[int]:
        """A driver has called shutdown; returns the processes that end with its job."""
        driver = self._by_slot.get(slot)
        pids = []
        if driver is not None:
            pids = [worker.pid for worker in self._ending(driver) if worker.pid]
            self._node.workers.drain(driver.job)
            self._node.survived.flush()
            self._node.listeners.end(driver.job)
            self._died(driver)
        return pids

    def _ending(self, driver: _Driver) -> list[WorkerProcess]:
        """The workers that end with a driver's job: where a detached actor lives on, the job's workers do."""
        workers = self._node.workers.by_slot.values()
        if driver.owns_node:
            return list(workers)
        if self._has_detached(driver.job):
            return []
        return [worker for worker in workers if worker.job == driver.job]

    def _has_detached(self, job: int) -> bool:
        # One of another node is made by the agent, and is of that node's job.
        return any(
            a.description.detached and job in (a.job, a.description.job) for a in self._node.actors.by_offset.values()
        )

    def _died(self, driver: _Driver) -> None:
        if driver.pidfd >= 0:
            asyncio.get_running_loop().remove_reader(driver.pidfd)
            os.close(driver.pidfd)
            driver.pidfd = -1
        self._by_slot.pop(driver.slot, None)
        if driver.owns_node:
            self._node.stop()
            return
        self._end_work(driver.job)
        self._node.view.reap(driver.slot)
        self.end_job(driver.job)

    def _end_work(self, job: int) -> None:
        self._node.tasks.job_ended(job)
        self._node.actors.job_ended(job)
        self._node.groups.job_ended(job)
        if self._node.cluster is not None:
            self._node.cluster.job_over(job)

    def job_over(self, job: int) -> None:
        """A job of another node is over: so is what was run of it here."""
        self._end_work(job)
        self.end_job(job)

    def end_job(self, job: int) -> None:
        """End a job's workers and forget it, if its driver and its detached actors are gone."""
        if self._has_detached(job) or any(driver.job == job for driver in self._by_slot.values()):
            return
        for worker in list(self._node.workers.by_slot.values()):
            if worker.job == job:
                self._node.workers.kill(worker, DeathCause.JOB_ENDED)
        self._node.environments.end_job(job)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
