"""Drivers: who is attached to the node, and what happens when one goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ray_async._core.arena import Arena
from ray_async._core.constants import ProcessKind
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.workers import WorkerProcess, Workers

if TYPE_CHECKING:
    from ray_async.runtime.messages.job_description import JobDescription
    from ray_async.runtime.messages.session_description import NodeConfig
    from ray_async.transport.server import Peer

__all__ = ("Drivers", "PartOfJobs")


class PartOfJobs(Protocol):
    """A part of the node that has things of jobs."""

    def job_ended(self, job: int) -> None:
        """End what is a job's, whose driver is gone."""


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
        config: of the node, which drivers that join are given.
        arena: where they get places.
        environments: know the jobs.
        workers: end with their jobs.
        actors: detached ones keep their jobs.
        parts: have what else ends with a job.
        on_leave: called with a job whose driver leaves, while the driver still listens.
        on_end: called with the slot of a driver that is gone.
        stop: ends the node.
    """

    def __init__(
        self,
        config: NodeConfig,
        arena: Arena,
        environments: Environments,
        workers: Workers,
        actors: ActorTable,
        parts: Sequence[PartOfJobs],
        *,
        on_leave: Callable[[int], None],
        on_end: Callable[[int], None],
        stop: Callable[[], None],
    ) -> None:
        self._config = config
        self._arena = arena
        self._environments = environments
        self._workers = workers
        self._actors = actors
        self._parts = parts
        self._on_leave = on_leave
        self._on_end = on_end
        self._stop = stop
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
        slot = self._arena.reserve(ProcessKind.DRIVER)
        self._environments.add_job(job)
        self.add(job["id"], pid, slot, owns_node=False)
        peer.notes.update(slot=slot, pid=pid)
        config = self._config
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
            "arena_fd": self._arena.fd,
            "labels": config.get("labels") or {},
        }

    def add_foreign(self, given: JobDescription) -> int:
        """Give a job of another node, whose tasks run here, a number of this node's."""
        number, self._next_job = self._next_job, self._next_job + 1
        self._environments.add_job({**given, "id": number})
        return number

    def job_of(self, peer: Peer) -> int:
        """Job of the worker or driver at the other end of a connection; 0 for none."""
        slot = peer.notes.get("slot")
        if slot is None:
            return 0
        process = self._workers.by_slot.get(slot) or self._by_slot.get(slot)
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
            self._workers.drain(driver.job)
            self._on_leave(driver.job)
            self._died(driver)
        return pids

    def _ending(self, driver: _Driver) -> list[WorkerProcess]:
        """The workers that end with a driver's job: where a detached actor lives on, the job's workers do."""
        workers = self._workers.by_slot.values()
        if driver.owns_node:
            return list(workers)
        if self._actors.has_detached(driver.job):
            return []
        return [worker for worker in workers if worker.job == driver.job]

    def _died(self, driver: _Driver) -> None:
        if driver.pidfd >= 0:
            asyncio.get_running_loop().remove_reader(driver.pidfd)
            os.close(driver.pidfd)
            driver.pidfd = -1
        self._by_slot.pop(driver.slot, None)
        if driver.owns_node:
            self._stop()
            return
        self._end_work(driver.job)
        self._on_end(driver.slot)
        self.end_job(driver.job)

    def _end_work(self, job: int) -> None:
        for part in self._parts:
            part.job_ended(job)

    def job_over(self, job: int) -> None:
        """A job of another node is over: so is what was run of it here."""
        self._end_work(job)
        self.end_job(job)

    def end_job(self, job: int) -> None:
        """End a job's workers and forget it, if its driver and its detached actors are gone."""
        if self._actors.has_detached(job) or any(driver.job == job for driver in self._by_slot.values()):
            return
        for worker in list(self._workers.by_slot.values()):
            if worker.job == job:
                self._workers.kill(worker, DeathCause.JOB_ENDED)
        self._environments.end_job(job)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
