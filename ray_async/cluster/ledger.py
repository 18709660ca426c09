"""The ledger: what each node has, what is in use there now, and where work that leaves its node goes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ray_async.runtime.scheduler.labels import ANY_NODE, LabelSelector
from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.placement_groups import GroupStrategy
from ray_async.runtime.scheduler.policy.bundles import Bundle, plan_bundles
from ray_async.runtime.scheduler.resources import EMPTY, UNITS_PER_ONE, ResourceSet

__all__ = ("Ledger", "LedgerNode", "Promise", "Want")

_LEAST = 1e-6  # of a resource; sums of fractions are not exact


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


class Promise(NamedTuple):
    """Room on a node that was granted.

    Args:
        resources: quantities by name.
        by: the node that has asked; with it the promise ends.
    """

    resources: Mapping[str, float]
    by: str


@dataclass(slots=True)
class LedgerNode:
    """A node as the ledger knows it.

    Attributes:
        node: the node's id.
        address: where its agent listens.
        total: quantities by name.
        free: what the node last said it has left, beside what is granted.
        granted: what is promised there, by grant.
        promised: the sum of that, by name.
        labels: the node's.
        drains: whether it takes no more work.
    """

    node: str
    address: str
    total: dict[str, float]
    free: dict[str, float]
    labels: dict[str, str]
    granted: dict[int, Promise] = field(default_factory=dict)
    promised: dict[str, float] = field(default_factory=dict)
    drains: bool = False

    def room(self, want: Mapping[str, float]) -> int:
        """How many such wants fit at once, at most 2**16."""
        most = 1 << 16
        for name, amount in want.items():
            if amount <= 0:
                continue
            left = self.free.get(name, 0.0) - self.promised.get(name, 0.0)
            most = min(most, int((left + _LEAST) / amount))
        return max(0, most)

    def left(self) -> dict[str, float]:
        """What is neither in use nor granted, by name; what is used up is left out."""
        left = {name: amount - self.promised.get(name, 0.0) for name, amount in self.free.items()}
        return {name: amount for name, amount in left.items() if amount > _LEAST}

    def promise(self, number: int, promise: Promise) -> None:
        """Note a grant."""
        self.granted[number] = promise
        for name, amount in promise.resources.items():
            self.promised[name] = self.promised.get(name, 0.0) + amount

    def free_of(self, number: int) -> None:
        """A grant is over, or in the node's own report."""
        promise = self.granted.pop(number, None)
        if promise is None:
            return
        for name, amount in promise.resources.items():
            self.promised[name] -= amount
        if not self.granted:
            self.promised.clear()  # so that what was lost in rounding does not add up

    def could(self, want: Mapping[str, float]) -> bool:
        """Whether such a want fits once nothing else runs there."""
        return all(self.total.get(name, 0.0) + _LEAST >= amount for name, amount in want.items())


class Ledger:
    """Decides where work goes that its own node has no room for.

    A grant is a promise of room on a node. It counts until it is given back, or the node's own report has it.
    """

    def __init__(self) -> None:
        self.members: dict[str, LedgerNode] = {}
        self._places: dict[int, LedgerNode] = {}  # by grant
        self._next = 1

    def join(self, member: LedgerNode) -> None:
        """A node comes, or comes back under the same id."""
        self.members[member.node] = member

    def leave(self, node: str) -> LedgerNode | None:
        """A node is gone; what was promised there, and to it, is void."""
        gone = self.members.pop(node, None)
        if gone is not None:
            for grant in gone.granted:
                del self._places[grant]
        self.give_back(
            [
                grant
                for member in self.members.values()
                for grant, promise in member.granted.items()
                if promise.by == node
            ]
        )
        return gone

    def report(self, node: str, free: Mapping[str, float], seen: Iterable[int] = ()) -> None:
        """A node says what it has left, and which grants its figure includes."""
        member = self.members.get(node)
        if member is not None:
            member.free = dict(free)
            self.give_back(grant for grant in seen if self._places.get(grant) is member)

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
            best.promise(number, Promise(dict(want.resources), besides))
            self._places[number] = best
            granted.append((number, best))
        return granted

    def place(
        self,
        bundles: Mapping[int, Want],
        strategy: GroupStrategy,
        occupied: Iterable[str] = (),
        target: str = "",
        first: str = "",
    ) -> dict[int, tuple[int, LedgerNode]]:
        """Promise room for bundles of a placement group, for all or none.

        Args:
            bundles: what each needs, by its number.
            strategy: how they relate to nodes.
            occupied: nodes of the group's other bundles, once for each.
            target: for STRICT_PACK, the node to prefer.
            first: the node that asks, which comes first where nothing else decides.
        """
        rows = {
            NodeRow(member.node, EMPTY, member.labels): member
            for member in sorted(self.members.values(), key=lambda member: member.node != first)
            if not member.drains
        }
        by_id = {row.node_id: row for row in rows}
        room = {row: {name: round(left * UNITS_PER_ONE) for name, left in rows[row].left().items()} for row in rows}
        plan = plan_bundles(
            strategy,
            [Bundle(index, ResourceSet.of(want.resources), want.labels) for index, want in bundles.items()],
            room,
            [by_id[node] for node in occupied if node in by_id],
            by_id.get(target),
        )
        granted: dict[int, tuple[int, LedgerNode]] = {}
        for index, row in (plan or {}).items():
            number, self._next = self._next, self._next + 1
            self._places[number] = rows[row]
            rows[row].promise(number, Promise(dict(bundles[index].resources), first))
            granted[index] = number, rows[row]
        return granted

    def give_back(self, grants: Iterable[int]) -> None:
        """Grants are not used, or what ran with them is over."""
        for grant in grants:
            member = self._places.pop(grant, None)
            if member is not None:
                member.free_of(grant)

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
