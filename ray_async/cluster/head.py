"""The head: the process that keeps the table of nodes and the ledger, around Dask's scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from ray_async.cluster.dask_adapter import ClusterHead
from ray_async.cluster.directory import Directory, Holder
from ray_async.cluster.ledger import Ledger, LedgerNode, Want
from ray_async.cluster.process_start import read_configuration
from ray_async.cluster.security import load_credentials
from ray_async.config import Settings
from ray_async.machine.event_loop import new_event_loop
from ray_async.runtime.node.requests.key_values import KeyValues
from ray_async.runtime.scheduler.labels import LabelSelector
from ray_async.runtime.scheduler.placement_groups import GroupStrategy
from ray_async.version import __version__

__all__ = ("HeadService", "main")

_logger = logging.getLogger("ray_async.cluster")

_PYTHON = ".".join(map(str, sys.version_info[:2]))
_WATCH_S = 2.0  # that an agent waits for news, at most
_WANTED_S = 1.0  # that room counts as wanted after it was sought in vain: who waits for it asks again and again
_MAX_PAST_NODES = 1000  # nodes that are gone, for listings


class HeadService:
    """Answers the agents.

    Args:
        config: ``host``, ``port``, ``credentials`` (a path), ``folder`` (for its files), ``node_pid`` (of the node that
            the head ends with).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._ledger = Ledger()
        self._directory = Directory()
        self._key_values = KeyValues().by_operation
        self._groups: dict[str, tuple[str, str, str]] = {}  # by id: owner's node, name, namespace
        self._rows: dict[str, dict[str, Any]] = {}
        self._lost: dict[str, None] = {}
        self._version = 0  # of what agents see
        self._changed = asyncio.Event()  # set, and another one made, with each version
        self._wanted_until = -math.inf
        self._head = ClusterHead(
            load_credentials(Path(config["credentials"])),
            config["host"],
            config["port"],
            config["folder"],
            {
                "ray_join": self._join,
                "ray_report": self._report,
                "ray_view": self._view,
                "ray_watch": self._watch,
                "ray_grant": self._grant,
                "ray_give_back": self._give_back,
                "ray_place": self._place,
                "ray_group": self._group,
                "ray_find_group": self._find_group,
                "ray_batches": self._batches,
                "ray_take_name": self._take_name,
                "ray_free_name": self._free_name,
                "ray_find_name": self._find_name,
                "ray_names": self._names,
                "ray_key_value": self._key_value,
            },
            self._address_lost,
        )
        self._node = os.pidfd_open(config["node_pid"])

    async def run(self, on_ready: Any) -> None:
        """Serve until the head's node ends."""
        on_ready(await self._head.start())
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._node, ended.set)
        await ended.wait()

    async def close(self) -> None:
        """Stop listening, of a head that runs in a process that goes on."""
        os.close(self._node)
        await self._head.close()

    async def _join(self, node: str, address: str, total: dict[str, float], labels: dict[str, str], **more: Any) -> Any:
        if more["version"] != __version__:
            return {"refused": f"this node runs ray_async {more['version']}, and its head {__version__}"}
        if node in self._lost:
            return {"refused": f"node {node} was taken to be dead, and what it ran was given to others: start it anew"}
        if more["python"] != _PYTHON:
            return {"refused": f"this node runs Python {more['python']}, and its head {_PYTHON}"}
        try:
            await self._head.reach(address)
        except OSError:
            return {
                "refused": f"the head cannot reach this node at {address}: name an address of this machine that it can "
                "reach with --node-ip-address, and let it through to all ports that are not fixed"
            }
        self._ledger.join(LedgerNode(node, address, dict(total), dict(total), dict(labels)))
        self._rows[node] = json.loads(more["row"])
        self._change()
        _logger.info("node %s has joined from %s", node, address)
        return {}

    async def _report(self, node: str, free: dict[str, float], started: list[int]) -> None:
        member = self._ledger.members.get(node)
        if member is not None and member.free != free:
            self._change()
        self._ledger.report(node, free, started)

    async def _give_back(self, grants: list[int]) -> None:
        self._ledger.give_back(grants)
        self._change()

    async def _watch(self, seen: int) -> dict[str, Any]:
        """The view, as soon as it is another than what the asker has seen."""
        if seen == self._version:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _WATCH_S)
        return {**await self._view(), "version": self._version, "wanted": self._is_wanted()}

    def _change(self) -> None:
        """What agents see is another from now on."""
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _is_wanted(self) -> bool:
        return time.monotonic() < self._wanted_until

    async def _view(self) -> dict[str, Any]:
        return {
            "members": {member.node: member.address for member in self._ledger.members.values()},
            "lost": list(self._lost),
            "rows": [json.dumps(row) for row in self._rows.values()],
            "free": {member.node: member.left() for member in self._ledger.members.values()},
        }

    async def _grant(
        self, node: str, resources: dict[str, float], labels: dict[str, str], only: str, count: int, returned: list[int]
    ) -> dict[str, Any]:
        self._ledger.give_back(returned)
        want = Want(resources, LabelSelector.parse(labels), only)
        granted = [[number, member.node, member.address] for number, member in self._ledger.grant(want, count, node)]
        was_wanted = self._is_wanted()
        if len(granted) < count:
            self._wanted_until = time.monotonic() + _WANTED_S
        if granted or returned or self._is_wanted() != was_wanted:
            self._change()
        return {"granted": granted, "feasible": bool(granted) or self._ledger.feasible(want)}

    async def _place(
        self,
        node: str,
        bundles: list[tuple[int, dict[str, float], dict[str, str]]],
        strategy: str,
        occupied: list[str],
        target: str,
    ) -> list[tuple[int, int, str]]:
        """Room for the bundles of a group: number of each bundle, its grant, its node; empty where there is none."""
        wants = {index: Want(resources, LabelSelector.parse(labels)) for index, resources, labels in bundles}
        granted = self._ledger.place(wants, GroupStrategy[strategy], occupied, target, node)
        if not granted:
            self._wanted_until = time.monotonic() + _WANTED_S
        self._change()
        return [(index, number, member.node) for index, (number, member) in granted.items()]

    async def _group(self, node: str, group: str, name: str, namespace: str) -> None:
        """A node has made a placement group; or removed it, where there is no node."""
        if node:
            self._groups[group] = node, name, namespace
        else:
            self._groups.pop(group, None)

    async def _find_group(self, group: str, name: str, namespace: str) -> tuple[str, str]:
        """Id and owner's node of a placement group, by its id or else its name; empty where there is none."""
        if group:
            return group, self._groups.get(group, ("", "", ""))[0]
        for identity, (node, *named) in self._groups.items():
            if named == [name, namespace]:
                return identity, node
        return "", ""

    async def _take_name(self, node: str, namespace: str, name: str, actor: str) -> bool:
        """Give an actor a name; whether another one has it."""
        return node in self._lost or not self._directory.take(namespace, name, Holder(node, actor))

    async def _free_name(self, node: str, namespace: str, name: str, actor: str) -> None:
        self._directory.free(namespace, name, Holder(node, actor))

    async def _find_name(self, namespace: str, name: str) -> str:
        """The node that has a named actor; "" for none."""
        found = self._directory.find(namespace, name)
        return found.node if found is not None else ""

    async def _names(self, namespace: str | None) -> list[tuple[str, str]]:
        return self._directory.names(namespace)

    async def _key_value(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        """A question of a node about keys and values; a refusal as ``refused``."""
        try:
            return {"value": self._key_values[operation](fields)}
        except RuntimeError as error:
            return {"refused": str(error)}

    async def _batches(self) -> int:
        return self._head.batches()

    def _address_lost(self, worker: str) -> None:
        address = worker.rpartition("://")[2]
        for member in list(self._ledger.members.values()):
            if member.address == address:
                _logger.warning("node %s at %s is gone", member.node, address)
                self._ledger.leave(member.node)
                self._directory.node_lost(member.node)
                for group in [group for group, (node, _, _) in self._groups.items() if node == member.node]:
                    del self._groups[group]
                self._lost[member.node] = None
                self._rows[member.node].update(Alive=False, alive=False, DeathReasonMessage="the node is gone")
                self._change()
        for node in list(self._lost)[:-_MAX_PAST_NODES]:
            del self._lost[node], self._rows[node]


def main() -> None:
    """Be a head: configuration as JSON on standard input, one line of JSON on standard output when it listens."""
    config, say = read_configuration()
    loop = new_event_loop(Settings({}))
    asyncio.set_event_loop(loop)
    code = 1
    try:
        loop.run_until_complete(_run(config, say))
        code = 0
    except (OSError, ValueError) as error:
        say({"error": f"{error}"})
    finally:
        logging.shutdown()
        os._exit(code)


async def _run(config: dict[str, Any], say: Any) -> None:
    service = HeadService(config)  # Dask's scheduler is made on a running loop
    await service.run(lambda address: say({"address": address}))


if __name__ == "__main__":
    main()
