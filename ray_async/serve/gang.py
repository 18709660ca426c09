"""Gangs: replicas that are of use only together. What is said of them, and what each knows of its own."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ray_async.serve.config_value import ConfigValue
from ray_async.serve.frozen_dataclass import dataclass

__all__ = (
    "GANG_PREFIX",
    "GangContext",
    "GangPlacementStrategy",
    "GangRuntimeFailurePolicy",
    "GangSchedulingConfig",
)

GANG_PREFIX = "SERVE_GANG::"  # of the names of placement groups


class GangPlacementStrategy(StrEnum):
    """Where the replicas of a gang shall run: on few nodes, or on many."""

    PACK = "PACK"
    SPREAD = "SPREAD"


class GangRuntimeFailurePolicy(StrEnum):
    """Which replicas are replaced where one of a gang fails: all of the gang, or that one."""

    RESTART_GANG = "RESTART_GANG"
    RESTART_REPLICA = "RESTART_REPLICA"


@dataclass(frozen=True)
class GangSchedulingConfig(ConfigValue):
    """Gangs of a deployment: each starts whole or not at all.

    Args:
        gang_size: The replicas of a gang; the deployment's number of replicas is a multiple of it.
        gang_placement_strategy: Where they shall run, as far as that can be had.
        runtime_failure_policy: Which are replaced where one fails that has run.

    Raises:
        ValueError: A value that is not allowed.
    """

    gang_size: int
    gang_placement_strategy: GangPlacementStrategy | str = GangPlacementStrategy.PACK
    runtime_failure_policy: GangRuntimeFailurePolicy | str = GangRuntimeFailurePolicy.RESTART_GANG

    def __post_init__(self) -> None:
        size: Any = self.gang_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"gang_size must be an integer of 1 or more, but is {size!r}")
        for name, kind in (
            ("gang_placement_strategy", GangPlacementStrategy),
            ("runtime_failure_policy", GangRuntimeFailurePolicy),
        ):
            value = getattr(self, name)
            if value not in list(kind):
                raise ValueError(f"{name} must be one of {', '.join(kind)}, but is {value!r}")
            object.__setattr__(self, name, kind(value))

    @classmethod
    def of(cls, value: GangSchedulingConfig | Mapping[str, Any] | None) -> GangSchedulingConfig | None:
        """The configuration that a value gives: one, its fields, or None.

        Raises:
            TypeError: Something else, or an unknown field.
            ValueError: A value that is not allowed.
        """
        if value is None or isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise TypeError(f"gang_scheduling_config must be a GangSchedulingConfig or a dict, but is {value!r}")
        unknown = sorted(set(value) - set(cls.__dataclass_fields__))
        if unknown or "gang_size" not in value:
            raise TypeError(
                f"gang_scheduling_config has gang_size and may have {', '.join(list(cls.__dataclass_fields__)[1:])}, "
                f"but is {dict(value)!r}"
            )
        return cls(**value)

    @property
    def restarts_whole(self) -> bool:
        """Whether all replicas of a gang are replaced where one fails."""
        return self.runtime_failure_policy is GangRuntimeFailurePolicy.RESTART_GANG

    def most(self, replicas: int) -> int:
        """The replicas of the most whole gangs that a number allows."""
        return replicas // self.gang_size * self.gang_size

    def rounded(self, replicas: int, most: int) -> int:
        """The replicas of the fewest whole gangs that have a number of replicas at least, within a bound.

        Args:
            replicas: The number.
            most: The bound.
        """
        return min(-(-replicas // self.gang_size) * self.gang_size, max(self.gang_size, self.most(most)))


@dataclass(frozen=True)
class GangContext:
    """What a replica knows of its gang.

    Args:
        gang_id: The gang's id.
        rank: The replica's place in it, from 0.
        world_size: How many replicas it has.
        member_replica_ids: The ids of all of them, by rank.
        pg_name: The name of the placement group that they run in; empty where they ask for no resources.
    """

    gang_id: str
    rank: int
    world_size: int
    member_replica_ids: list[str]
    pg_name: str = ""
