"""What the head tells agents, and when."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ray_async.cluster import security
from ray_async.cluster.head import HeadService
from ray_async.cluster.ledger import LedgerNode

CPU = {"CPU": 1.0}


def with_head(tmp_path: Path, body: Callable[[HeadService], Awaitable[None]]) -> None:
    """Run something beside a head that knows two nodes of one CPU each."""

    async def run() -> None:
        head = HeadService(
            {
                "host": "127.0.0.1",
                "port": 0,
                "credentials": str(tmp_path / "c.json"),
                "folder": str(tmp_path),
                "node_pid": os.getpid(),
            }
        )
        for node in ("a", "b"):
            head._ledger.join(LedgerNode(node, f"{node}:1", dict(CPU), dict(CPU), {}))
        try:
            await body(head)
        finally:
            await head.close()

    security.create_credentials(tmp_path / "c.json")
    asyncio.run(run())


async def watching(head: HeadService) -> asyncio.Task[dict[str, Any]]:
    """An agent that has seen everything, and waits for news."""
    watch = asyncio.ensure_future(head._watch((await head._watch(-1))["version"]))
    await asyncio.sleep(0)
    return watch


async def is_told(watch: asyncio.Task[dict[str, Any]]) -> bool:
    """Whether the answer is there, once everything that is ready has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return watch.done()


def test_nothing_is_said_while_nothing_changes(tmp_path: Path) -> None:
    async def body(head: HeadService) -> None:
        watch = await watching(head)
        await head._report("a", dict(CPU), [])
        assert not await is_told(watch)
        await head._report("a", {}, [])
        assert await is_told(watch)
        assert watch.result()["free"] == {"a": {}, "b": CPU}

    with_head(tmp_path, body)


def test_who_waits_for_room_is_told_to_all(tmp_path: Path) -> None:
    async def body(head: HeadService) -> None:
        watch = await watching(head)
        assert (await head._grant("a", CPU, {}, "", 1, []))["granted"]
        assert await is_told(watch)
        assert watch.result()["free"] == {"a": CPU, "b": {}}
        watch = await watching(head)
        assert not (await head._grant("a", CPU, {}, "", 1, []))["granted"]
        assert await is_told(watch)
        assert watch.result()["wanted"]

    with_head(tmp_path, body)


def test_a_node_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    async def body(head: HeadService) -> None:
        head._rows["b"] = {}
        watch = await watching(head)
        head._address_lost("tls://b:1")
        assert await is_told(watch)
        assert watch.result()["lost"] == ["b"]

    with_head(tmp_path, body)
