"""Sessions for fault tests: small, private to a test, and always ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.faults.programs import Program
from tests.faults.session import SEED


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """`start(num_cpus=2, ...)` begins a session with a small store; it is ended after the test."""

    def begin(**options: Any) -> Any:
        return ray.init(**{"num_cpus": 2, "object_store_memory": 200 << 20, **options})

    print(f"FAULT_SEED={SEED}")
    yield begin
    ray.shutdown()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """`program(source, ...)` runs a driver of its own; what still runs is ended after the test."""
    programs: list[Program] = []

    def run(source: str, **options: Any) -> Program:
        programs.append(Program(tmp_path, source, **options))
        return programs[-1]

    yield run
    for one in programs:
        one.close()
