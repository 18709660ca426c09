"""Contenders that measure nothing, and a subject for them."""

from __future__ import annotations

from collections.abc import Mapping

from bench.harness import MeasurementError
from bench.subject import FLOORS, OURS, Bar, Params, Row, Subject, Unit

__all__ = ("FakeContender", "fake_contenders", "fake_subject")


class FakeContender:
    """Reports scripted costs, one per round, and notes in a shared log what it was asked."""

    def __init__(self, name: str, costs: Mapping[str, list[dict[str, float]]], log: list[tuple[str, str]]) -> None:
        self.name = name
        self.costs = {case: list(rounds) for case, rounds in costs.items()}
        self.log = log
        self.asked: list[tuple[str, Params, bool]] = []

    def supports(self, case: str) -> bool:
        return case in self.costs

    def measure(self, case: str, params: Params, fresh: bool) -> Mapping[str, float]:
        self.log.append((self.name, case))
        self.asked.append((case, params, fresh))
        if not self.costs[case]:
            raise MeasurementError(f"{self.name} has no more rounds of {case}\nand a second line")
        return self.costs[case].pop(0)


def fake_subject() -> Subject:
    """Two rows of one case, one of them held against a case of the contender's own, and one row of another case."""
    return Subject(
        "calls",
        "Calls",
        (
            Row("sync", "call", floor="trip", floor_title="C trip", bar=Bar.of_floor(2, "trip", "C trip")),
            Row("sync, CPU", "call", metric="cpu", bar=Bar.of_own(1.2, "base", "cpu", "its base")),
            Row(
                "put",
                "put",
                unit=Unit.RATE,
                bar=Bar.faster_than("Peer", 5, "put"),
                params={"count": 100},
                quick={"count": 3},
                for_peers={"count": 10},
                fresh=True,
            ),
        ),
    )


def fake_contenders(log: list[tuple[str, str]]) -> list[FakeContender]:
    """Floors, ray_async and a peer, in three rounds in which the machine gets slower and slower."""
    drift = (1.0, 2.0, 4.0)
    return [
        FakeContender(FLOORS, {"trip": [{"wall": 10.0 * d} for d in drift]}, log),
        FakeContender(
            OURS,
            {
                "call": [{"wall": 15.0 * d, "cpu": 13.0 * d} for d in drift],
                "base": [{"wall": 1.0, "cpu": 10.0 * d} for d in drift],
                "put": [{"wall": 1.0 * d} for d in drift],
            },
            log,
        ),
        FakeContender(
            "Peer", {"call": [{"wall": 150.0 * d} for d in drift], "put": [{"wall": 6.0 * d} for d in drift]}, log
        ),
    ]
