"""Session descriptions: what the processes of a session know of it."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from ray_async.runtime.messages.job_description import JobDescription

__all__ = ("NodeConfig", "SessionDescription", "WorkerConfig", "WorkerRequest")


class SessionDescription(TypedDict, total=False):
    """A session, as its drivers and workers know it.

    Args:
        job: The process's job.
        node_id: The head node's id, or that of the worker's logical node, in hexadecimal digits.
        node_ip: The node's address.
        address: Address by which drivers find the node.
        session_dir: Directory of the session.
        directory: Directory of the waiters' files.
        spill_path: Directory of the objects that are on disk.
        system_config: Settings by name.
        labels: The node's labels.
        runtime_env: The job's environment, or the worker's.
        slot: The process's place in the arena's table.
        node_pid, arena_fd: For a driver that attaches: where it finds the arena.
        prestart: Workers that are forked with the node.
    """

    job: JobDescription
    node_id: str
    node_ip: str
    address: str
    session_dir: str
    directory: str
    spill_path: str
    system_config: dict[str, Any]
    labels: dict[str, str]
    runtime_env: dict[str, Any]
    slot: int
    node_pid: int
    arena_fd: int
    prestart: list[WorkerRequest]


class NodeConfig(SessionDescription, total=False):
    """What a node is started with.

    Args:
        node_name: Its name.
        resources: Quantities that it offers (bytes for memory).
        store_bytes: Limit of the object store.
        warm: Modules that the zygote imports once the node runs.
        environ: Variables of the driver that concern thread pools.
        spills: Whether objects go to disk when the store is full.
        spill_budget: Bytes that may be on disk.
        disk_capacity: Share of the disk that may be in use.
        lineage_bytes: Bytes of arguments that are kept to compute lost objects again.
        timeline: Whether the times of tasks are recorded.
        task_history: Whether tasks that succeed are noted.
        preload, preload_path: Modules that workers have when they start, and where to look for them.
        preload_in_workers: Those of them that each worker imports by itself.
        thread_pools: Libraries of the zygote whose pools of threads workers set up anew.
        prestart_worker: Whether a worker is forked with the node.
        oom_score_adj: What is added to the workers' score for the kernel's choice when memory is short.
        niceness: What is added to the workers' niceness.
        driver_pid, driver_slot: The driver that starts the node.
        marker: What marks the processes of the session in their environment.
        control_fd, listen_fd, zygote_fd: Inherited sockets; -1 for none.
        head: Whether the node was started by command.
    """

    node_name: str | None
    resources: dict[str, float]
    store_bytes: int
    warm: list[str]
    environ: dict[str, str]
    spills: bool
    spill_budget: int
    disk_capacity: float
    lineage_bytes: int
    timeline: bool
    task_history: bool
    preload: list[str]
    preload_path: list[str]
    preload_in_workers: list[str]
    thread_pools: list[str]
    prestart_worker: bool
    oom_score_adj: int
    niceness: int
    driver_pid: int
    driver_slot: int
    marker: str
    control_fd: int
    listen_fd: int
    zygote_fd: int
    head: bool


class WorkerRequest(TypedDict):
    """What the zygote is asked for.

    Args:
        slot: Place of the worker in the arena's table.
        env_key: Name of the pool that it belongs to.
        job: Its job.
        runtime_env: Its environment.
        node_id: Its logical node, in hexadecimal digits.
        labels: The node's labels.
    """

    slot: int
    env_key: str
    job: JobDescription
    runtime_env: dict[str, Any]
    node_id: str
    labels: NotRequired[dict[str, str]]


class WorkerConfig(NodeConfig, total=False):
    """What a worker is started with: the node's configuration with the worker's own job, node and environment.

    Args:
        env_key: Name of the pool that the worker belongs to.
    """

    env_key: str
