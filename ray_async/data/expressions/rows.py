"""Expressions of rows' numbers: random numbers, identifiers, and the numbers themselves.

All are made of the row's number and a seed alone. So a call that is run again gives the same, and so do plans that
differ in what follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.random_numbers import random_keys, random_shares
from ray_async.data.expressions.expr import Expr, RowsExpr
from ray_async.data.plan.seeds import RandomSeedConfig, Seed, drawn_seed, fixed_seed, seed_of_execution

__all__ = ("RandomExpr", "RowNumberExpr", "UUIDExpr", "monotonically_increasing_id", "random", "seeded", "uuid")


@dataclass(frozen=True, eq=False)
class _ByNumber(RowsExpr):
    by_number = True


@dataclass(frozen=True, eq=False)
class RowNumberExpr(_ByNumber):
    """The row's number, from 0."""

    @property
    def type(self) -> pa.DataType:
        return pa.int64()

    def values(self, args: list[Any], rows: int, first_row: int) -> pa.Array:
        return pa.array(np.arange(first_row, first_row + rows, dtype=np.int64))

    def __repr__(self) -> str:
        return "monotonically_increasing_id()"


@dataclass(frozen=True, eq=False)
class _Drawn(_ByNumber):
    """A draw for each row.

    Attributes:
        seed: what the user gave.
        identity: tells draws without a seed apart; one expression that is used twice draws once.
        drawn: the seed of this execution; None before one has begun.
    """

    seed: Seed = None
    identity: int = field(default_factory=drawn_seed)
    drawn: int | None = None

    def _seed(self) -> int:
        return self.drawn if self.drawn is not None else seed_of_execution(self.seed, 0)


@dataclass(frozen=True, eq=False)
class RandomExpr(_Drawn):
    """A random number from 0 to below 1."""

    @property
    def type(self) -> pa.DataType:
        return pa.float64()

    def values(self, args: list[Any], rows: int, first_row: int) -> pa.Array:
        return pa.array(random_shares(self._seed(), first_row, rows))

    def __repr__(self) -> str:
        seed = self.seed.seed if isinstance(self.seed, RandomSeedConfig) else self.seed
        return "random()" if seed is None else f"random(seed={seed!r})"


@dataclass(frozen=True, eq=False)
class UUIDExpr(_Drawn):
    """A random identifier (version 4 of RFC 9562) as a text."""

    @property
    def type(self) -> pa.DataType:
        return pa.string()

    def values(self, args: list[Any], rows: int, first_row: int) -> pa.Array:
        if not rows:
            return pa.nulls(0, pa.string())
        seed = self._seed()
        halves = np.stack([random_keys(seed, first_row, rows), random_keys(seed + 1, first_row, rows)], axis=1)
        octets = halves.astype(">u8").view(np.uint8).reshape(rows, 16)
        octets[:, 6] = (octets[:, 6] & 0x0F) | 0x40
        octets[:, 8] = (octets[:, 8] & 0x3F) | 0x80
        digits = np.frombuffer(octets.tobytes().hex().encode(), dtype="S1").reshape(rows, 32)
        dash = np.full((rows, 1), b"-", dtype="S1")
        parts = [digits[:, :8], dash, digits[:, 8:12], dash, digits[:, 12:16], dash, digits[:, 16:20], dash]
        texts = np.ascontiguousarray(np.concatenate([*parts, digits[:, 20:]], axis=1)).view("S36")
        return pa.array(texts.reshape(rows).astype("U36"))

    def __repr__(self) -> str:
        return "uuid()"


def seeded(expr: Expr, execution: int, drawn: dict[int, int]) -> Expr:
    """An expression with the seeds of one execution.

    Args:
        expr: the expression.
        execution: how many executions the dataset had before.
        drawn: seeds by the identities of the draws without one; those that are missing are added.
    """

    def change(part: Expr) -> Expr:
        if not isinstance(part, _Drawn):
            return part
        if part.seed is not None and not (isinstance(part.seed, RandomSeedConfig) and part.seed.seed is None):
            return replace(part, drawn=seed_of_execution(part.seed, execution))
        return replace(part, drawn=drawn.setdefault(part.identity, seed_of_execution(part.seed, execution)))

    return expr.transformed(change)


def random(*, seed: int | None = None, reseed_after_execution: bool = True) -> RandomExpr:
    """A random number from 0 to below 1 for each row.

    Args:
        seed: decides the numbers, of each row by its number; None: other numbers at each execution.
        reseed_after_execution: whether the second execution of a dataset draws otherwise than its first, in a way that
            the seed decides.

    Raises:
        TypeError: The seed is no whole number.

    Example:
        >>> ds.with_column("r", random(seed=7)).filter(col("r") < 0.5)
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise TypeError(f"a seed is a whole number or None, but got {seed!r}")
    return RandomExpr(fixed_seed(RandomSeedConfig(seed, reseed_after_execution)))


def uuid() -> UUIDExpr:
    """A random identifier for each row, as a text; other ones at each execution.

    Example:
        >>> ds.with_column("key", uuid())
    """
    return UUIDExpr()


def monotonically_increasing_id() -> RowNumberExpr:
    """The number of the row, from 0, in the order of the dataset.

    Example:
        >>> ds.with_column("row", monotonically_increasing_id())
    """
    return RowNumberExpr()
