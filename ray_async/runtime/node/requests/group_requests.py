"""Requests about placement groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.drivers import Drivers
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.groups import Groups
from ray_async.runtime.node.requests.messages import Answers, Message

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("GroupRequests",)


class GroupRequests:
    """Answers about placement groups.

    Args:
        groups: the placement groups.
        actors: that may have groups of their own.
        drivers: know whose jobs ask.
        environments: know the jobs' namespaces.
    """

    def __init__(self, groups: Groups, actors: ActorTable, drivers: Drivers, environments: Environments) -> None:
        self._groups = groups
        self._actors = actors
        self._drivers = drivers
        self._environments = environments
        self.answers: Answers = {
            "pg_create": self._create,
            "pg_remove": self._remove,
            "pg_get": self._find,
            "pg_table": lambda peer, m: {"value": groups.table(m.get("placement_group_id"))},
            "pg_ready": self._ready,
        }

    def _create(self, peer: Peer, message: Message) -> Message:
        maker = self._actors.detached_actor_of(peer.notes.get("slot"))
        return {"value": self._groups.create(message, self._drivers.job_of(peer), maker)}

    def _remove(self, peer: Peer, message: Message) -> Message:
        self._groups.remove(str(message["placement_group_id"]))
        return {"value": None}

    def _find(self, peer: Peer, message: Message) -> Message:
        job = self._environments.job_of(f"{self._drivers.job_of(peer)}:")
        namespace = str(job["namespace"]) if job is not None else ""
        return {"value": self._groups.find(str(message["name"]), namespace)}

    def _ready(self, peer: Peer, message: Message) -> Message:
        group = str(message["placement_group_id"])
        self._groups.when_ready(group, int(message["promise"]), int(message["holder"]))
        return {}
