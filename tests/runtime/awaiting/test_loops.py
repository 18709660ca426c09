"""What a session keeps of the event loops that await its references."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.runtime.awaiting import loops


@ray.remote
def one() -> int:
    return 1


def test_first_loops_in_two_threads_share_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    results: list[int] = []

    async def get() -> int:
        return await one.remote()

    thread = threading.Thread(target=lambda: results.append(asyncio.run(get())))

    class Loops(loops.Loops):
        """A table whose making takes so long that the other thread asks for one meanwhile."""

        def __init__(self, session: Any) -> None:
            super().__init__(session)
            made.append(self)
            if not thread.is_alive():
                thread.start()
                thread.join(0.2)

    with ray.init(num_cpus=1):
        monkeypatch.setattr(loops, "Loops", Loops)
        assert asyncio.run(get()) == 1
        thread.join()
        assert results == [1]
        assert made == [get_session().loops]
