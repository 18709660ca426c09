"""Dask as the engine of the cluster: the one module that imports distributed.

The head runs a `Scheduler`, each node's agent a `Worker` and a `Client` of it. Dask keeps the membership, notices what
dies, and runs again what a dead node had taken. What agents say to each other goes over comms of the worker's own port.

distributed opens an HTTP port in every scheduler and worker, also with ``dashboard=False``: here it opens none.
Importing dask changes how the whole process pickles exceptions; that is undone.
"""

from __future__ import annotations

import asyncio
import copyreg
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

_reducers = dict(copyreg.dispatch_table)

import dask  # noqa: E402
from distributed import Client, Scheduler, Status, Worker  # noqa: E402
from distributed.comm import CommClosedError, connect  # noqa: E402
from distributed.core import rpc  # noqa: E402
from distributed.diagnostics.plugin import SchedulerPlugin  # noqa: E402
from distributed.protocol.serialize import Serialized, register_serialization_family  # noqa: E402
from distributed.security import Security  # noqa: E402

from ray_async.cluster.security import Credentials  # noqa: E402

copyreg.dispatch_table.clear()
copyreg.dispatch_table.update(_reducers)

__all__ = ("ClosedError", "ClusterHead", "Link", "Membership", "ask_head", "connect_link")

#: What is raised where a connection is gone.
ClosedError = CommClosedError

Answer = Callable[..., Awaitable[Any]]
_FAMILY = "ray_async"
_LANE = "ray_async_lane"
_KEY_PREFIX = "ray_async-batch"
_MAX_HELD_BATCHES = 1 << 14  # batches that a node holds at once: they wait on its loop, and take no thread
_CONNECT_S = 10
_HANDSHAKE_S = 3

dask.config.set(
    {
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.allowed-failures": 1 << 30,  # who may run again is decided where the task came from
        "distributed.scheduler.worker-ttl": "12s",
        "distributed.worker.profile.enabled": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.admin.tick.interval": "5s",  # ticks and samples of the machine, which nobody here reads
        "distributed.admin.tick.cycle": "20s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.tick.limit": "1h",  # a busy machine is no reason for a warning
        "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
        "distributed.comm.timeouts.tcp": "12s",
        "distributed.comm.retry.count": 0,
    }
)
# Bytes go as they are: a message's frames are neither pickled nor copied together.
register_serialization_family(_FAMILY, lambda value, context=None: ({}, value), lambda header, frames: list(frames))


class _Silent:
    """A server that opens no HTTP port."""

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """Open nothing."""


class _SilentScheduler(_Silent, Scheduler):  # type: ignore[misc]  # distributed ships no types
    pass


class _SilentWorker(_Silent, Worker):  # type: ignore[misc]
    pass


class _Watch(SchedulerPlugin):  # type: ignore[misc]
    """Notes the workers that the scheduler removes, and counts the batches that it hands out."""

    name = "ray_async"

    def __init__(self, lost: Callable[[str], None]) -> None:
        self._lost = lost
        self.batches = 0

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if finish == "processing" and str(key).startswith(_KEY_PREFIX):
            self.batches += 1

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        self._lost(worker)


class ClusterHead:
    """The scheduler of a cluster.

    Args:
        credentials: of the cluster.
        host: the address to listen at.
        port: the port; 0 for any.
        folder: for Dask's files; removed by whoever made it.
        answers: by operation, what answers a member's request.
        lost: called with the address of each member that is gone.
    """

    def __init__(
        self,
        credentials: Credentials,
        host: str,
        port: int,
        folder: str,
        answers: dict[str, Answer],
        lost: Callable[[str], None],
    ) -> None:
        self._security = _security(credentials, "head")
        self._watch = _Watch(lost)
        self._scheduler = _SilentScheduler(
            host=host,
            port=port,
            protocol="tls",
            security=self._security,
            dashboard=False,
            local_directory=folder,
            plugins=[self._watch],
        )
        self._scheduler.handlers.update(answers)

    async def start(self) -> str:
        """Listen; returns the address as ``host:port``.

        Raises:
            OSError: the port is taken.
        """
        await self._scheduler
        return _bare(self._scheduler.address)

    async def reach(self, address: str) -> None:
        """Connect to a member, to see that it can be reached.

        Raises:
            OSError: it does not answer.
        """
        await _handshake(address, self._security)

    async def close(self) -> None:
        """Stop listening; members lose their connection."""
        await self._scheduler.close()

    def batches(self) -> int:
        """How often the scheduler has handed a batch of tasks to a node."""
        return self._watch.batches


class Link:
    """One connection between two agents: messages in both directions, in order.

    Args:
        comm: an open comm of distributed.
    """

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self.peer: str = _bare(comm.peer_address)

    async def send(self, messages: list[tuple[dict[str, Any], list[Any]]]) -> None:
        """Send messages, each with its frames of bytes.

        Raises:
            ClosedError: the connection is gone.
        """
        packed = [
            (
                header,
                Serialized({"serializer": _FAMILY, "lengths": [len(f) for f in frames]}, frames) if frames else None,
            )
            for header, frames in messages
        ]
        await self._comm.write(packed)

    async def receive(self) -> list[tuple[dict[str, Any], list[Any]]]:
        """Wait for the next messages.

        Raises:
            ClosedError: the connection is gone.
        """
        return [(header, _frames(body)) for header, body in await self._comm.read()]

    async def close(self) -> None:
        """Close the connection."""
        await self._comm.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._comm.abort()


def _frames(body: Any) -> list[Any]:
    if body is None:
        return []
    return list(body.frames) if isinstance(body, Serialized) else list(body)


class Serves(Protocol):
    """Takes over a connection that another agent has made."""

    async def __call__(self, link: Link) -> None:
        """Serve it to its end."""


class Membership:
    """A node's part in the cluster: a worker that takes batches, and a client that hands them out.

    Args:
        credentials: of the cluster.
        head: ``host:port`` of the scheduler.
        host: the address to listen at.
        port: the port; 0 for any.
        folder: for Dask's files; removed by whoever made it.
        serve: takes connections of other agents.
        run_batch: runs a batch that another node has handed out, given as its address and the batch's number.
    """

    def __init__(
        self,
        credentials: Credentials,
        head: str,
        host: str,
        port: int,
        folder: str,
        serve: Serves,
        run_batch: Callable[[str, int], Awaitable[int]],
    ) -> None:
        global _run_batch
        _run_batch = run_batch
        self._security = _security(credentials, "node")
        self._serve = serve
        self._head = f"tls://{head}"
        self._worker: Any = None
        self._client: Any = None
        self._host, self._port, self._folder = host, port, folder
        self._next = 0

    async def start(self) -> str:
        """Join; returns the address that other agents connect to, as ``host:port``.

        Raises:
            OSError: the head does not answer, or the port is taken.
        """
        await self._probe()
        try:
            self._worker = _SilentWorker(
                self._head,
                host=self._host,
                port=self._port,
                protocol="tls",
                security=self._security,
                nthreads=_MAX_HELD_BATCHES,
                memory_limit=0,
                dashboard=False,
                local_directory=self._folder,
                heartbeat_interval="1s",
            )
            self._worker.handlers[_LANE] = self._lane
            await asyncio.wait_for(self._worker.start(), 3 * _CONNECT_S)
            self._client = await Client(
                self._head, security=self._security, asynchronous=True, set_as_default=False, timeout=_CONNECT_S
            )
        except TimeoutError as error:
            raise OSError(f"the head at {self._head} does not answer") from error
        return _bare(self._worker.address)

    async def _probe(self) -> None:
        """Connect to the head once, to tell in a sentence what is wrong: Dask would try again for long.

        Raises:
            OSError: nobody listens, or it is another cluster's.
        """
        bare = _bare(self._head)
        try:
            await _handshake(bare, self._security)
        except ssl.SSLError as error:
            raise OSError(
                f"what listens at {bare} is not the head of this cluster: its certificate is not by the authority in "
                f"the credentials that were given ({error.reason})"
            ) from error
        except TimeoutError as error:
            raise OSError(f"nothing answers at {bare} within {_HANDSHAKE_S} s") from error
        except OSError as error:
            raise OSError(f"no head of a cluster listens at {bare}: {error}") from error

    async def _lane(self, comm: Any, **kwargs: Any) -> Any:
        await self._serve(Link(comm))
        return Status.dont_reply

    async def ask_head(self, op: str, **fields: Any) -> Any:
        """Ask the head.

        Raises:
            OSError: it is gone.
        """
        return await getattr(self._worker.scheduler, op)(**fields)

    async def hand_out(self, origin: str, batch: int, address: str) -> int:
        """Have a batch run, on the node at an address if that lives on; returns how many records it ran.

        Raises:
            Exception: no node ran it.
        """
        self._next += 1
        key = f"{_KEY_PREFIX}-{hash((origin, batch, self._next)) & (1 << 128) - 1:032x}"
        future = self._client.submit(
            _run_handed_out, origin, batch, key=key, workers=[f"tls://{address}"], allow_other_workers=True, pure=False
        )
        return int(await future)

    async def connect(self, address: str) -> Link:
        """Connect to another agent.

        Raises:
            OSError: it does not answer.
        """
        return await connect_link(address, self._security)

    async def finished(self) -> None:
        """Wait until the scheduler is gone, or has removed this worker."""
        await self._worker.finished()

    async def close(self) -> None:
        """Leave the cluster."""
        await self._client.close()
        await self._worker.close()


async def _handshake(address: str, security: Security) -> None:
    """Connect to ``host:port`` once, to see that it can be reached, and whose it is.

    Raises:
        OSError: it cannot; an `ssl.SSLError` where it is not this cluster's.
    """
    host, _, port = address.rpartition(":")
    context = security.get_connection_args("worker")["ssl_context"]
    opening = asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    _, writer = await asyncio.wait_for(opening, _HANDSHAKE_S)
    writer.close()


async def connect_link(address: str, security: Security) -> Link:
    """Connect to an agent at ``host:port``.

    Raises:
        OSError: it does not answer.
    """
    comm = await connect(f"tls://{address}", timeout=_CONNECT_S, **security.get_connection_args("worker"))
    await comm.write({"op": _LANE, "reply": False})
    return Link(comm)


async def ask_head(credentials: Credentials, head: str, op: str, **fields: Any) -> Any:
    """Ask the head at ``host:port`` from outside of the cluster.

    Raises:
        OSError: it does not answer.
    """
    security = _security(credentials, "asker")
    async with rpc(f"tls://{head}", connection_args=security.get_connection_args("client")) as head_rpc:
        return await getattr(head_rpc, op)(**fields)


async def _no_batch(origin: str, batch: int) -> int:
    raise RuntimeError("this process is no agent")


_run_batch: Callable[[str, int], Awaitable[int]] = _no_batch


async def _run_handed_out(origin: str, batch: int) -> int:
    """The body of each of our Dask tasks."""
    return await _run_batch(origin, batch)


def _security(credentials: Credentials, name: str) -> Security:
    own = credentials.issue(name)
    ends = {f"tls_{role}_cert": own.certificate for role in ("scheduler", "worker", "client")}
    keys = {f"tls_{role}_key": own.key for role in ("scheduler", "worker", "client")}
    return Security(require_encryption=True, tls_ca_file=credentials.authority, **ends, **keys)


def _bare(address: str) -> str:
    return address.rpartition("://")[2]
