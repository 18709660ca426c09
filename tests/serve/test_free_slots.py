"""News of free slots between processes."""

import asyncio
from pathlib import Path

from ray_async.serve.board import Board
from ray_async.serve.ingress.free_slots import FreeSlots


async def test_who_has_most_waiting_hears(tmp_path: Path) -> None:
    board = Board(tmp_path, create=True)
    heard = [asyncio.Event() for _ in range(3)]
    slots = [FreeSlots(tmp_path, board, place, heard[place].set) for place in range(3)]
    slots[1].wait(2)
    slots[2].wait(3)
    slots[0].tell([0, 1, 2])
    async with asyncio.timeout(60):
        await heard[2].wait()
    assert not heard[1].is_set()
    slots[2].close()
    slots[0].tell([0, 1, 2])
    async with asyncio.timeout(60):
        await heard[1].wait()
    slots[1].wait(0)
    slots[0].tell([0, 1])  # to nobody
    board.set_waiting(2, 1)
    slots[0].tell([0, 2])  # to one that has ended
    assert not heard[0].is_set()
    for each in slots[:2]:
        each.close()
    board.close()
    assert [path.name for path in tmp_path.iterdir()] == ["board"]
