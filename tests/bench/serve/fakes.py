"""A driver that starts nothing, and load that is not sent."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bench.result import Report
from bench.serve.wrk import Load, LoadError
from bench.subject import OURS, Params

__all__ = ("FakeDriver", "FakeLoad", "empty_report")


class FakeDriver:
    """Answers every case, and notes what it was asked."""

    version = "1"
    absent = ""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.processes = [os.getpid()]

    def supports(self, case: str) -> bool:
        return case != "unknown"

    def measure(self, case: str, params: Params, fresh: bool) -> Mapping[str, float]:
        self.log.append(f"{self.name} {case}")
        return {"port": 80.0}

    def close(self) -> None:
        self.log.append(f"{self.name} closed")


class FakeLoad:
    """Gives the same result each time, and notes what was sent in a shared log.

    Args:
        log: The log.
        failed: How many requests fail; less than zero: all.
    """

    def __init__(self, log: list[str], failed: int = 0) -> None:
        self.log = log
        self.failed = failed

    def __call__(self, port: int, load: Load) -> FakeLoad:
        self.log.append(f"{load.connections} to {port}{load.path} {load.body}".strip())
        return self

    def result(self) -> dict[str, float]:
        if self.failed < 0:
            raise LoadError("not one request was answered")
        return {"wall": 0.5, "requests": 10.0, "failed": float(self.failed), "p50": 0.1}


def empty_report() -> Report:
    """A run in which nothing was measured."""
    return Report({"cores": 2}, "today", 3, False, {OURS: "1"}, {}, [])
