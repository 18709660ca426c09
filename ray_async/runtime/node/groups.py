"""Placement groups: their life between the scheduler's bookkeeping and who waits for them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from ray_async import exceptions as errors
from ray_async._core.object_view import ObjectView
from ray_async.ids import JobID, PlacementGroupID
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.scheduler import events
from ray_async.runtime.scheduler.labels import LabelSelector
from ray_async.runtime.scheduler.placement_groups import GroupStrategy
from ray_async.runtime.scheduler.resources import ResourceSet

__all__ = ("Groups",)


_MAX_PAST_GROUPS = 1000  # removed groups, for the table


class _Group:
    __slots__ = (
        "bundles",
        "changed",
        "created",
        "detached",
        "elsewhere",
        "id",
        "is_share",
        "job",
        "latency_ms",
        "maker",
        "name",
        "namespace",
        "promises",
        "selectors",
        "state",
        "strategy",
        "target",
    )

    def __init__(
        self,
        group_id: str,
        bundles: list[dict[str, float]],
        name: str,
        namespace: str,
        job: int,
        maker: int,
        detached: bool,
    ) -> None:
        self.id = group_id
        self.bundles = bundles
        self.name = name
        self.namespace = namespace
        self.job = job
        self.maker = maker
        self.detached = detached
        self.state = "PENDING"
        self.changed = asyncio.Event()  # it is ready, or removed
        self.created = time.monotonic()
        self.latency_ms = 0.0
        self.promises: list[tuple[Any, Any]] = []
        self.strategy = GroupStrategy.PACK
        self.selectors: list[dict[str, str]] = []
        self.target = ""
        self.elsewhere: dict[int, str] = {}  # nodes of other machines, by bundle
        self.is_share = False  # bundles of another node's group


class Groups:
    """The node's placement groups.

    Args:
        dispatch: to the scheduler, which reserves bundles.
        objects: view of the arena's objects, promises among them.
        environments: know the jobs' namespaces.
        cluster: whose other nodes may have bundles.
    """

    def __init__(
        self, dispatch: Dispatch, objects: ObjectView, environments: Environments, cluster: NodeMembership
    ) -> None:
        self._cluster = cluster
        self._dispatch = dispatch
        self._objects = objects
        self._environments = environments
        self._groups: dict[str, _Group] = {}
        self._removed: deque[str] = deque()

    def create(self, message: dict[str, Any], job: int, maker: int) -> dict[str, Any]:
        """Reserve bundles, now or later; returns the group's id at once.

        Args:
            message: the request.
            job: that the group ends with, unless it is detached or a detached actor makes it.
            maker: that detached actor, whose end is the group's; 0: there is none.

        Raises:
            ValueError: the name is taken, or the bundles cannot be read.
        """
        name = str(message.get("name") or "")
        namespace = self._namespace(job)
        if name and self._find(name, namespace) is not None:
            raise ValueError(f"a placement group with the name {name!r} exists already")
        group_id = PlacementGroupID.of(JobID.from_int(job)).hex()
        bundles = [{str(k): float(v) for k, v in bundle.items() if v} for bundle in message["bundles"]]
        selectors = tuple(LabelSelector.parse(s or {}) for s in message.get("bundle_label_selector") or ())
        group = _Group(group_id, bundles, name, namespace, job, maker, message.get("lifetime") == "detached")
        group.strategy = GroupStrategy[str(message["strategy"])]
        group.selectors = [dict(selector or {}) for selector in message.get("bundle_label_selector") or ()]
        group.target = message.get("soft_target_node_id") or ""
        self._groups[group_id] = group
        others = self._cluster.others.groups
        self._dispatch.schedule(
            events.PlacementGroupCreated(
                group_id,
                tuple(ResourceSet.of(bundle) for bundle in bundles),
                group.strategy,
                selectors,
                group.target or None,
                name,
                waits=others is not None and others.decides(group.strategy),
            )
        )
        if others is not None:
            others.made(group_id, name, namespace)
        return {"placement_group_id": group_id}

    # -- in a cluster --------------------------------------------------------------------------------------------------

    def without_room(self) -> list[dict[str, Any]]:
        """Groups that have bundles without a place."""
        rows = []
        for group in self._groups.values():
            if group.state in ("PENDING", "RESCHEDULING") and not group.is_share:
                here = self._dispatch.report.placement_group_table()[group.id]["bundles_to_node_id"]
                rows.append(
                    {
                        "id": group.id,
                        "name": group.name,
                        "bundles": group.bundles,
                        "selectors": group.selectors,
                        "strategy": group.strategy.value,
                        "target": group.target,
                        "missing": [index for index in range(len(group.bundles)) if index not in here],
                        "here": len(here) - len(group.elsewhere),
                    }
                )
        return rows

    def lies_elsewhere(self, group_id: str) -> bool:
        """Whether some bundles of a group are on other machines."""
        group = self._groups.get(group_id)
        return group is not None and bool(group.elsewhere)

    def set_elsewhere(self, group_id: str, nodes: dict[int, str]) -> bool:
        """Bundles of a group lie on other machines, or some do not any more; whether that is of use."""
        group = self._groups.get(group_id)
        if group is None or group.state == "REMOVED":
            return False
        if group.state == "CREATED" and not nodes.keys() <= group.elsewhere.keys():
            return False  # it has found room here meanwhile
        group.elsewhere = nodes
        self._dispatch.schedule(events.BundlesElsewhere(group_id, tuple(nodes.items())))
        return True

    def leave_cluster(self) -> None:
        """The node is alone from now on: what lay elsewhere is lost, and what was others' is free."""
        for group in list(self._groups.values()):
            if group.is_share:
                self.drop(group.id)
            elif group.state != "REMOVED":
                self.set_elsewhere(group.id, {})

    def reserve(self, group_id: str, name: str, bundles: list[dict[str, float]], nodes: dict[int, str]) -> bool:
        """Reserve bundles of another node's group, all but those in ``nodes``, now or not at all."""
        group = self._groups.get(group_id)
        if group is None or group.state == "REMOVED":
            group = _Group(group_id, bundles, name, "", 0, 0, True)
            group.is_share, group.elsewhere = True, nodes
            self._groups[group_id] = group
            sets = tuple(ResourceSet.of(bundle) for bundle in bundles)
            self._dispatch.schedule(
                events.PlacementGroupCreated(group_id, sets, name=name, elsewhere=tuple(nodes.items()))
            )
        else:
            group.elsewhere = nodes
            self._dispatch.schedule(events.BundlesElsewhere(group_id, tuple(nodes.items())))
        if group.state == "CREATED":
            return True
        self.drop(group_id)
        return False

    def drop(self, group_id: str) -> None:
        """Give back what another node's group has here, and forget it."""
        self.remove(group_id)
        if group_id in self._removed:
            self._removed.remove(group_id)
        self._groups.pop(group_id, None)

    async def settled(self, group_id: str) -> bool:
        """Wait until a group is ready, or removed; whether it is there."""
        group = self._groups.get(group_id)
        if group is not None and group.state not in ("CREATED", "REMOVED"):
            await group.changed.wait()
        return group is not None and group.state == "CREATED"

    # -- life ----------------------------------------------------------------------------------------------------------

    def _namespace(self, job: int) -> str:
        found = self._environments.job_of(f"{job}:")
        return str(found["namespace"]) if found is not None else ""

    def ready(self, group_id: str, bundle_nodes: Any) -> None:
        """The scheduler has reserved all bundles."""
        group = self._groups[group_id]
        group.state = "CREATED"
        group.latency_ms = group.latency_ms or (time.monotonic() - group.created) * 1000
        for promise, holder in group.promises:
            self._fulfil(promise, holder)
        group.promises.clear()
        group.changed.set()

    def rescheduling(self, group_id: str) -> None:
        """Bundles were lost with a node."""
        group = self._groups[group_id]
        group.state = "RESCHEDULING"
        group.changed.clear()
        self._cluster.others.offer_soon()

    def when_ready(self, group_id: str, promise_at: int, holder_at: int) -> None:
        """Complete a promise with the value in ``holder`` once the group is ready."""
        promise = self._objects.checked_reference(promise_at)
        holder = self._objects.checked_reference(holder_at)
        group = self._groups.get(group_id)
        if group is None or group.state == "REMOVED":
            self._fail(promise)
        elif group.state == "CREATED":
            self._fulfil(promise, holder)
        else:
            group.promises.append((promise, holder))

    def complete(self, promise: Any, holder: Any, is_there: bool) -> None:
        """Complete a promise of another node's group, which is ready, or removed."""
        if is_there:
            self._fulfil(promise, holder)
        else:
            self._fail(promise)

    def _fulfil(self, promise: Any, holder: Any) -> None:
        self._objects.copy_value(holder, promise)

    def _fail(self, promise: Any) -> None:
        error = errors.TaskPlacementGroupRemoved("the placement group was removed")
        self._objects.fail_promise(promise, errors.to_payload(error))

    def remove(self, group_id: str) -> None:
        """Give the bundles back; what runs in them is killed."""
        group = self._groups.get(group_id)
        if group is None or group.state == "REMOVED":
            return
        group.state = "REMOVED"
        for promise, _ in group.promises:
            self._fail(promise)
        group.promises.clear()
        group.changed.set()
        others = self._cluster.others.groups
        if others is not None and not group.is_share:
            others.removed(group_id)
        self._removed.append(group_id)
        if len(self._removed) > _MAX_PAST_GROUPS:
            del self._groups[self._removed.popleft()]
        self._dispatch.schedule(events.PlacementGroupRemoved(group_id))

    def is_own(self, group_id: str) -> bool:
        """Whether a group was made here, and is not forgotten."""
        group = self._groups.get(group_id)
        return group is not None and not group.is_share

    def is_removed(self, group_id: str) -> bool:
        """Whether a group is gone."""
        group = self._groups.get(group_id)
        return group is None or group.state == "REMOVED"

    def _find(self, name: str, namespace: str) -> _Group | None:
        for group in self._groups.values():
            named = group.name == name and group.namespace == namespace and not group.is_share
            if named and group.state != "REMOVED":
                return group
        return None

    def find(self, name: str, namespace: str) -> dict[str, Any] | None:
        """A group by its name."""
        group = self._find(name, namespace)
        return None if group is None else {"placement_group_id": group.id, "bundles": group.bundles}

    def table(self, group_id: str | None) -> dict[str, Any]:
        """Rows of all groups, or of one."""
        known: dict[str, dict[str, Any]] = self._dispatch.report.placement_group_table()
        rows = {}
        for group in self._groups.values():
            if group_id not in (None, group.id) or group.is_share:
                continue
            row = dict(known.get(group.id, {}))
            nodes = dict.fromkeys(range(len(group.bundles)), "") | (row.get("bundles_to_node_id") or {})
            rows[group.id] = {
                "placement_group_id": group.id,
                "name": group.name,
                "bundles": {str(i): bundle for i, bundle in enumerate(group.bundles)},
                "bundles_to_node_id": {str(i): node for i, node in nodes.items()},
                "strategy": row.get("strategy", "PACK"),
                "state": group.state,
                "stats": {
                    "end_to_end_creation_latency_ms": group.latency_ms,
                    "scheduling_latency_ms": group.latency_ms,
                    "scheduling_attempt": 1,
                    "highest_retry_delay_ms": 0,
                    "scheduling_state": _scheduling_state(group.state, bool(row.get("infeasible"))),
                },
            }
        return rows

    def job_ended(self, job: int) -> None:
        """Remove the groups of a job whose driver is gone, except what is detached or a detached actor's."""
        for group in list(self._groups.values()):
            if group.job == job and not group.detached and not group.maker:
                self.remove(group.id)

    def actor_ended(self, actor: int) -> None:
        """Remove what a detached actor has made."""
        for group in list(self._groups.values()):
            if group.maker == actor and not group.detached:
                self.remove(group.id)


def _scheduling_state(state: str, infeasible: bool) -> str:
    if state == "CREATED":
        return "FINISHED"
    if state == "REMOVED":
        return state
    return "INFEASIBLE" if infeasible else "NO_RESOURCES"
