"""Placement groups as an engine keeps them: their description, their rows, and what is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypedDict, TypeVar

from ray_async.ids import PlacementGroupID

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef

__all__ = ("GroupDescription", "GroupRow", "KnownGroup", "PlacementGroups")

T = TypeVar("T")


class GroupDescription(NamedTuple):
    """What is to be reserved together.

    Args:
        bundles: Quantities of resources, for each bundle.
        strategy: "PACK", "SPREAD", "STRICT_PACK" or "STRICT_SPREAD".
        name: "" for none.
        lifetime: "detached", or None: it ends with the job or the detached actor that makes it.
        soft_target_node_id: The node to prefer, in hexadecimal digits.
        bundle_label_selector: Conditions on the labels of each bundle's node.
    """

    bundles: list[dict[str, float]]
    strategy: str = "PACK"
    name: str = ""
    lifetime: str | None = None
    soft_target_node_id: str | None = None
    bundle_label_selector: list[dict[str, str]] | None = None


class KnownGroup(NamedTuple):
    """A group that was found by its name."""

    id: PlacementGroupID
    bundles: list[dict[str, float]]


class GroupRow(TypedDict, total=False):
    """A group as tables show it; `state` is "PENDING", "PREPARED", "CREATED", "RESCHEDULING" or "REMOVED"."""

    placement_group_id: str
    name: str
    strategy: str
    state: str
    bundles: dict[int, dict[str, float]]
    bundles_to_node_id: dict[int, str]
    stats: dict[str, object]


class PlacementGroups(Protocol):
    """The placement groups of a session."""

    def create(self, description: GroupDescription) -> PlacementGroupID:
        """Reserve bundles, now or later; returns at once.

        Raises:
            ValueError: The name is taken.
        """
        ...

    def remove(self, group: PlacementGroupID) -> None:
        """Give a group's resources back; one that is unknown or removed is no error."""

    def find(self, name: str) -> KnownGroup | None:
        """Find a group of this namespace by its name."""

    def table(self, group: PlacementGroupID | None = None) -> dict[str, GroupRow]:
        """Describe one group, or all, by id in hexadecimal digits; no row where the id is unknown."""
        ...

    def ready(self, group: PlacementGroupID, value: T) -> ObjectRef[T]:
        """A reference that has a value once the group is reserved, and an error once it is removed."""
