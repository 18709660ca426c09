"""Placement groups, asked for over the control connection: ids in hexadecimal digits, indices of bundles as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ray_async.engine.groups import GroupDescription, GroupRow, KnownGroup
from ray_async.ids import PlacementGroupID

__all__ = ("NodeGroups",)


class NodeGroups:
    """The node's placement groups.

    Args:
        ask: sends a request and gives its answer.
        promise: sends a request that is answered later, and gives a reference to the value that it is sent with.
    """

    def __init__(self, ask: Callable[..., dict[str, Any]], promise: Callable[..., Any]) -> None:
        self._ask = ask
        self._promise = promise

    def create(self, description: GroupDescription) -> PlacementGroupID:
        """Reserve bundles, now or later; returns at once."""
        reply = self._ask("pg_create", **description._asdict())["value"]
        return PlacementGroupID.from_hex(reply["placement_group_id"])

    def remove(self, group: PlacementGroupID) -> None:
        """Give a group's resources back; one that is unknown or removed is no error."""
        self._ask("pg_remove", placement_group_id=group.hex())

    def find(self, name: str) -> KnownGroup | None:
        """Find a group of this namespace by its name."""
        found = self._ask("pg_get", name=name)["value"]
        if found is None:
            return None
        return KnownGroup(PlacementGroupID.from_hex(found["placement_group_id"]), found["bundles"])

    def table(self, group: PlacementGroupID | None = None) -> dict[str, GroupRow]:
        """Describe one group, or all, by id."""
        rows = self._ask("pg_table", placement_group_id=None if group is None else group.hex())["value"]
        return {group_id: _row(row) for group_id, row in rows.items()}

    def ready(self, group: PlacementGroupID, value: Any) -> Any:
        """A reference that has a value once the group is reserved, and an error once it is removed."""
        return self._promise("pg_ready", placement_group_id=group.hex(), value=value)


def _row(row: dict[str, Any]) -> GroupRow:
    by_index = {
        key: {int(index): found for index, found in row[key].items()} for key in ("bundles", "bundles_to_node_id")
    }
    return cast("GroupRow", {**row, **by_index})
