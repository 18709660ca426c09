"""Seeds of random operations, and what becomes of them at each execution."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ("RandomSeedConfig", "Seed", "drawn_seed", "fixed_seed", "seed_of_execution")


@dataclass(frozen=True)
class RandomSeedConfig:
    """A seed, and whether each execution of a dataset has another one.

    Args:
        seed: decides the draw; None draws a seed.
        reseed_after_execution: whether the second execution draws otherwise than the first, in a way that the seed
            decides.
    """

    seed: int | None = None
    reseed_after_execution: bool = True


Seed: TypeAlias = int | RandomSeedConfig | None


def fixed_seed(seed: Seed) -> Seed:
    """The same, with a seed that is drawn now if all executions shall have the same one."""
    if isinstance(seed, RandomSeedConfig) and seed.seed is None and not seed.reseed_after_execution:
        return drawn_seed()
    if seed is not None and not isinstance(seed, (int, RandomSeedConfig)):
        raise TypeError(f"a seed is a whole number, None or a RandomSeedConfig, but got {seed!r}")
    return seed


def seed_of_execution(seed: Seed, execution: int) -> int:
    """The seed of one execution.

    Args:
        seed: what the user gave; None draws one each time.
        execution: how many executions the dataset had before.
    """
    if seed is None:
        return drawn_seed()
    if isinstance(seed, int):
        return seed
    if seed.seed is None:
        return drawn_seed()
    if not seed.reseed_after_execution or not execution:
        return seed.seed
    return random.Random(f"{seed.seed} {execution}").getrandbits(63)


def drawn_seed() -> int:
    """A seed that nobody knows before."""
    return random.SystemRandom().getrandbits(63)
