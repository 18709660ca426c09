"""The ledger: what each node has, what is in use there now, and where work that leaves its node goes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ray_async.runtime.scheduler.labels import ANY_NODE, LabelSelector

__all__ = ("Ledger", "LedgerNode", "Want")

_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Want:
    """What one task or actor needs.

    Attributes:
        resources: quantities by name.
        labels: conditions on the node's labels.
        node: id of the only node that will do; "" for any.
    """

    resources: Mapping[str, float]
    labels: LabelSelector = ANY_NODE
    node: str = ""


@dataclass(slots=True)
class LedgerNode:
    """A node as the ledger knows it.

    Attributes:
        node: the node's id.
        address: where its agent listens.
        total: quantities by name.
        free: what the node last said it has left.
        granted: what was promised since then and is not given back, by grant.
        labels: the node's.
        drains: whether it takes no more work.
    """

    node: str
    address: str
    total: dict[str, float]
    free: dict[str, float]
    labels: dict[str, str]
    granted: dict[int, Mapping[str, float]] = field(default_factory=dict)
    drains: bool = False

    def room(self, want: Mapping[str, float]) -> int:
        """How many such wants fit at once, at most 2**16."""
        most = 1 << 16
        for name, amount in want.items():
            if amount <= 0:
                continue
            left = self.free.get(name, 0.0) - sum(held.get(name, 0.0) for held in self.granted.values())
            most = min(most, int((left + _LEAST) / amount))
        return max(0, most)

    def could(self, want: Mapping[str, float]) -> bool:
        """Whether such a want fits once nothing else runs there."""
        return all(self.total.get(name, 0.0) + _LEAST >= amount for name, amount in want.items())


class Ledger:
    """Decides where work goes that its own node has no room for.

    A grant is a promise of room on a node. It counts until the node's own report has it, or it is given back.
    """

    def __init__(self) -> None:
        self.members: dict[str, LedgerNode] = {}
        self._next = 1

    def join(self, member: LedgerNode) -> None:
        """A node comes, or comes back under the same id."""
        self.members[member.node] = member

    def leave(self, node: str) -> LedgerNode | None:
        """A node is gone; what was promised there is void."""
        return self.members.pop(node, None)

    def report(self, node: str, free: Mapping[str, float], seen: Iterable[int] = ()) -> None:
        """A node says what it has left, and which grants its figure includes."""
        member = self.members.get(node)
        if member is not None:
            member.free = dict(free)
            for grant in seen:
                member.granted.pop(grant, None)

    def drain(self, node: str) -> bool:
        """Close a node to work, if nothing is promised there; whether it is closed."""
        member = self.members.get(node)
        if member is None or member.granted:
            return False
        member.drains = True
        return True

    def grant(self, want: Want, count: int, besides: str = "") -> list[tuple[int, LedgerNode]]:
        """Promise room for as many as ``count`` wants, the emptiest nodes first.

        Args:
            want: of each.
            count: how many are wanted.
            besides: the node that asks, which has no room.
        """
        granted: list[tuple[int, LedgerNode]] = []
        while len(granted) < count:
            fits = [(member.room(want.resources), member) for member in self._candidates(want, besides)]
            room, best = max(fits, key=lambda pair: pair[0], default=(0, None))
            if best is None or room == 0:
                break
            number, self._next = self._next, self._next + 1
            best.granted[number] = dict(want.resources)
            granted.append((number, best))
        return granted

    def give_back(self, grants: Iterable[int]) -> None:
        """Grants are not used, or what ran with them is over."""
        for grant in grants:
            for member in self.members.values():
                if member.granted.pop(grant, None) is not None:
                    break

    def feasible(self, want: Want, besides: str = "") -> bool:
        """Whether any node could ever take such a want."""
        return any(member.could(want.resources) for member in self._candidates(want, besides))

    def _candidates(self, want: Want, besides: str) -> list[LedgerNode]:
        return [
            member
            for member in self.members.values()
            if member.node != besides
            and not member.drains
            and want.node in ("", member.node)
            and want.labels.matches(member.labels)
        ]
