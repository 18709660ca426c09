"""Compute: where a stage's functions run, as tasks or in a pool of actors, and what each call needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ("ActorPoolStrategy", "Resources", "TaskPoolStrategy")


@dataclass(frozen=True)
class TaskPoolStrategy:
    """Tasks.

    Args:
        size: calls at the same time; None has no limit of its own.

    Raises:
        ValueError: The size is not positive.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"`size` must be >= 1, but is {self.size}")


@dataclass(frozen=True)
class ActorPoolStrategy:
    """A pool of actors, each with an instance of the class.

    Args:
        size: a fixed number of actors; excludes the next three.
        min_size: actors at least; 1 by default.
        max_size: actors at most; as many as there are CPUs by default.
        initial_size: actors to begin with; ``min_size`` by default.
        max_tasks_in_flight_per_actor: calls that an actor is given at a time.
        max_concurrent_calls_per_actor: calls that an actor runs at a time.
        enable_true_multi_threading: accepted; calls of one actor run at once only where they are async.

    Raises:
        ValueError: The numbers contradict each other.
    """

    size: int | None = None
    min_size: int | None = None
    max_size: int | None = None
    initial_size: int | None = None
    max_tasks_in_flight_per_actor: int | None = None
    max_concurrent_calls_per_actor: int | None = None
    enable_true_multi_threading: bool | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            if self.size < 1:
                raise ValueError(f"size must be >= 1, but is {self.size}")
            if self.min_size is not None or self.max_size is not None or self.initial_size is not None:
                raise ValueError("min_size, max_size, and initial_size cannot be set at the same time as `size`")
            return
        if self.min_size is not None and self.min_size < 1:
            raise ValueError(f"min_size must be >= 1, but is {self.min_size}")
        if self.max_size is not None and self.max_size < (self.min_size or 1):
            raise ValueError(f"min_size must be <= max_size, but {self.min_size or 1} > {self.max_size}")
        if self.initial_size is not None:
            if self.initial_size < (self.min_size or 1):
                raise ValueError(f"initial_size must be >= min_size, but {self.initial_size} < {self.min_size or 1}")
            if self.max_size is not None and self.initial_size > self.max_size:
                raise ValueError(f"initial_size must be <= max_size, but {self.initial_size} > {self.max_size}")
        if self.max_tasks_in_flight_per_actor is not None and self.max_tasks_in_flight_per_actor < 1:
            raise ValueError(f"max_tasks_in_flight_per_actor must be >= 1, but is {self.max_tasks_in_flight_per_actor}")

    @property
    def least(self) -> int:
        return self.size or self.initial_size or self.min_size or 1

    @property
    def most(self) -> int | None:
        return self.size or self.max_size


@dataclass(frozen=True)
class Resources:
    """What each call of a stage needs, and where it runs.

    Attributes:
        compute: a strategy; None for plain tasks.
        options: options of the task or actor, as for `remote`.
        options_function: gives further options, called once for the stage.
    """

    compute: TaskPoolStrategy | ActorPoolStrategy | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    options_function: Callable[[], Mapping[str, Any]] | None = None

    def fuses_with(self, other: Resources) -> bool:
        """Whether two stages may run in one call."""
        if isinstance(self.compute, ActorPoolStrategy) or isinstance(other.compute, ActorPoolStrategy):
            return False
        if self.options_function is not None or other.options_function is not None:
            return False
        return self.compute == other.compute and dict(self.options) == dict(other.options)
