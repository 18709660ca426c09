"""How an execution's memory is divided, and what workers keep of it between calls."""

import numpy as np
import pyarrow as pa
import pytest

from ray_async.data.executor.kept_memory import KeptMemory, private_bytes
from ray_async.data.executor.room import Room

MIB = 1 << 20


@pytest.mark.parametrize("store", [64 * MIB, 256 * MIB, 1 << 30, 64 << 30])
@pytest.mark.parametrize("cpus", [1, 2, 64])
@pytest.mark.parametrize("barriers", [0, 1, 3, 10])
def test_what_is_in_hand_at_a_time_fits_into_the_budget(store: int, cpus: int, barriers: int) -> None:
    budget = store * 2 // 5
    room = Room.of(store, budget, cpus, barriers, 128 * MIB, 1 << 30, 128 * MIB)
    assert room.block <= max(1 << 16, budget // (4 * cpus))
    assert barriers * room.gathered <= max(budget, barriers * MIB)
    assert room.part <= min(room.block, room.call) and room.call <= 1 << 30
    assert 1 <= room.run <= 128 * MIB and room.run <= max(room.call // 4, budget // (4 * cpus))
    assert room.kept * cpus <= store // 16


def test_a_small_block_that_is_asked_for_is_made() -> None:
    room = Room.of(1 << 30, 400 * MIB, 2, 1, 100_000, 1 << 30, 128 * MIB)
    assert room.block == room.part == 100_000
    assert room.run > MIB, "files are not cut as the result is"


def test_free_memory_is_given_back_when_there_is_much_of_it() -> None:
    before = private_bytes()
    kept = KeptMemory(8 * MIB)
    held = [pa.array(np.ones(MIB // 16)) for _ in range(128)]  # half a MiB each: allocators do not map such alone
    arrays = [np.ones(1 << 12) for _ in range(1000)]
    assert private_bytes() - before > 64 * MIB
    del held, arrays
    kept.look()
    assert private_bytes() - before < 32 * MIB
