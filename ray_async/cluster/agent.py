"""The agent: the process beside a node that joins it to the cluster.

It is attached to its node like a driver, and moves bytes between the node's arena and other agents. User code never
runs in it, and it unpickles nothing that users wrote. It ends with its node; when it dies, what it had taken comes
back to the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

from ray_async.cluster.actors import FarActors
from ray_async.cluster.calls import Calls
from ray_async.cluster.dask_adapter import Membership
from ray_async.cluster.demands import Demands
from ray_async.cluster.groups import FarGroups
from ray_async.cluster.lane import Lane, LaneClosedError, Lanes
from ray_async.cluster.node_channel import NodeChannel
from ray_async.cluster.objects import Objects
from ray_async.cluster.process_start import read_configuration
from ray_async.cluster.questions import Questions
from ray_async.cluster.security import load_credentials
from ray_async.cluster.tasks import IncomingTasks, OutgoingTasks
from ray_async.config import Settings
from ray_async.engine import current
from ray_async.engine.init_options import InitOptions
from ray_async.machine.event_loop import new_event_loop
from ray_async.spec.actor_description import ActorDescription
from ray_async.spec.class_description import ClassDescription
from ray_async.spec.placement import NodeChoice, Placement
from ray_async.version import __version__

__all__ = ("ClusterAgent", "main")

_logger = logging.getLogger("ray_async.cluster")

_REPORT_S = 0.1  # between reports while something changes
_GIVE_BACK_S = 0.003  # for more to be given back in one message
_LOOK_S = 1.0  # between looks at a node where nothing does
_FENCE_S = 8.0


class ClusterAgent:
    """All parts of the agent process.

    Args:
        session: this process's session at its node.
        config: ``head`` (host:port), ``host`` and ``port`` to listen at, ``credentials`` (a path).
    """

    def __init__(self, session: Any, config: dict[str, Any]) -> None:
        self.session = session
        self.arena = session.arena
        self.config = config
        self.node_id: str = session.description["node_id"]
        self.address = ""
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started: list[int] = []  # grants whose tasks are in this node's own books by now
        self._returned: list[int] = []
        self._changed = asyncio.Event()  # there is something to report soon
        self._wanted = False  # whether somebody in the cluster waits for room
        self._members: dict[str, str] = {}  # addresses by node
        self._lost: set[str] = set()
        self._jobs: dict[tuple[str, int], asyncio.Future[int]] = {}
        self.member = Membership(
            load_credentials(Path(config["credentials"])),
            config["head"],
            config["host"],
            config["port"],
            session.description["session_dir"],
            self._serve,
            self._run_batch,
        )
        self.lanes = Lanes(self.member.connect, lambda: {"node": self.node_id, "version": __version__})
        self.lanes.handlers.update(job_over=self._foreign_job_over, output=self._far_output)
        self.calls = Calls(self)
        self.demands = Demands(self._warn)
        self.objects = Objects(self)
        self.outgoing = OutgoingTasks(self)
        self.incoming = IncomingTasks(self)
        self.lanes.on_lost = self.incoming.node_lost
        self.actors = FarActors(self)
        self.groups = FarGroups(self)
        self.questions = Questions(self)
        self.channel: NodeChannel
        self.binding: Any = None  # of this process's loop, once it runs

    @property
    def origin(self) -> str:
        """What others call this node: ``id@host:port``."""
        return f"{self.node_id}@{self.address}"

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self, on_ready: Any) -> None:
        """Join, and serve until the node or the head is gone."""
        self.channel = await NodeChannel.open(self.session.description["session_dir"], self._told, self._stop.set)
        self.address = await self.member.start()
        self.binding = self.session.loops.binding()
        self.actors.start()
        joined = await self.channel.ask("agent_join", slot=self.arena.slot)
        await self._join_head(joined)
        on_ready()
        talks = [asyncio.ensure_future(self._watch_for_ever()), asyncio.ensure_future(self._report_for_ever())]
        ends = [asyncio.ensure_future(self.member.finished()), asyncio.ensure_future(self._stop.wait()), *talks]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for talk in talks:
            if talk.done() and not self._stop.is_set():
                _logger.error("this node is cut off from the head, and leaves the cluster: %r", talk.exception())

    async def _join_head(self, joined: dict[str, Any]) -> None:
        row = {**joined["row"], "IsHeadNode": bool(self.config.get("is_head"))}
        answer = await self.member.ask_head(
            "ray_join",
            node=self.node_id,
            address=self.address,
            total=joined["resources"],
            labels=row["Labels"],
            row=json.dumps(row),
            version=__version__,
            python=".".join(map(str, sys.version_info[:2])),
        )
        if "refused" in answer:
            raise ConnectionError(answer["refused"])

    async def _watch_for_ever(self) -> None:
        """See what the head sees: it answers when that has changed, and otherwise within seconds."""
        seen = -1
        while True:
            # The head takes a silent node to be dead after longer than this: what runs here for others is over before
            # it is run elsewhere.
            answer = await asyncio.wait_for(self.member.ask_head("ray_watch", seen=seen), _FENCE_S)
            seen, self._wanted = answer["version"], answer["wanted"]
            if self._wanted:
                self._changed.set()
            self._see(answer)
            await asyncio.sleep(_REPORT_S)

    async def _report_for_ever(self) -> None:
        """Tell the head what is free, when that has changed: looked at often only while something goes on."""
        told: dict[str, float] | None = None
        pause_s = _REPORT_S
        while True:
            self._changed.clear()
            started, self._started = self._started, []
            # Tasks of other nodes that run here count in the ledger, until their grants are given back.
            free = await self.channel.ask("available_resources", own=True)
            if free != told or started:
                await self.member.ask_head("ray_report", node=self.node_id, free=free, started=started)
                told, pause_s = free, _REPORT_S
            else:
                pause_s = _REPORT_S if self._wanted else min(2 * pause_s, _LOOK_S)
            await asyncio.sleep(_REPORT_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause_s - _REPORT_S)

    def _see(self, view: dict[str, Any]) -> None:
        """The head says who is there."""
        self._members = dict(view["members"])
        for node in view["lost"]:
            self.node_lost(node)
        rows = [json.loads(row) for row in view["rows"]]
        self.channel.tell("cluster_view", nodes=rows, free=view["free"])

    def node_lost(self, node: str) -> None:
        """A node is gone for good: it may come back only under another id."""
        if node in self._lost or node == self.node_id:
            return
        self._lost.add(node)
        _logger.warning("node %s is gone", node)
        self.lanes.drop(node)
        self.objects.node_lost(node)
        self.actors.node_lost(node)
        self.groups.node_lost(node)
        self._end_foreign_jobs([key for key in self._jobs if key[0] == node])

    # -- parts' common needs -------------------------------------------------------------------------------------------

    async def end(self) -> NoReturn:
        """End the process, which others hear of; nothing else is said of what its node had."""
        self._stop.set()
        await asyncio.Event().wait()
        raise AssertionError("the process has ended")

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine to its end, beside others; its failure is logged."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("a part of the agent failed", exc_info=task.exception())

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Call something in a while."""
        asyncio.get_running_loop().call_later(seconds, action)

    def settled(self, ref: Any) -> Awaitable[None]:
        """Wait until an object of this node is there, or its task has failed, without reading it."""
        waiting: Awaitable[None] = self.session.loops.settled(ref)
        return waiting

    async def lane(self, node: str) -> Lane:
        """The connection to another node.

        Raises:
            LaneClosedError: it is gone, or cannot be reached.
        """
        if node in self._lost:
            raise LaneClosedError(f"node {node} is gone")
        found = self.lanes.open_to(node)
        if found is not None:
            return found
        return await self.lanes.to(node, await self.address_of(node))

    async def address_of(self, node: str) -> str:
        """Where another node's agent listens.

        Raises:
            LaneClosedError: there is no such node.
        """
        if node not in self._members:
            self._see(await self.member.ask_head("ray_view"))
        if node not in self._members:
            raise LaneClosedError(f"node {node} is not in the cluster")
        return self._members[node]

    def notify(self, node: str, op: str, **fields: Any) -> None:
        """Tell another node something; nothing happens when it is gone."""
        self.spawn(self._notify(node, op, fields))

    async def _notify(self, node: str, op: str, fields: dict[str, Any]) -> None:
        try:
            (await self.lane(node)).send(op, **fields)
        except LaneClosedError:
            _logger.info("%s for node %s, which is gone", op, node)

    async def grant(self, place: Placement, resources: dict[str, float], count: int) -> list[tuple[int, str, str]]:
        """Ask the ledger for room on other nodes: grants with node and address, as many as there is room for."""
        if place.group is not None:
            return await self.groups.places(place, count)
        choice = place.choice
        returned, self._returned = self._returned, []
        answer = await self.member.ask_head(
            "ray_grant",
            node=self.node_id,
            resources=resources,
            labels=place.labels or {},
            only=choice.node if choice is not None and choice.kind == "affinity" else "",
            count=count,
            returned=returned,
        )
        self.demands.seen(resources, answer["feasible"])
        return [(number, node, address) for number, node, address in answer["granted"]]

    def give_back(self, grants: list[int]) -> None:
        """Grants are not used any more: the head is told so, with the next request for some or at once."""
        grants = [grant for grant in grants if grant]  # bundles of groups need none
        if grants and not self._returned:
            self.later(_GIVE_BACK_S, lambda: self.spawn(self._give_back_now()))
        self._returned += grants

    async def _give_back_now(self) -> None:
        returned, self._returned = self._returned, []
        if returned:
            await self.member.ask_head("ray_give_back", grants=returned)

    def started(self, grant: int) -> None:
        """An actor that was granted room is in this node's own books by now, and stays there."""
        self._started.append(grant)
        self._changed.set()

    async def foreign_job(self, node: str, job: dict[str, Any]) -> int:
        """The number that a job of another node has here."""
        key = node, int(job["id"])
        found = self._jobs.get(key)
        if found is None:
            found = self._jobs[key] = asyncio.ensure_future(self.channel.ask("foreign_job", job=job))
        return int(await asyncio.shield(found))

    def own_place(self, description: ClassDescription | ActorDescription, job: int) -> dict[str, Any]:
        """Fields of another node's description that are others here: the node is chosen, and the job has a number.

        What has come from another node stays here. What it starts has a place of its own.
        """
        _, _, environment = description.env_key.partition(":")
        here = description.place._replace(choice=NodeChoice("guest", self.node_id), labels=None, fallback=None)
        return {"place": here, "job": job, "env_key": f"{job}:{environment}"}

    def job_over(self, job: int) -> None:
        """A job of this node is over: so is what other nodes run of it."""
        for lane in self.lanes.all_open():
            lane.send("job_over", job=job)

    def _pass_on(self, output: dict[str, Any]) -> None:
        """Send what workers here have printed to the node whose driver shows it."""
        number = int(output["job"], 16)
        for (node, job), here in self._jobs.items():
            if here.done() and not here.cancelled() and here.exception() is None and here.result() == number:
                self.notify(node, "output", message={**output, "job": f"{job:08x}"})

    async def _far_output(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        self.channel.tell("far_output", message=header["message"])

    async def _foreign_job_over(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        self._end_foreign_jobs([(lane.node, header["job"])])

    def _end_foreign_jobs(self, keys: list[tuple[str, int]]) -> None:
        for key in keys:
            number = self._jobs.pop(key, None)
            if number is not None:
                self.spawn(self._end_foreign_job(number))

    async def _end_foreign_job(self, number: asyncio.Future[int]) -> None:
        self.channel.tell("foreign_job_over", job=await number)

    def _warn(self, text: str) -> None:
        """Tell this node's drivers something."""
        self.channel.tell("warn", text=text)

    # -- what comes in -------------------------------------------------------------------------------------------------

    async def _serve(self, link: Any) -> None:
        await self.lanes.serve(link)

    async def _run_batch(self, origin: str, number: int) -> int:
        return await self.incoming.run_batch(origin, number)

    def _told(self, message: dict[str, Any]) -> None:
        """The node says something by itself."""
        match message:
            case {"op": "demand", "classes": classes, "actors": actors, "groups": groups}:
                self.outgoing.demand(classes)
                self.actors.demand(actors)
                self.groups.demand(groups)
            case {"op": "group_made"}:
                self.groups.made(message)
            case {"op": "taken"}:
                self.outgoing.taken(message)
            case {"op": "cancel", "record": record, "seq": seq, "force": force}:
                self.outgoing.cancel(record, seq, force)
                self.actors.cancel(record, seq)
            case {"op": "wanted", "number": number}:
                self.objects.wanted(number)
            case {"op": "unwanted", "number": number}:
                self.objects.unwanted(number)
            case {"op": "output", "message": output}:
                self._pass_on(output)
            case {"op": "job_over", "job": job}:
                self.job_over(job)
            case {"op": "question"}:
                self.questions.asked(message)
            case {"op": "name_freed"}:
                self.questions.name_freed(message)
            case _:
                self.actors.told(message)


def main() -> None:
    """Be an agent: configuration as JSON on standard input, one line of JSON on standard output when it has joined."""
    config, say = read_configuration()
    loop = new_event_loop(Settings({}))
    asyncio.set_event_loop(loop)
    code = 1
    try:
        session = current.connect(
            InitOptions(
                address=config["session_dir"], log_to_driver=False, configure_logging=False, namespace="_cluster"
            )
        )
        loop.run_until_complete(_run(session, config, say))
        code = 0
    except (OSError, ValueError) as error:
        _logger.error("the agent ends: %s", error)
        say({"error": f"{error}"})
    except Exception as error:
        _logger.exception("the agent ends because of an error of its own")
        say({"error": f"{type(error).__name__}: {error}"})
    finally:
        logging.shutdown()
        os._exit(code)  # nothing is left to do, and the node takes back what this process had


async def _run(session: Any, config: dict[str, Any], say: Any) -> None:
    agent = ClusterAgent(session, config)
    await agent.run(lambda: say({"address": agent.address, "node": agent.node_id}))


if __name__ == "__main__":
    main()
