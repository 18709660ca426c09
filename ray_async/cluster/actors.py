"""The direct lane: actors that other nodes host, actors hosted for others, and handles of others' actors.

The node of its creator owns an actor: it names, restarts and ends it. Where another node hosts it, the agent there
makes an actor of its own node, and this agent takes the calls from the actor's queue and sends them on, in their
order. A handle that reaches a third node is served there in the same way, through the owner.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import execution, portable, store, submission
from ray_async._core.constants import ActorState, RecordKind
from ray_async._core.object_view import ObjectView
from ray_async.cluster.lane import Lane, LaneClosedError, RefusedError
from ray_async.spec.actor_description import ActorDescription
from ray_async.transport.frames import encode_bytes

if TYPE_CHECKING:
    from ray_async.cluster.agent import ClusterAgent
    from ray_async.cluster.objects import Place

__all__ = ("FarActors",)

_logger = logging.getLogger("ray_async.cluster")

_LOOK_S = 0.2  # between looks at what waits, and at what has died


class _Served:
    """An actor of this node's arena whose calls run on another node."""

    __slots__ = ("calls", "core", "creating", "epoch", "index", "node", "offset", "place", "queue")

    def __init__(self, offset: int, core: Any, queue: int, node: str, epoch: int) -> None:
        self.offset, self.core, self.queue, self.node, self.epoch = offset, core, queue, node, epoch
        self.place: Place | None = None  # what the other node calls it; None while it is being created
        #: Calls that run there, by record.
        self.calls: dict[int, int] = {}


class FarActors:
    """What an agent knows of actors that cross its node's border.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._arena = agent.arena
        self._view = ObjectView(agent.arena)
        self._executor = execution.Executor(agent.arena, None, None)
        self._served: dict[int, _Served] = {}
        self._asking: set[str] = set()
        self._grants: dict[int, tuple[int, str, str]] = {}
        self._next = 1
        #: Actors of this node that it hosts for others: the owner's node, and how it is told of the end.
        self._hosted: dict[tuple[int, int], tuple[Any, Lane]] = {}
        self._calls: dict[tuple[str, int, int], Any] = {}
        self._crossing = asyncio.Event()  # there are actors to look at
        agent.lanes.handlers.update(
            create_actor=self._create,
            call=self._call,
            actor_died=self._died,
            end_actor=self._end,
            kill_actor=self._kill,
            cancel_call=self._cancel,
        )

    def start(self) -> None:
        """Look at the queues whenever this process is woken."""
        self._binding = self._agent.binding
        self._binding.on_wake(self._pump)
        self._agent.spawn(self._look_for_ever())

    async def _look_for_ever(self) -> None:
        while True:
            if not self._served and not self._hosted:
                self._crossing.clear()
                await self._crossing.wait()
            await asyncio.sleep(_LOOK_S)
            self._pump()
            self._look_for_dead()
            self._drop_handles()

    # -- the owner's side ----------------------------------------------------------------------------------------------

    def told(self, message: dict[str, Any]) -> None:
        """The node says something of actors."""
        match message:
            case {"op": "actor_yours", "tag": tag}:
                grant, node, address = self._grants.pop(tag)
                self._agent.spawn(self._create_there(message, grant, node, address))
            case {"op": "actor_not", "tag": tag}:
                self._agent.give_back([self._grants.pop(tag)[0]])
            case {"op": "end_actor", "actor": offset, "epoch": epoch}:
                self._end_there(offset, epoch)
            case {"op": "kill_far", "actor": offset, "no_restart": no_restart}:
                self._kill_far(offset, no_restart)
            case _:
                _logger.error("the node says %r, which nobody here knows", message.get("op"))

    def demand(self, actors: list[tuple[int, str, str]]) -> None:
        """The node has actors that wait for room."""
        for offset, scheduler_id, description in actors:
            if scheduler_id not in self._asking:
                self._asking.add(scheduler_id)
                self._agent.spawn(self._find_room(offset, scheduler_id, ActorDescription.decode(description.encode())))

    async def _find_room(self, offset: int, scheduler_id: str, description: ActorDescription) -> None:
        try:
            wants = dict(description.place.resources)
            for name, amount in description.placement_resources.items():
                wants[name] = max(amount, wants.get(name, 0.0))
            grants = await self._agent.grant(description.place, wants, 1)
            if grants:
                tag, self._next = self._next, self._next + 1
                self._grants[tag] = grants[0]
                self._agent.channel.tell("take_actor", actor=offset, id=scheduler_id, tag=tag, node=grants[0][1])
        finally:
            self._asking.discard(scheduler_id)

    async def _create_there(self, message: dict[str, Any], grant: int, node: str, address: str) -> None:
        """Have an actor made on another node; its ``__init__`` has run, or failed, when this returns."""
        offset, epoch, creation = message["actor"], message["epoch"], message["creation"]
        # The node keeps the actor until this agent has said that its process is gone: no reference of the agent's own
        # may keep it from ending.
        served = _Served(offset, None, message["queue"], node, epoch)
        self._served[offset] = served
        self._crossing.set()
        try:
            lane = await self._agent.lanes.to(node, address)
            header, frames = self._describe(creation, lane)
            answer, pieces = await lane.request(
                "create_actor", frames, description=message["description"], job=message["job"], grant=grant, **header
            )
        except (LaneClosedError, RefusedError) as error:
            self._gone(served, str(error))
            return
        finally:
            self._agent.give_back([grant])
        if self._served.get(offset) is not served:
            self._agent.notify(node, "end_actor", at=answer.get("at"))
        elif "failed" in answer:
            del self._served[offset]
            self._agent.channel.tell(
                "actor_init_failed", actor=offset, epoch=epoch, error=encode_bytes(bytes(pieces[0]))
            )
        else:
            served.place = (node, *answer["at"])
            ref = portable.return_of(self._arena, creation, 0)
            if ref is not None:
                store.fulfil(self._arena, ref, None)
            self._agent.channel.tell("actor_up", actor=offset, epoch=epoch)
            self._serve(served)

    def _describe(self, record: int, lane: Lane) -> tuple[dict[str, Any], list[Any]]:
        """What the other node must know of a call, but where it goes."""
        return self._agent.calls.describe(record, lane)

    def _serve(self, served: _Served) -> None:
        self._executor.register(served.queue, self._binding.waiter_index)
        self._pump()

    def _pump(self) -> None:
        """Send on what waits in the queues of actors that other nodes host."""
        again = False
        for served in list(self._served.values()):
            if served.place is None:
                continue
            while record := self._executor.pop(served.queue):
                self._send_on(served, record)
            self._executor.wants_refill(served.queue)
            again = self._executor.arm(served.queue) or again
        if again:
            asyncio.get_running_loop().call_soon(self._pump)

    def _send_on(self, served: _Served, record: int) -> None:
        served.calls[record] = submission.record_seq(self._arena, record)
        lane = self._agent.lanes.open_to(served.node)
        assert served.place is not None
        if lane is None:
            self._agent.spawn(self._send_late(served, record))
            return
        header, frames = self._describe(record, lane)
        self._agent.spawn(self._await_call(served, record, lane, header, frames))

    async def _send_late(self, served: _Served, record: int) -> None:
        """The connection is not there, or not any more."""
        try:
            lane = await self._agent.lane(served.node)
        except LaneClosedError as error:
            self._unreachable(served, record, error)
            return
        header, frames = self._describe(record, lane)
        await self._await_call(served, record, lane, header, frames)

    async def _await_call(
        self, served: _Served, record: int, lane: Lane, header: dict[str, Any], frames: list[Any]
    ) -> None:
        assert served.place is not None
        seq = served.calls[record]
        try:
            answer, pieces = await lane.request(
                "call", frames, at=list(served.place[1:]), record=record, seq=seq, **header
            )
        except LaneClosedError as error:
            self._unreachable(served, record, error)
            return
        except RefusedError as error:
            answer, pieces = {"failed": True}, [errors.to_payload(errors.RaySystemError(str(error)))]
        if served.calls.get(record) != seq:
            return
        if answer.get("died") and served.epoch:
            self._gone(served, answer["died"])  # the node decides whether the call runs again
            return
        del served.calls[record]
        self._agent.calls.finish(record, answer, pieces, lane)

    def _unreachable(self, served: _Served, record: int, error: LaneClosedError) -> None:
        """A call cannot be sent, or its answer will not come."""
        if served.epoch:
            self._gone(served, str(error))
        elif served.calls.pop(record, None) is not None:
            context = errors.ActorDiedErrorContext(served.core.actor_id.hex(), f"The actor is dead because {error}.")
            self._executor.fail(record, errors.to_payload(errors.ActorDiedError(context)))

    def _gone(self, served: _Served, reason: str) -> None:
        """An actor of this node has died where it was hosted: the node decides what follows."""
        if self._served.get(served.offset) is served:
            self._forget(served)
            self._agent.channel.tell("actor_gone", actor=served.offset, epoch=served.epoch, reason=reason)

    def _forget(self, served: _Served) -> None:
        self._served.pop(served.offset, None)
        served.calls.clear()
        if served.place is not None:
            self._executor.unregister(served.queue, self._binding.waiter_index)

    def _end_there(self, offset: int, epoch: int) -> None:
        """The node has ended an actor: so is its process to be ended."""
        served = self._served.get(offset)
        if served is not None and served.epoch == epoch:
            if served.place is not None:
                self._agent.notify(served.node, "end_actor", at=list(served.place[1:]))
            self._gone(served, "it was ended")

    def cancel(self, record: int, seq: int) -> None:
        """Have a call cancelled where it runs."""
        for served in self._served.values():
            if served.calls.get(record) == seq:
                self._agent.notify(served.node, "cancel_call", record=record, seq=seq)

    def _kill_far(self, offset: int, no_restart: bool) -> None:
        """A process of this node has killed an actor of another one."""
        served = self._served.get(offset)
        if served is not None and served.place is not None:
            self._agent.notify(served.node, "kill_actor", at=list(served.place[1:]), no_restart=no_restart)

    async def _kill(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """Another node has killed an actor of this one."""
        ref = self._agent.objects.exported(*header["at"])
        entry = self._agent.objects.key(ref)[0]
        self._agent.channel.tell("kill_actor", actor=entry, no_restart=header["no_restart"])

    async def _died(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """The host says that an actor has died."""
        place = (lane.node, *header["at"])
        for served in list(self._served.values()):
            if served.place == place and served.epoch:
                self._gone(served, header["reason"])

    def node_lost(self, node: str) -> None:
        """A node is gone, and the actors that it hosted."""
        for served in list(self._served.values()):
            if served.node == node and served.epoch:
                self._gone(served, f"node {node}, which hosted it, is gone")
        for key, (_, lane) in list(self._hosted.items()):
            if lane.node == node:
                self._end_here(key)

    # -- handles of other nodes' actors --------------------------------------------------------------------------------

    def proxy(self, place: Place, description: str) -> Any:
        """An actor of this session that stands for another node's; returns its reference."""
        given = ActorDescription.decode(description.encode())
        described = given._replace(name="", detached=False, owner="")
        core = submission.new_actor(self._arena, store.put_raw(self._arena, described.encode()))
        self._view.set_actor(core.entry, ActorState.ALIVE, self._arena.slot)
        queue = self._executor.queue_of_actor(core.entry)
        served = _Served(core.entry, core, queue, place[0], 0)
        served.place = place
        self._served[served.offset] = served
        self._crossing.set()
        self._serve(served)
        return core.ref

    def _drop_handles(self) -> None:
        """Handles that nobody here has any more go back to their owners."""
        for served in list(self._served.values()):
            place, unused = served.place, served.epoch == 0 and not served.calls
            unused = unused and self._view.actor_references(served.offset) <= 1 and served.core.pending == 0
            if unused and place is not None:
                self._forget(served)
                self._agent.objects.handle_dropped(place)

    # -- the host's side -----------------------------------------------------------------------------------------------

    async def _create(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """Make an actor of this node for another one."""
        agent = self._agent
        job = await agent.foreign_job(lane.node, header["job"])
        given = ActorDescription.decode(header["description"].encode())
        described = given._replace(**agent.own_place(given, job))
        description = described._replace(name="", owner="", max_restarts=0, max_task_retries=0)
        call = agent.calls.take(lane, header, frames)
        agent.started(header["grant"])
        core = submission.new_actor(self._arena, store.put_raw(self._arena, description.encode()))
        template = submission.Template(
            self._arena, call.definition, opts=call.opts, actor=core, n_returns=1, kind=RecordKind.ACTOR_INIT
        )
        args, foreign = (call.args, None) if isinstance(call.args, tuple) else (call.direct, call.args)
        made = submission.submit_actor(core, template, args, None, foreign)
        key = agent.objects.key(core.ref)
        self._hosted[key] = core, lane
        self._crossing.set()
        await agent.settled(made)
        found = portable.read_value(self._arena, made)
        if found is not None and found[0]:
            self._hosted.pop(key, None)
            return {"failed": True}, [found[2]]
        return {"at": list(key)}, []

    async def _call(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """Run a call of another node at an actor of this one."""
        agent = self._agent
        key: tuple[int, int] = (header["at"][0], header["at"][1])
        hosted = self._hosted.get(key)
        core = hosted[0] if hosted is not None else submission.actor_core(agent.objects.exported(*key))
        call = agent.calls.take(lane, header, frames)
        found = agent.calls.submit(call, core)
        running = lane.node, header["record"], header["seq"]
        self._calls[running] = agent.calls.handle(found)
        try:
            answer, out = await agent.calls.outcomes(found, call, header, lane)
        finally:
            self._calls.pop(running, None)
        if core.state == ActorState.DEAD and any(outcome.get("error") for outcome in answer["returns"]):
            answer["died"] = "its process has died"
        return answer, out

    async def _cancel(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        ref = self._calls.get((lane.node, header["record"], header["seq"]))
        if ref is not None:
            self._agent.session.cancel(ref, False, True)

    async def _end(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """The owner has ended an actor."""
        if header["at"]:
            self._end_here(tuple(header["at"]))

    def _end_here(self, key: tuple[int, int]) -> None:
        hosted = self._hosted.pop(key, None)
        if hosted is not None:
            self._agent.channel.tell("kill_actor", actor=hosted[0].entry, no_restart=True)

    def _look_for_dead(self) -> None:
        """Tell owners of actors that have died here."""
        for key, (core, lane) in list(self._hosted.items()):
            if core.state == ActorState.DEAD:
                del self._hosted[key]
                lane.send("actor_died", at=list(key), reason="its process has died")
