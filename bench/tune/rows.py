"""Rows of the benchmark of Tune: what is measured, of what size, and what it must reach."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("ROWS", "Bar", "Row")


@dataclass(frozen=True)
class Bar:
    """What a value must reach.

    Args:
        value: Name of the value.
        limit: The limit.
        at_most: Whether the value must not be above it; else not below it.
        of: A contender of whose value the limit is a share.
    """

    value: str
    limit: float
    at_most: bool = False
    of: str | None = None

    def is_met(self, value: float, reference: float = 1.0) -> bool:
        """Tell whether a value reaches the bar.

        Args:
            value: The value.
            reference: The other contender's.
        """
        limit = self.limit * reference
        return value <= limit if self.at_most else value >= limit


@dataclass(frozen=True)
class Row:
    """A search that is measured.

    Args:
        name: Its name.
        size: Trials, or reports.
        bars: What it must reach.
        peers: Who else runs it.
        ray_size: Size for Ray, which takes seconds for each trial; 0: Ray does not run it.
    """

    name: str
    size: int
    bars: tuple[Bar, ...]
    peers: tuple[str, ...] = ()
    ray_size: int = 0


ROWS = (
    Row(
        "trials",
        10_000,
        (
            Bar("rate", 2_000),
            Bar("slowing", 1.1, at_most=True),
            Bar("restore_s", 1.0, at_most=True),
            Bar("megabytes", 100, at_most=True),
        ),
        ray_size=10,
    ),
    Row("files", 2_000, (Bar("rate", 500),), ray_size=10),
    Row("tpe", 1_000, (Bar("rate", 0.7, of="optuna"),), peers=("optuna",)),
    Row("reports", 200_000, (Bar("rate", 50_000),), ray_size=1_000),
    Row("asha_reports", 200_000, (Bar("rate", 20_000),), ray_size=1_000),
    Row("waiting", 2_000, (Bar("overhead", 0.03, at_most=True),), peers=("joblib",)),
    Row("idle", 2_000, (Bar("idle", 0.02, at_most=True),)),
    Row("first", 2, (Bar("seconds", 0.2, at_most=True),), ray_size=2),
)
