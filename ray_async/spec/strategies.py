"""Strategies: values of the option `scheduling_strategy`, which say where a task or an actor may run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from ray_async.ids import PlacementGroupID

__all__ = (
    "DoesNotExist",
    "Exists",
    "GroupHandle",
    "In",
    "NodeAffinitySchedulingStrategy",
    "NodeLabelSchedulingStrategy",
    "NotIn",
    "PlacementGroupSchedulingStrategy",
    "SchedulingStrategyT",
)

_NODE_ID_BYTES = 28


class GroupHandle(ABC):
    """A placement group, as options know it.

    Attributes:
        id: the group's id.
    """

    id: PlacementGroupID

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether this handle stands for no group."""

    @property
    @abstractmethod
    def bundle_specs(self) -> list[dict[str, float]]:
        """The resources of each bundle."""


class PlacementGroupSchedulingStrategy:
    """Run in a bundle of a placement group.

    Args:
        placement_group: the group.
        placement_group_bundle_index: which bundle; -1 means any.
        placement_group_capture_child_tasks: whether tasks and actors started from there run in the group as well; None
            keeps what the parent has.
    """

    def __init__(
        self,
        placement_group: GroupHandle,
        placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:
        self.placement_group = placement_group
        self.placement_group_bundle_index = placement_group_bundle_index
        self.placement_group_capture_child_tasks = placement_group_capture_child_tasks


class NodeAffinitySchedulingStrategy:
    """Run on one node.

    Args:
        node_id: the node's id in hexadecimal.
        soft: run elsewhere when the node is gone or can never fit the request.
        _spill_on_unavailable: run elsewhere also when the node is busy; needs `soft`.
        _fail_on_unavailable: fail when the node is busy; needs a hard affinity.

    Raises:
        ValueError: the id is not that of a node, or the options contradict each other.
    """

    def __init__(
        self, node_id: object, soft: bool, _spill_on_unavailable: bool = False, _fail_on_unavailable: bool = False
    ) -> None:
        self.node_id = _node_id_hex(node_id)
        if _spill_on_unavailable and not soft:
            raise ValueError("_spill_on_unavailable needs soft=True: a hard affinity never runs elsewhere")
        if _fail_on_unavailable and soft:
            raise ValueError("_fail_on_unavailable needs soft=False: a soft affinity runs elsewhere instead")
        self.soft = soft
        self._spill_on_unavailable = _spill_on_unavailable
        self._fail_on_unavailable = _fail_on_unavailable


class In:
    """The label has one of these values.

    Raises:
        ValueError: there is no value, or one is not a string.
    """

    operator: ClassVar[str] = "In"

    def __init__(self, *values: str) -> None:
        self.values: list[str] = _label_values(values, "In")


class NotIn:
    """The label is missing or has none of these values.

    Raises:
        ValueError: there is no value, or one is not a string.
    """

    operator: ClassVar[str] = "NotIn"

    def __init__(self, *values: str) -> None:
        self.values: list[str] = _label_values(values, "NotIn")


class Exists:
    """The label is there."""

    operator: ClassVar[str] = "Exists"
    values: ClassVar[tuple[str, ...]] = ()


class DoesNotExist:
    """The label is missing."""

    operator: ClassVar[str] = "DoesNotExist"
    values: ClassVar[tuple[str, ...]] = ()


LabelMatch = Mapping[str, In | NotIn | Exists | DoesNotExist]


class NodeLabelSchedulingStrategy:
    """Run on a node whose labels match.

    Args:
        hard: conditions that the node must meet.
        soft: conditions that are preferred among those nodes.

    Raises:
        ValueError: there is no condition, a key is not a string, or a condition is none of the four kinds.

    Example:
        >>> NodeLabelSchedulingStrategy({"region": In("us", "eu")}, soft={"gpu": Exists()})
    """

    def __init__(self, hard: LabelMatch, *, soft: LabelMatch | None = None) -> None:
        self.hard = _label_conditions(hard, "hard")
        self.soft = _label_conditions(soft, "soft")
        if not (self.hard or self.soft):
            raise ValueError("NodeLabelSchedulingStrategy needs a condition in `hard` or `soft`")


SchedulingStrategyT = (
    None
    | Literal["DEFAULT", "SPREAD"]
    | PlacementGroupSchedulingStrategy
    | NodeAffinitySchedulingStrategy
    | NodeLabelSchedulingStrategy
)


def _node_id_hex(node_id: object) -> str:
    text = node_id if isinstance(node_id, str) else getattr(node_id, "hex", str)()
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != _NODE_ID_BYTES:
        raise ValueError(f"node_id must be {2 * _NODE_ID_BYTES} hexadecimal digits, got {node_id!r}")
    if raw == b"\xff" * _NODE_ID_BYTES:
        raise ValueError("node_id is the nil id: it names no node")
    return text.lower()


def _label_values(values: tuple[str, ...], operator: str) -> list[str]:
    if not values:
        raise ValueError(f"{operator} needs at least one value")
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"the values of {operator} must be strings, got {value!r} ({type(value).__name__})")
    return list(values)


def _label_conditions(conditions: LabelMatch | None, which: str) -> dict[str, In | NotIn | Exists | DoesNotExist]:
    if conditions is None:
        return {}
    if not isinstance(conditions, Mapping):
        raise ValueError(f"`{which}` must map label names to conditions, got {conditions!r}")
    for key, condition in conditions.items():
        if not isinstance(key, str):
            raise ValueError(f"a label's name in `{which}` must be a string, got {key!r}")
        if not isinstance(condition, In | NotIn | Exists | DoesNotExist):
            raise ValueError(f"the condition for label {key!r} must be In, NotIn, Exists or DoesNotExist")
    return dict(conditions)
