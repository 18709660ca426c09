"""A session in one process: an arena that the test has joined, and the core's hooks as the package installs them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_async._core import codec, object_ref, store, submission
from ray_async._core.arena import Arena, set_current
from ray_async._core.loop_waiter import LoopWaiter
from ray_async._core.node_view import NodeView
from ray_async.serialization.pickling import explain, make_pickler
from tests.core.session import NODE, DamageError, raise_error, timed_out

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def hooks() -> None:
    """Install the core's hooks, in the plainest form that shows their effect."""
    codec.set_hooks(make_pickler=make_pickler, explain=explain)
    store.set_hooks(raise_error=raise_error, timed_out=timed_out, node_died=lambda: DamageError("the node is gone"))
    object_ref.set_hooks(out_of_band=lambda ref: None)
    submission.set_hooks(carry=lambda options: options)  # asked for as soon as any test has loaded OpenTelemetry


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """An arena of 64 MiB, joined and current."""
    yield from joined(64 * MEBIBYTE, tmp_path)


@pytest.fixture
def node(arena: Arena) -> Iterator[NodeView]:
    """The node's view, in the same process."""
    waiter = LoopWaiter(arena)
    yield NodeView(arena, waiter.index)
    waiter.close()


@pytest.fixture
def small_arena(tmp_path: Path) -> Iterator[Arena]:
    """The smallest arena that there is: 64 chunks, 4 MiB, and no more places than that."""
    yield from joined(0, tmp_path, places=1)


def joined(limit: int, directory: Path, **options: int) -> Iterator[Arena]:
    """Make an arena, join it, and close it afterwards."""
    arena: Any = Arena.create(limit, str(directory), **options)
    arena.join(NODE)
    # No node runs here that could spill: a full arena is told at once instead of waiting for one that starts.
    NodeView(arena, 0).down()
    set_current(arena)
    yield arena
    arena.close()
    set_current(None)
    codec.forget_encoder()
    gc.collect()
