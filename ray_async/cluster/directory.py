"""The directory: which node has which named actor. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("Directory", "Holder")


class Holder(NamedTuple):
    """An actor that has a name.

    Args:
        node: its owner's id.
        actor: the actor's id, of one life of the name: another actor of that name has another one.
    """

    node: str
    actor: str


class Directory:
    """Names of the cluster's actors.

    A name is its holder's until that gives it back, or the holder's node is gone. So what is said of a former holder,
    however late or often, takes it from nobody.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], Holder] = {}

    def take(self, namespace: str, name: str, holder: Holder) -> bool:
        """Give a name to an actor, unless one of another node has it; whether it has the name now.

        A node knows best whether an actor of its own is over that had the name.
        """
        held = self._names.get((namespace, name))
        if held is not None and held.node != holder.node:
            return False
        self._names[namespace, name] = holder
        return True

    def free(self, namespace: str, name: str, holder: Holder) -> None:
        """An actor has lost its name; nothing happens when another one has it by now."""
        if self._names.get((namespace, name)) == holder:
            del self._names[namespace, name]

    def find(self, namespace: str, name: str) -> Holder | None:
        """Who has a name."""
        return self._names.get((namespace, name))

    def names(self, namespace: str | None) -> list[tuple[str, str]]:
        """Namespaces and names, of one namespace or all."""
        return [key for key in self._names if namespace in (None, key[0])]

    def node_lost(self, node: str) -> None:
        """A node is gone: its actors' names are free."""
        for key in [key for key, holder in self._names.items() if holder.node == node]:
            del self._names[key]
