"""Requests about placement groups."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ray_async._core.object_view import ObjectView
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.drivers import Drivers
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.groups import Groups
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.requests.messages import Answer, Answers, Message

if TYPE_CHECKING:
    from ray_async.runtime.node.other_groups import OtherGroups
    from ray_async.transport.server import Peer

__all__ = ("GroupRequests",)


class GroupRequests:
    """Answers about placement groups.

    Args:
        groups: the placement groups.
        actors: that may have groups of their own.
        objects: view of the arena's promises.
        drivers: know whose jobs ask.
        environments: know the jobs' namespaces.
        cluster: whose other nodes have groups too.
    """

    def __init__(
        self,
        groups: Groups,
        actors: ActorTable,
        objects: ObjectView,
        drivers: Drivers,
        environments: Environments,
        cluster: NodeMembership,
    ) -> None:
        self._groups = groups
        self._actors = actors
        self._drivers = drivers
        self._environments = environments
        self._objects = objects
        self._cluster = cluster
        self._waiting: set[asyncio.Task[None]] = set()  # for groups of other nodes
        self.answers: Answers = {
            "pg_create": self._create,
            "pg_remove": self._remove,
            "pg_get": self._find,
            "pg_table": self._table,
            "pg_ready": self._ready,
        }

    def _create(self, peer: Peer, message: Message) -> Message:
        maker = self._actors.detached_actor_of(peer.notes.get("slot"))
        return {"value": self._groups.create(message, self._drivers.job_of(peer), maker)}

    def _others(self, group: str) -> OtherGroups | None:
        """The cluster's groups, if this one was not made here."""
        return None if self._groups.is_own(group) else self._cluster.others.groups

    def _table(self, peer: Peer, message: Message) -> Answer:
        group = message.get("placement_group_id")
        others = self._others(str(group)) if group and not message.get("own") else None
        return {"value": self._groups.table(group)} if others is None else self._far_table(others, str(group))

    async def _far_table(self, others: OtherGroups, group: str) -> Message:
        row = await others.find(group)
        return {"value": {} if row is None else {group: row}}

    def _remove(self, peer: Peer, message: Message) -> Answer:
        group = str(message["placement_group_id"])
        others = self._others(group)
        if others is not None:
            return others.remove(group)
        self._groups.remove(group)
        return {"value": None}

    def _find(self, peer: Peer, message: Message) -> Answer:
        name = str(message["name"])
        job = self._environments.job_of(f"{self._drivers.job_of(peer)}:")
        namespace = str(job["namespace"]) if job is not None else ""
        found, others = self._groups.find(name, namespace), self._others("")
        return self._find_far(others, name, namespace) if found is None and others is not None else {"value": found}

    async def _find_far(self, others: OtherGroups, name: str, namespace: str) -> Message:
        row = await others.find("", name, namespace)
        if row is None:
            return {"value": None}
        bundles = [row["bundles"][str(index)] for index in range(len(row["bundles"]))]
        return {"value": {"placement_group_id": row["placement_group_id"], "bundles": bundles}}

    def _ready(self, peer: Peer, message: Message) -> Message:
        group = str(message["placement_group_id"])
        promise, holder = int(message["promise"]), int(message["holder"])
        others = self._others(group)
        if others is not None:
            objects = self._objects
            kept = objects.checked_reference(promise), objects.checked_reference(holder)
            task = asyncio.ensure_future(self._complete(others, group, *kept))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            self._groups.when_ready(group, promise, holder)
        return {}

    async def _complete(self, others: OtherGroups, group: str, promise: Any, holder: Any) -> None:
        self._groups.complete(promise, holder, await others.ready(group))
