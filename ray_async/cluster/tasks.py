"""The task lane: tasks that find no room on their node, handed out in batches, and run for others.

A batch is one Dask task, pinned loosely to the node that the ledger has granted. The records go there at once, from
node to node, and need not wait for Dask; the task's body is told what has not come that way, and ends with the last
of them. Dask notices the death of a node and runs the batch again, on any other, which is given nothing: so the batch
ends, and what is left of it is scheduled by its own node once more, if it may run again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import execution
from ray_async.cluster.lane import Lane
from ray_async.spec.class_description import ClassDescription

if TYPE_CHECKING:
    from ray_async.cluster.agent import ClusterAgent

__all__ = ("IncomingTasks", "OutgoingTasks")

_logger = logging.getLogger("ray_async.cluster")

_MAX_BATCH_RECORDS = 64
_REMEMBERED_S = 60.0  # for Dask to run the body of a batch that has ended


class _Sent:
    """A record of this node that another one runs."""

    __slots__ = ("begun", "description", "grant", "node", "offset", "retries", "seq")

    def __init__(self, offset: int, seq: int, retries: int, description: str, grant: int, node: str) -> None:
        self.offset, self.seq, self.retries = offset, seq, retries
        self.description, self.grant, self.node = description, grant, node
        self.begun = False


class _Batch:
    __slots__ = ("job", "left")

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.left: dict[int, _Sent] = {}


class OutgoingTasks:
    """Tasks of this node that others run.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._arena = agent.arena
        self._executor = execution.Executor(agent.arena, None, None)
        self._batches: dict[int, _Batch] = {}
        self._sent: dict[int, tuple[int, _Sent]] = {}  # batch and record, by the record's offset
        self._asking: set[int] = set()  # classes for which room is sought
        self._granted: dict[int, list[tuple[int, str, str]]] = {}  # grants by tag: number, node, address
        self._next = 1
        agent.lanes.handlers.update(begin=self._begin, done=self._done)

    # -- finding room --------------------------------------------------------------------------------------------------

    def demand(self, classes: list[tuple[int, str, int]]) -> None:
        """The node has tasks that wait for room."""
        for class_id, description, queued in classes:
            if class_id not in self._asking:
                self._asking.add(class_id)
                self._agent.spawn(self._find_room(class_id, ClassDescription.decode(description.encode()), queued))

    async def _find_room(self, class_id: int, description: ClassDescription, queued: int) -> None:
        try:
            grants = await self._agent.grant(description.place, description.place.resources, queued)
            if grants:
                tag, self._next = self._next, self._next + 1
                self._granted[tag] = grants
                self._agent.channel.tell("take", class_id=class_id, count=len(grants), tag=tag)
        finally:
            self._asking.discard(class_id)

    def taken(self, message: dict[str, Any]) -> None:
        """The node has handed out records."""
        grants = self._granted.pop(message["tag"], [])
        records = message["records"]
        self._agent.give_back([grant for grant, _, _ in grants[len(records) :]])
        by_node: dict[tuple[str, str], list[_Sent]] = {}
        for (offset, seq, retries), (grant, node, address) in zip(records, grants, strict=False):
            sent = _Sent(offset, seq, retries, message["description"], grant, node)
            by_node.setdefault((node, address), []).append(sent)
        for (node, address), all_sent in by_node.items():
            for first in range(0, len(all_sent), _MAX_BATCH_RECORDS):
                self._hand_out(message["job"], all_sent[first : first + _MAX_BATCH_RECORDS], node, address)

    def _hand_out(self, job: dict[str, Any], records: list[_Sent], node: str, address: str) -> None:
        number, self._next = self._next, self._next + 1
        batch = self._batches[number] = _Batch(job)
        for sent in records:
            batch.left[sent.offset] = sent
            self._sent[sent.offset] = (number, sent)
        lane = self._agent.lanes.open_to(node)
        if lane is not None:
            header, frames = self._records_for(batch, lane)
            lane.send("run_batch", frames, batch=number, **header)
        self._agent.spawn(self._see_to(number, batch, address))

    async def _see_to(self, number: int, batch: _Batch, address: str) -> None:
        """Have a batch run to its end; what nobody could run comes back."""
        try:
            await self._agent.member.hand_out(self._agent.origin, number, address)
        except Exception as error:
            # Whatever kept Dask from it: the records are as they were, or have begun and are judged one by one.
            _logger.warning("a batch of %d tasks comes back: %s", len(batch.left), error)
        del self._batches[number]
        for sent in list(batch.left.values()):
            if self._may_run_again(sent):
                self._forget(sent)
                self._agent.channel.tell("record_back", records=[[sent.offset, sent.seq, sent.retries]])

    def _forget(self, sent: _Sent) -> None:
        number, _ = self._sent.pop(sent.offset, (0, None))
        if number in self._batches:
            self._batches[number].left.pop(sent.offset, None)
        self._agent.give_back([sent.grant])

    # -- to the node that runs them ------------------------------------------------------------------------------------

    async def _begin(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """A node is about to run a batch: give it the records that are still to run, if they were not sent."""
        batch = self._batches.get(header["batch"])
        if batch is None:
            return {"records": [], "job": {}}, []
        if any(sent.node == lane.node and sent.begun for sent in batch.left.values()):
            return {"were_sent": True}, []
        return self._records_for(batch, lane)

    def _records_for(self, batch: _Batch, lane: Lane) -> tuple[dict[str, Any], list[Any]]:
        """A batch's records that are still to run, as the node at the other end takes them."""
        records: list[dict[str, Any]] = []
        out: list[Any] = []
        for sent in list(batch.left.values()):
            # Dask gives the batch of a lost node to any other: the records go back to their own node first, which finds
            # room for them once more.
            if sent.node == lane.node and not sent.begun:
                sent.begun = True
                described, pieces = self._describe(sent, lane)
                records.append(described)
                out += pieces
        return {"records": records, "job": batch.job}, out

    def _may_run_again(self, sent: _Sent) -> bool:
        """Whether a record may run once more; one that had begun on a lost node takes a retry, or fails."""
        if not sent.begun:
            return True
        if sent.retries == 0:
            error = errors.WorkerCrashedError(f"The node {sent.node} that ran the task is gone.")
            self._fail(sent, errors.to_payload(error))
            return False
        sent.retries -= sent.retries > 0
        sent.begun = False
        return True

    def _describe(self, sent: _Sent, lane: Lane) -> tuple[dict[str, Any], list[Any]]:
        described, out = self._agent.calls.describe(sent.offset, lane)
        described["wants"]["retries"] = sent.retries
        more = {
            "record": sent.offset,
            "seq": sent.seq,
            "description": sent.description,
            "grant": sent.grant,
            "n_frames": len(out),
        }
        return {**described, **more}, out

    # -- what came of them ---------------------------------------------------------------------------------------------

    async def _done(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """A record has run."""
        _, sent = self._sent.get(header["record"], (0, None))
        if sent is None or sent.seq != header["seq"] or sent.node != lane.node:
            return  # it runs elsewhere by now: this node was taken to be dead
        self._agent.calls.finish(sent.offset, header, frames, lane)
        self._over(sent)

    def _fail(self, sent: _Sent, error: bytes) -> None:
        self._executor.fail(sent.offset, bytes(error))
        self._over(sent)

    def _over(self, sent: _Sent) -> None:
        self._forget(sent)
        self._agent.channel.tell("record_over", records=[[sent.offset, sent.seq]])

    def cancel(self, record: int, seq: int, force: bool) -> None:
        """Have a record cancelled where it runs."""
        _, sent = self._sent.get(record, (0, None))
        if sent is None or sent.seq != seq:
            return
        if sent.begun:
            self._agent.notify(sent.node, "cancel", record=record, seq=seq, force=force)
        else:
            payload = errors.to_payload(errors.TaskCancelledError(self._agent.session.task_id_of(record)))
            self._fail(sent, payload)


class IncomingTasks:
    """Tasks of other nodes that run here.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._arena = agent.arena
        self._running: dict[tuple[str, int, int], Any] = {}  # reference of the first return
        self._batches: dict[tuple[str, int], asyncio.Future[Any]] = {}
        agent.lanes.handlers.update(cancel=self._cancel, run_batch=self._run_sent)

    async def run_batch(self, origin: str, number: int) -> int:
        """Run a batch of the node at ``id@host:port``, or wait for the end of what that has sent; how many records."""
        node, _, address = origin.partition("@")
        lane = await self._agent.lanes.to(node, address)
        header, frames = await lane.request("begin", batch=number)
        if header.get("were_sent"):
            return int(await asyncio.shield(self._batch(node, number)))
        try:
            return await self._run_all(lane, header, frames)
        except errors.NodeDiedError:
            return await self._agent.end()

    async def _run_sent(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """Records have come before Dask has: the body of their batch waits for them."""
        over = self._batch(lane.node, header["batch"])
        count = await self._run_all(lane, header, frames)
        if not over.done():
            over.set_result(count)
        self._agent.later(_REMEMBERED_S, lambda: self._batches.pop((lane.node, header["batch"]), None))

    def _batch(self, node: str, number: int) -> asyncio.Future[Any]:
        """The end of a batch that has come, or is on its way."""
        found = self._batches.get((node, number))
        if found is None:
            found = self._batches[node, number] = asyncio.get_running_loop().create_future()
        return found

    def node_lost(self, node: str) -> None:
        """A node is gone, or the connection to it: what it has sent and is not here comes no more."""
        for key in [key for key in self._batches if key[0] == node]:
            over = self._batches.pop(key)
            if not over.done():
                over.set_result(0)

    async def _run_all(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> int:
        runs, at = [], 0
        for described in header["records"]:
            pieces = frames[at : at + described["n_frames"]]
            at += described["n_frames"]
            runs.append(self._run(lane, described, pieces, header["job"]))
        await asyncio.gather(*runs)
        return len(runs)

    async def _run(self, lane: Lane, described: dict[str, Any], frames: list[Any], job: dict[str, Any]) -> None:
        key = lane.node, described["record"], described["seq"]
        says = {"record": described["record"], "seq": described["seq"]}
        try:
            call = self._agent.calls.take(lane, described, frames)
            own_job = await self._agent.foreign_job(lane.node, job)
            given = ClassDescription.decode(described["description"].encode())
            used = self._agent.session.classes.use(given._replace(**self._agent.own_place(given, own_job)))
            found = self._agent.calls.submit(call, used=used)
        except errors.NodeDiedError:
            raise
        except Exception as error:
            # It is the caller's to see; the node goes on.
            _logger.exception("a task of node %s could not be submitted", lane.node)
            failed = errors.RaySystemError(f"the task could not be submitted on node {self._agent.node_id}: {error}")
            lane.send("done", [errors.to_payload(failed)], failed=True, **says)
            return
        self._running[key] = self._agent.calls.handle(found)
        try:
            answer, out = await self._agent.calls.outcomes(found, call, described, lane)
            lane.send("done", out, **answer, **says)
        finally:
            self._running.pop(key, None)

    async def _cancel(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        ref = self._running.get((lane.node, header["record"], header["seq"]))
        if ref is not None:
            self._agent.session.cancel(ref, header["force"], True)
