"""Requests to the node over its sockets: JSON in, JSON out. Every field is checked; a bad request gets an error."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async.runtime.node.key_values import KeyValues
from ray_async.transport.frames import decode_bytes
from ray_async.transport.server import Peer, Server

if TYPE_CHECKING:
    from ray_async.runtime.node.process import Node

__all__ = ("Control",)

_logger = logging.getLogger("ray_async.node")
_MAX_TIMES = 100_000
_MEBIBYTE = 1 << 20
_STORE = "object_store_memory"

Message = dict[str, Any]


class Control:
    """The operations that processes of the session may ask for.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._server = Server(self._received, self._lost)
        self.accelerators: dict[int, dict[str, list[int]]] = {}
        self._found: dict[Peer, list[int]] = {}
        self._key_values = KeyValues()
        self._answers: dict[str, Callable[[Peer, Message], Any]] = {
            "attach": self._attach,
            "leave": lambda peer, m: {"pids": self._node.drivers.left(int(m["slot"]))},
            "name_actor": self._name_actor,
            "get_actor": self._get_actor,
            "kill_actor": self._kill_actor,
            "actor_failed": self._actor_failed,
            "actor_leaves": self._actor_leaves,
            "lease_accelerators": lambda peer, m: {"accelerators": self.accelerators.get(int(m["slot"]), {})},
            "list_named_actors": self._list_named_actors,
            "nodes": lambda peer, m: {"value": self._node.drivers.node_rows()},
            "cluster_resources": lambda peer, m: {"value": self._node.scheduler.report.cluster_resources()},
            "available_resources": self._available_resources,
            "timeline": self._timeline,
            "statistics": self._statistics,
            "pending_demands": lambda peer, m: {"value": self._node.classes.pending()},
            "pg_create": lambda peer, m: {"value": self._create_group(peer, m)},
            "pg_remove": self._pg_remove,
            "pg_get": lambda peer, m: {"value": self._node.groups.find(str(m["name"]), self._namespace_of(peer))},
            "pg_table": lambda peer, m: {"value": self._node.groups.table(m.get("placement_group_id"))},
            "pg_ready": self._pg_ready,
            "add_node": lambda peer, m: {"value": self._node.drivers.add_node(m)},
            "state_nodes": lambda peer, m: {"value": self._node.drivers.state_rows()},
            "node_numbers": lambda peer, m: {"value": self._node.copies.numbers()},
            "remove_node": lambda peer, m: {"value": self._node.drivers.remove_node(str(m["node_id"]))},
            "explain_task": lambda peer, m: {"value": self._node.explainer.explain(int(m["record"]))},
            "tasks": lambda peer, m: {"value": self._node.listing.tasks()},
            "objects": lambda peer, m: {"value": self._node.listing.objects()},
            "workers": lambda peer, m: {"value": self._node.listing.workers()},
            "actors": lambda peer, m: {"value": self._node.actors.rows()},
            "kv_get": lambda peer, m: {"value": self._key_values.get(m)},
            "kv_put": lambda peer, m: {"value": self._key_values.put(m)},
            "kv_exists": lambda peer, m: {"value": self._key_values.exists(m)},
            "kv_del": lambda peer, m: {"value": self._key_values.remove(m)},
            "kv_keys": lambda peer, m: {"value": self._key_values.keys(m)},
        }
        self._notices: dict[str, Callable[[Peer, Message], None]] = {
            "hello": self._hello,
            "listen": lambda peer, m: self._node.listeners.add(peer, int(m["job"])),
            "actor_found": self._actor_found,
            "cancel_scope": lambda peer, m: self._node.cancels.scope(int(m["scope"])),
            "environment_failed": lambda peer, m: self._node.fail_environment(str(m["env_key"]), str(m["reason"])),
            "shutdown": self._shutdown,
            "trace": self._trace,
        }
        self._times: deque[tuple[int, str, int, int, int]] = deque(maxlen=_MAX_TIMES)

    async def start(self) -> None:
        """Serve the driver's socket that came with the process, and listen for others."""
        for key in ("control_fd", "listen_fd"):
            if self._node.config.get(key, -1) >= 0:
                await self._server.adopt(socket.socket(fileno=self._node.config[key]))
        await self._server.listen(os.path.join(self._node.config["session_dir"], "node.sock"))

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    # -- messages ------------------------------------------------------------------------------------------------------

    def _received(self, peer: Peer, message: Message) -> None:
        op = message.get("op")
        notice = self._notices.get(op) if isinstance(op, str) else None
        answer = self._answers.get(op) if isinstance(op, str) else None
        reply: Message
        try:
            if notice is not None:
                notice(peer, message)
                return
            reply = answer(peer, message) if answer is not None else {"error": f"the node knows no request {op!r}"}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reply = {"error": f"{op}: {error}" if str(error) else f"{op}: a bad request", "kind": "ValueError"}
        except RuntimeError as error:
            reply = {"error": str(error), "kind": "RuntimeError"}
        except Exception as error:
            # The node outlives any request; the asker learns what went wrong.
            _logger.exception("request %s failed", op)
            reply = {"error": f"{op} failed in the node: {type(error).__name__}: {error}"}
        if "id" in message:
            peer.send({**reply, "id": message["id"]})

    def _lost(self, peer: Peer) -> None:
        self._node.listeners.discard(peer)
        for offset in self._found.pop(peer, []):
            self._node.objects.unpin(offset)

    def _hello(self, peer: Peer, message: Message) -> None:
        peer.facts["slot"] = int(message["slot"])
        peer.facts["pid"] = int(message["pid"])

    def _attach(self, peer: Peer, message: Message) -> Message:
        return dict(self._node.drivers.attach(peer, message))

    def _shutdown(self, peer: Peer, message: Message) -> None:
        self._node.drivers.left(int(message["slot"]))

    def _job_of(self, peer: Peer) -> int:
        slot = peer.facts.get("slot")
        worker = self._node.workers.by_slot.get(slot) if slot is not None else None
        return worker.job if worker is not None else self._node.drivers.job_of_slot(slot)

    def _namespace_of(self, peer: Peer) -> str:
        job = self._node.environments.job_of(f"{self._job_of(peer)}:")
        return str(job["namespace"]) if job is not None else ""

    # -- actors --------------------------------------------------------------------------------------------------------

    def _name_actor(self, peer: Peer, message: Message) -> Message:
        offset = int(message["actor"])
        if not self._node.objects.is_actor(offset):
            raise ValueError("no actor there")
        taken = not self._node.actors.take_name(
            offset, str(message["name"]), str(message["namespace"]), str(message["meta"])
        )
        return {"taken": taken}

    def _get_actor(self, peer: Peer, message: Message) -> Message:
        found = self._node.actors.find(str(message["name"]), str(message["namespace"]))
        if found is None:
            return {}
        # Held until the asker says that it has a reference of its own, or is gone.
        self._node.objects.pin(found[0])
        self._found.setdefault(peer, []).append(found[0])
        return {"actor": found[0], "meta": found[1]}

    def _actor_found(self, peer: Peer, message: Message) -> None:
        offset = int(message["actor"])
        held = self._found.get(peer, [])
        if offset in held:
            held.remove(offset)
            self._node.objects.unpin(offset)

    def _kill_actor(self, peer: Peer, message: Message) -> Message:
        self._node.actors.kill(int(message["actor"]), bool(message["no_restart"]))
        return {}

    def _actor_failed(self, peer: Peer, message: Message) -> Message:
        self._node.actors.init_failed(int(message["actor"]), decode_bytes(message["error"]))
        return {}

    def _actor_leaves(self, peer: Peer, message: Message) -> Message:
        self._node.actors.leaves(int(message["actor"]), str(message["reason"]))
        return {}

    def _list_named_actors(self, peer: Peer, message: Message) -> Message:
        namespace = None if message.get("all_namespaces") else str(message.get("namespace", ""))
        return {"value": self._node.actors.named(namespace)}

    # -- the cluster ---------------------------------------------------------------------------------------------------

    def _available_resources(self, peer: Peer, message: Message) -> Message:
        self._node.classes.tell_all()
        node_id = message.get("node_id")  # of this node alone
        found = self._node.scheduler.report.available_resources(node_id=node_id)
        if node_id not in (None, self._node.config["node_id"]):
            return {"value": found}
        # Nobody asks the scheduler for the memory that objects take. Whole MiB: some KiB are queues, not objects.
        free = found.pop(_STORE, 0.0) - (self._node.view.statistics()["used"] & ~(_MEBIBYTE - 1))
        return {"value": {**found, _STORE: free} if free > 0 else found}

    def _statistics(self, peer: Peer, message: Message) -> Message:
        workers = self._node.workers.by_slot.values()
        figures: Message = dict(self._node.view.statistics())
        figures["workers"] = [
            {"pid": w.pid, "slot": w.slot, "done": self._node.view.process(w.slot).done, "name": w.name}
            for w in workers
        ]
        figures["classes"] = len(self._node.classes)
        figures["environments"] = len(self._node.environments)
        figures["zygote_pid"] = self._node.workers.zygote_pid
        figures["node_pid"] = os.getpid()
        figures["events"] = dict(self._node.events.counts)
        return {"value": figures}

    def _trace(self, peer: Peer, message: Message) -> None:
        pid = int(message["pid"])
        for name, start, end, number in message["rows"]:
            self._times.append((pid, str(name), int(start), int(end), int(number)))

    def _timeline(self, peer: Peer, message: Message) -> Message:
        """Times of finished tasks as events of Chrome's trace format, in microseconds."""
        if not self._node.config.get("timeline"):
            raise RuntimeError(
                "times of tasks are not recorded: start with RAY_ASYNC_PROFILING=1, or with "
                "init(_system_config={'profiling': True})"
            )
        ip = self._node.config["node_ip"]
        return {
            "value": [
                {
                    "cat": "task",
                    "name": name,
                    "ph": "X",
                    "ts": start / 1000,
                    "dur": (end - start) / 1000,
                    "pid": f"node:{ip}",
                    "tid": f"worker:{pid}",
                    "args": {"task": number},
                }
                for pid, name, start, end, number in self._times
            ]
        }

    def _create_group(self, peer: Peer, message: Message) -> Message:
        maker = self._node.actors.detached_actor_of(peer.facts.get("slot"))
        return self._node.groups.create(message, self._job_of(peer), maker)

    def _pg_remove(self, peer: Peer, message: Message) -> Message:
        self._node.groups.remove(str(message["placement_group_id"]))
        return {"value": None}

    def _pg_ready(self, peer: Peer, message: Message) -> Message:
        self._node.groups.when_ready(
            str(message["placement_group_id"]), int(message["promise"]), int(message["holder"])
        )
        return {}
