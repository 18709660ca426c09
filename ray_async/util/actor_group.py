"""Actors of one class that are called together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray_async as ray

__all__ = ("ActorGroup", "ActorGroupMethod", "ActorWrapper")

_DEPRECATED = (
    "ActorGroup is deprecated: for stateless work use ray.util.multiprocessing, for calls on a set of actors "
    "ray.util.ActorPool or a list of handles."
)


@dataclass
class ActorWrapper:
    """An actor and what its ``get_actor_metadata`` gave; None without such a method."""

    actor: Any
    metadata: Any


class ActorGroupMethod:
    """A method of all actors of a group."""

    def __init__(self, methods: Sequence[Any], name: str) -> None:
        self._methods = methods
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"Methods of actors cannot be called directly: use {self._name}.remote().")

    def remote(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Call the method of every actor, with the same arguments, and give one reference for each."""
        return [method.remote(*args, **kwargs) for method in self._methods]


class ActorGroup:
    """A number of actors of one class; what is called on the group is called on each.

    Deprecated, as in Ray: there for programs that use it.

    Args:
        actor_cls: The class, not decorated.
        num_actors: How many.
        num_cpus_per_actor: CPUs of each.
        num_gpus_per_actor: GPUs of each.
        resources_per_actor: Other resources of each, by name.
        init_args: Positional arguments of the constructor.
        init_kwargs: Keyword arguments of the constructor.

    Raises:
        ValueError: No actors, or negative quantities.

    Example:
        >>> group = ActorGroup(Counter, num_actors=2)
        >>> ray.get(group.increment.remote(by=3))
        [3, 3]
    """

    def __init__(
        self,
        actor_cls: type,
        num_actors: int = 1,
        num_cpus_per_actor: float = 1,
        num_gpus_per_actor: float = 0,
        resources_per_actor: Mapping[str, float] | None = None,
        init_args: Sequence[Any] | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        warnings.warn(_DEPRECATED, DeprecationWarning, stacklevel=2)
        if num_actors <= 0:
            raise ValueError(f"num_actors must be 1 or more, got {num_actors}.")
        if num_cpus_per_actor < 0 or num_gpus_per_actor < 0:
            raise ValueError(
                "CPUs and GPUs of an actor must not be negative, "
                f"got num_cpus_per_actor={num_cpus_per_actor}, num_gpus_per_actor={num_gpus_per_actor}."
            )
        self.actors: list[ActorWrapper] = []
        self.num_actors = num_actors
        remote_class: Any = ray.remote(
            num_cpus=num_cpus_per_actor, num_gpus=num_gpus_per_actor, resources=dict(resources_per_actor or {})
        )(actor_cls)
        args, kwargs = tuple(init_args or ()), dict(init_kwargs or {})
        self._make: Callable[[], Any] = lambda: remote_class.remote(*args, **kwargs)
        self.start()

    def __getattr__(self, name: str) -> ActorGroupMethod:
        if name.startswith("_") or name == "actors":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if not self.actors:
            raise RuntimeError("The actors of this group have been shut down: start() makes new ones.")
        return ActorGroupMethod([getattr(wrapper.actor, name) for wrapper in self.actors], name)

    def __len__(self) -> int:
        return len(self.actors)

    def __getitem__(self, index: int) -> ActorWrapper:
        return self.actors[index]

    @property
    def actor_metadata(self) -> list[Any]:
        """What each actor's ``get_actor_metadata`` gave."""
        return [wrapper.metadata for wrapper in self.actors]

    def start(self) -> None:
        """Make the actors.

        Raises:
            RuntimeError: There are some already.
        """
        if self.actors:
            raise RuntimeError("The actors of this group run already: shutdown() first.")
        self.add_actors(self.num_actors)

    def add_actors(self, num_actors: int) -> None:
        """Make more actors.

        Args:
            num_actors: How many.
        """
        made = [self._make() for _ in range(num_actors)]
        if made and hasattr(made[0], "get_actor_metadata"):
            metadata = ray.get([actor.get_actor_metadata.remote() for actor in made])
        else:
            metadata = [None] * len(made)
        self.actors += [ActorWrapper(actor, about) for actor, about in zip(made, metadata, strict=True)]

    def remove_actors(self, actor_indexes: Collection[int]) -> None:
        """Let go of actors; they end unless somebody else has a handle.

        Args:
            actor_indexes: Their places in the group.
        """
        self.actors = [wrapper for index, wrapper in enumerate(self.actors) if index not in actor_indexes]

    def shutdown(self, patience_s: float = 5) -> None:
        """End all actors.

        Args:
            patience_s: Seconds for them to end by themselves before they are killed; 0 kills at once.
        """
        actors, self.actors = [wrapper.actor for wrapper in self.actors], []
        if patience_s > 0 and actors:
            ends = [actor.__ray_terminate__.remote() for actor in actors]
            _, late = ray.wait(ends, num_returns=len(ends), timeout=patience_s)
            if not late:
                return
        for actor in actors:
            ray.kill(actor)
