"""Balance: how many actors each of the pools gets that share the CPUs, so that none waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ("PoolLoad", "shares_of")


@dataclass(frozen=True)
class PoolLoad:
    """What is known of a stage with a pool.

    Attributes:
        least: actors that it has at least.
        seconds: time in its calls so far.
        rows: rows that these calls got.
        given: rows that they gave.
    """

    least: int
    seconds: float
    rows: int
    given: int


def shares_of(loads: Sequence[PoolLoad], cpus: int) -> list[int]:
    """Actors for pools that work one after the other on the same rows.

    Args:
        loads: the pools, in the order of the plan.
        cpus: actors that there may be in all, if each pool's least number allows it.
    """
    costs: list[float | None] = []
    flow = 1.0
    for load in loads:
        costs.append(flow * load.seconds / load.rows if load.rows and load.seconds else None)
        flow *= load.given / load.rows if load.rows and load.given else 1.0
    known = [cost for cost in costs if cost is not None]
    usual = sum(known) / len(known) if known else 1.0
    weights = [usual if cost is None else cost for cost in costs]
    exact = [cpus * weight / sum(weights) for weight in weights]
    found = [max(load.least, int(share)) for load, share in zip(loads, exact, strict=True)]
    by_rest = sorted(range(len(loads)), key=lambda index: int(exact[index]) - exact[index])
    for index in by_rest:
        if sum(found) < cpus:
            found[index] += 1
    while sum(found) > cpus:
        over = [index for index, load in enumerate(loads) if found[index] > load.least]
        if not over:
            break
        found[max(over, key=lambda index: found[index] - exact[index])] -= 1
    return found
