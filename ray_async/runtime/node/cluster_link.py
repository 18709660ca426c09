"""The node's side of a cluster: the agent that joins it to others, and what these do for its processes.

Work that finds no room here is offered to the agent. A record that the agent takes is claimed by the node, which
hands it out: so it comes back when the agent dies, like what a dead worker ran.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async._core import portable, submission
from ray_async._core.constants import ActorState
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.cluster_groups import ClusterGroups
from ray_async.runtime.node.cluster_names import ClusterNames
from ray_async.runtime.node.cluster_questions import ClusterQuestions
from ray_async.runtime.node.death.death_explainer import Deaths
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.drivers import Drivers
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.groups import Groups
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.listeners import Listeners
from ray_async.runtime.node.logical_nodes import LogicalNodes
from ray_async.runtime.node.objects.spilling import Spilling
from ray_async.runtime.node.other_nodes import OtherNodes
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.tasks import Tasks
from ray_async.runtime.node.workers import WorkerProcess
from ray_async.transport.frames import decode_bytes

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef
    from ray_async.runtime.messages.session_description import NodeConfig
    from ray_async.runtime.node.requests.messages import Answer, Answers, Message, Notices
    from ray_async.spec.actor_description import ActorDescription
    from ray_async.spec.class_description import ClassDescription
    from ray_async.transport.server import Peer

__all__ = ("ClusterLink",)

_logger = logging.getLogger("ray_async.node")

_OFFER_S, _AGAIN_S = 0.001, 0.01  # before work that has found no room is offered, and offered again
_MAX_RECORDS = 256  # records that one message hands out


class ClusterLink(OtherNodes):
    """What the node has to do with other nodes.

    Args:
        config: of the node.
        views: of the arena.
        dispatch: calls what is to be done later.
        classes, tasks, actors, table, groups: what may find no room here.
        spilling: brings values that are not in memory.
        failures: ends what comes back cancelled.
        deaths: explains ends of actors elsewhere.
        drivers, environments: know the jobs.
        nodes: the logical nodes of this one.
        listeners: the drivers, to whom output and warnings are shown.
    """

    def __init__(
        self,
        config: NodeConfig,
        views: ArenaViews,
        dispatch: Dispatch,
        *,
        classes: Classes,
        tasks: Tasks,
        actors: Actors,
        table: ActorTable,
        groups: Groups,
        spilling: Spilling,
        failures: RecordFailures,
        deaths: Deaths,
        drivers: Drivers,
        environments: Environments,
        nodes: LogicalNodes,
        listeners: Listeners,
    ) -> None:
        self._config = config
        self._arena = views.arena
        self._processes = views.processes
        self._records = views.records
        self._objects = views.objects
        self._executor = views.executor
        self._dispatch = dispatch
        self._classes = classes
        self._tasks = tasks
        self._actors = actors
        self._table = table
        self._groups = groups
        self._spilling = spilling
        self._failures = failures
        self._deaths = deaths
        self._drivers = drivers
        self._environments = environments
        self._logical_nodes = nodes
        self._agent: Peer | None = None
        self._offers = False  # an offer is about to be made
        #: Records that run on other nodes, by offset, with their numbers.
        self._taken: dict[int, int] = {}
        self._slot = 0  # of the agent
        self._epoch = 0
        self._foreign_jobs: set[int] = set()
        listeners.relay = self._relay
        #: Actors that other nodes host, by offset.
        self._hosts: dict[int, WorkerProcess] = {}
        self._nodes: list[dict[str, Any]] = []
        self._free: dict[str, dict[str, float]] = {}
        self.questions = ClusterQuestions(self._notify)
        self.names = ClusterNames(table, self.questions, self._notify)
        self._far_groups = ClusterGroups(
            groups, self.questions, self._notify, self.offer_soon, lambda: len(self.total())
        )
        self.answers: Answers = {
            "foreign_job": self._foreign_job,
            "answered": lambda peer, m: self.questions.answered(m),
            **self._far_groups.answers,
        }
        self.notices: Notices = {
            "take": lambda peer, m: self._take(int(m["class_id"]), int(m["count"]), m.get("tag")),
            "record_over": lambda peer, m: self._over(m["records"]),
            "record_back": lambda peer, m: self._back(m["records"]),
            "elsewhere_lost": lambda peer, m: self._lost(int(m["entry"]), int(m["number"])),
            "cluster_view": self._view,
            "foreign_job_over": self._foreign_job_over,
            "far_output": lambda peer, m: listeners.broadcast(dict(m["message"])),
            "warn": lambda peer, m: listeners.warn(str(m["text"])),
            "take_actor": lambda peer, m: self._take_actor(int(m["actor"]), str(m["id"]), m["tag"], str(m["node"])),
            "actor_up": lambda peer, m: self._actor_up(int(m["actor"]), int(m["epoch"])),
            "actor_gone": lambda peer, m: self._actor_gone(int(m["actor"]), int(m["epoch"]), str(m["reason"])),
            "actor_init_failed": self._actor_init_failed,
            **self._far_groups.notices,
        }

    @property
    def is_joined(self) -> bool:
        """Whether the node has an agent, and so may have other nodes to send work to."""
        return self._agent is not None

    # -- the agent -----------------------------------------------------------------------------------------------------

    def join(self, peer: Peer, slot: int) -> Message:
        """An agent joins the node to a cluster; returns what it is to know of the node.

        Raises:
            ValueError: the node has one already.
        """
        if self._agent is not None:
            raise ValueError("the node has an agent already")
        self._agent, self._slot = peer, slot
        config = self._config
        row = next(row for row in self._logical_nodes.rows() if row["NodeID"] == config["node_id"])
        self.offer_soon()
        return {"value": {"node_id": config["node_id"], "row": row, "resources": dict(config["resources"])}}

    def peer_lost(self, peer: Peer) -> None:
        """A process has closed its connection; if it was the agent, what it had taken comes back."""
        if peer is not self._agent:
            return
        self._agent = None
        self._nodes, self._free = [], {}
        self.questions.agent_lost()
        self._groups.leave_cluster()
        _logger.error("the agent is gone: this node is cut off from its cluster")
        facts = self._executor.facts
        self._back([[record, seq, facts(record)["retries"]] for record, seq in self._taken.items()])
        for offset, worker in list(self._hosts.items()):
            self._actor_gone(
                offset, worker.sequence, "the node that hosted it cannot be reached: the agent here is gone"
            )

    def _notify(self, op: str, **fields: Any) -> None:
        if self._agent is not None:
            self._agent.send({**fields, "op": op})

    def _foreign_job(self, peer: Peer, message: Message) -> Message:
        number = self._drivers.add_foreign(message["job"])
        self._foreign_jobs.add(number)
        return {"value": number}

    def _foreign_job_over(self, peer: Peer, message: Message) -> None:
        number = int(message["job"])
        self._drivers.job_over(number)
        self._foreign_jobs.discard(number)

    def _relay(self, message: Message) -> bool:
        """Pass output on to another node, if it is of a job of that one; whether it is."""
        job = message.get("job")
        if job is None or int(job, 16) not in self._foreign_jobs or self._agent is None:
            return False
        self._notify("output", message={**message, "ip": self._config["node_ip"]})
        return True

    def job_ended(self, job: int) -> None:
        """A driver is gone: what other nodes run of its job is over."""
        self._notify("job_over", job=job)

    def key_value(self, op: str, message: Message) -> Answer | None:
        """Ask the head, which keeps the cluster's keys and values."""
        return self._ask_head(op, message) if self.is_joined else None

    async def _ask_head(self, op: str, message: Message) -> Message:
        fields = {name: value for name, value in message.items() if name not in ("op", "id")}
        try:
            return await self.questions.pose("key_value", operation=op, fields=fields)
        except ConnectionError as error:
            raise RuntimeError(
                f"keys and values are kept by the cluster's head, which cannot be asked: {error}"
            ) from None

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def offer_soon(self) -> None:
        """Work may have found no room: offer it, once this node's workers have taken what they can."""
        if self._agent is not None and not self._offers:
            self._offers = True
            self._dispatch.later(_OFFER_S, self._offer)

    def _offer_again(self) -> None:
        if self._agent is not None and not self._offers:
            self._offers = True
            self._dispatch.later(_AGAIN_S, self._offer)

    def _offer(self) -> None:
        self._offers = False
        classes = [row for row in self._classes.waiting_for_room() if self.may_run(row[1])]
        actors = [actor for actor in self._actors.waiting_for_room() if self.may_run(actor.description)]
        groups = self._groups.without_room()
        if classes or actors or groups:
            self._notify(
                "demand",
                groups=groups,
                classes=[[class_id, text(description), queued] for class_id, description, queued in classes],
                actors=[[actor.offset, actor.scheduler_id, text(actor.description)] for actor in actors],
            )
            self._offer_again()

    def _take(self, class_id: int, count: int, tag: Any) -> None:
        """Hand out up to so many records of a class."""
        found = self._classes.queue_and_description(class_id)
        records: list[list[int]] = []
        count = min(count, _MAX_RECORDS, self._classes.without_room(class_id)) if found is not None else 0
        while found is not None and len(records) < count:
            record = self._processes.claim_queued(found[0])
            if record == 0:
                break
            seq = submission.record_seq(self._arena, record)
            self._taken[record] = seq
            records.append([record, seq, self._executor.facts(record)["retries"]])
        job = self._environments.job_of(found[1].env_key) if found is not None else None
        if job is None:
            self._back(records)
            records = []
        description = text(found[1]) if found is not None else ""
        self._notify("taken", tag=tag, records=records, description=description, job=job or {})

    def _over(self, records: list[list[int]]) -> None:
        for record, seq in records:
            if self._taken.get(record) == seq:
                del self._taken[record]

    def _back(self, records: list[list[int]]) -> None:
        """Records that were handed out are to run, after all, wherever there is room."""
        for record, seq, retries in records:
            if self._taken.get(record) == seq:
                del self._taken[record]
                guarded(self._requeue, record, seq, retries)
        self.offer_soon()

    def _requeue(self, record: int, seq: int, retries: int) -> None:
        if self._tasks.is_unfinished(record, seq):
            facts = self._executor.facts(record)
            if facts["cancelled"]:
                self._failures.fail(record, self._failures.cancelled(record))
            else:
                self._executor.requeue(record, retries)

    @property
    def groups(self) -> ClusterGroups | None:
        """Placement groups as all nodes know them."""
        return self._far_groups if self._agent is not None else None

    def may_run(self, description: ClassDescription | ActorDescription) -> bool:
        """Whether tasks of a class, or an actor, may find a place on another node: not what came from one."""
        choice = description.place.choice
        own = choice is not None and choice.node == self._config["node_id"]
        stays = choice is not None and (
            choice.kind == "guest" or (choice.kind == "affinity" and own and not choice.soft)
        )
        group = description.place.group
        return self._agent is not None and not stays and (group is None or self._groups.lies_elsewhere(group))

    def cancel(self, record: int, force: bool) -> bool:
        """Have a record cancelled that runs on another node; whether it does."""
        seq = self._taken.get(record)
        if seq is None and self._agent is not None and self._records.runner(record) == self._slot:
            seq = submission.record_seq(self._arena, record)  # a call of an actor that another node hosts
        if seq is None:
            return False
        self._notify("cancel", record=record, seq=seq, force=force)
        return True

    # -- actors --------------------------------------------------------------------------------------------------------

    def _take_actor(self, offset: int, scheduler_id: str, tag: Any, node_id: str) -> None:
        """The agent has found a node for an actor, unless that has found a place here, or has ended, meanwhile."""
        actor = self._table.by_offset.get(offset)
        if actor is None or actor.scheduler_id != scheduler_id or actor not in self._actors.waiting_for_room():
            self._notify("actor_not", tag=tag)
            return
        worker = WorkerProcess(self._slot, node_id, actor.description.env_key, actor.job)
        worker.sequence = self._epoch = self._epoch + 1
        worker.end_elsewhere = lambda: self._notify("end_actor", actor=offset, epoch=worker.sequence)
        self._hosts[offset] = worker
        self._actors.place_elsewhere(actor, worker)
        job = self._environments.job_of(actor.description.env_key)
        self._notify(
            "actor_yours",
            tag=tag,
            actor=offset,
            epoch=worker.sequence,
            creation=actor.creation,
            queue=actor.queue,
            description=text(actor.description),
            job=job or {},
        )

    def is_actor_elsewhere(self, offset: int) -> bool | None:
        """Whether an actor lives on another node; None when that is not decided yet."""
        actor = self._table.by_offset.get(offset)
        if actor is None:
            # One of another node's has no row here, and is alive from the start.
            state = self._objects.actor(offset)[6]
            return None if state == ActorState.PENDING else state == ActorState.ALIVE
        if actor.worker is None:
            return None if actor.state != ActorState.DEAD and self.may_run(actor.description) else False
        return offset in self._hosts

    def _actor_up(self, offset: int, epoch: int) -> None:
        if self._is_hosted(offset, epoch):
            self._actors.ready(offset)

    def _is_hosted(self, offset: int, epoch: int) -> bool:
        """Whether an actor is hosted elsewhere, in the very life that is meant."""
        worker = self._hosts.get(offset)
        return worker is not None and worker.sequence == epoch

    def _actor_init_failed(self, peer: Peer, message: Message) -> None:
        offset, epoch = int(message["actor"]), int(message["epoch"])
        if self._is_hosted(offset, epoch):
            self._actors.init_failed(offset, decode_bytes(message["error"]))
            self._actor_gone(offset, epoch, "its __init__ has failed")

    def _actor_gone(self, offset: int, epoch: int, reason: str) -> None:
        """An actor that another node hosted has died there, or with that node."""
        if not self._is_hosted(offset, epoch):
            return
        worker = self._hosts.pop(offset)
        if worker.kill_cause is None:
            worker.kill_cause, worker.kill_detail = DeathCause.NODE_DIED, reason
        death = self._deaths.explain(worker, signal.SIGKILL)
        self._tasks.worker_died(worker.slot, death, actor=offset)
        self._actors.worker_died(worker, death)

    def kill(self, offset: int, no_restart: bool) -> bool:
        """Have an actor of another node ended, for which one stands here; whether it is such a one."""
        if not self.is_joined or offset in self._table.by_offset or not self._objects.is_actor(offset):
            return False
        if self._objects.actor(offset)[6] != ActorState.ALIVE:  # which those are from the start
            return False
        self._notify("kill_far", actor=offset, no_restart=no_restart)
        return True

    # -- names ---------------------------------------------------------------------------------------------------------

    def take_name(self, offset: int, name: str, namespace: str) -> Answer:
        """Take a name that is free on this node for an actor of it in the whole cluster."""
        return self.names.take(offset, name, namespace) if self.is_joined else {"taken": False}

    def find_actor(self, name: str, namespace: str, hold: Callable[[int, str], Message]) -> Answer:
        """Find a named actor of another node; what stands for it here is given to ``hold``."""
        return self.names.find(name, namespace, hold) if self.is_joined else {}

    def named_actors(self, namespace: str | None) -> Answer | None:
        """Names of the cluster's actors, in a namespace or in all."""
        return self.names.listed(namespace) if self.is_joined else None

    def name_freed(self, offset: int, name: str, namespace: str) -> None:
        """An actor of this node has lost its name."""
        self.names.freed(offset, name, namespace)

    # -- objects -------------------------------------------------------------------------------------------------------

    def wanted(self, entry: int, number: int, unreferenced: bool) -> bool:
        """An object that is not in memory is wanted, or not any more; whether its value lies on another node."""
        if not number & portable.REMOTE:
            return False
        if unreferenced:
            self._spilling.forget_elsewhere(entry)
        if self._agent is not None:
            self._notify("unwanted" if unreferenced else "wanted", number=number & ~portable.REMOTE)
        elif not unreferenced:
            self._spilling.lost_elsewhere(entry, number)
        return True

    def is_elsewhere(self, ref: ObjectRef[Any]) -> bool:
        """Whether an object is there, and its value lies on another node."""
        return self._agent is not None and bool(portable.elsewhere(self._arena, portable.offset_of(ref)))

    def _lost(self, entry: int, number: int) -> None:
        if portable.elsewhere(self._arena, entry) == number:
            self._spilling.lost_elsewhere(entry, number | portable.REMOTE)

    # -- what there is -------------------------------------------------------------------------------------------------

    def _view(self, peer: Peer, message: Message) -> None:
        own = self._config["node_id"]
        self._nodes = [row for row in message["nodes"] if row["NodeID"] != own]
        self._free = {node: free for node, free in message["free"].items() if node != own}

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the other nodes."""
        return self._nodes

    def total(self) -> list[dict[str, float]]:
        """Resources of each living node beside this one."""
        return [row["Resources"] for row in self._nodes if row["Alive"]]

    def free(self, node_id: str | None) -> list[dict[str, float]]:
        """What each of the others has left, or the one with an id."""
        return [free for node, free in self._free.items() if node_id in (None, node)]


def text(description: ClassDescription | ActorDescription) -> str:
    """A description as JSON can hold it."""
    return description.encode().decode()
