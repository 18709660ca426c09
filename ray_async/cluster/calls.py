"""Calls on their way between agents: their description, their submission at the other node, and what came of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_async import exceptions as errors
from ray_async._core import execution, portable, store, submission
from ray_async._core.constants import RecordKind
from ray_async.cluster import values

if TYPE_CHECKING:
    from ray_async.cluster.agent import ClusterAgent
    from ray_async.cluster.lane import Lane

__all__ = ("Calls", "ForeignCall")

_WINDOW = 32  # items of a stream that are on their way at once
_ABANDONED_S = 0.2  # between looks whether a stream still has a reader


class ForeignCall(NamedTuple):
    """A call of another node, as this session takes it.

    Args:
        definition: reference to what is called.
        args: positional arguments; or what unpickles as all of them.
        direct: then the references in it that are arguments themselves.
        opts: reference to rare options, or None.
        wants: as `portable.call_of` gives it, with ``retries`` and ``retry_errors``.
    """

    definition: Any
    args: Any
    direct: tuple[Any, ...]
    opts: Any
    wants: dict[str, Any]


class Calls:
    """What tasks and actors' calls have in common.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._arena = agent.arena
        self._executor = execution.Executor(agent.arena, None, None)
        agent.lanes.handlers["item"] = self._item

    # -- where the call was made ---------------------------------------------------------------------------------------

    def describe(self, record: int, lane: Lane) -> tuple[dict[str, Any], list[Any]]:
        """A claimed record as a header and frames; a definition goes along once for each connection."""

        def export(ref: Any) -> list[Any]:
            return self._agent.objects.export(ref, lane.node)

        fn, number = portable.function_of(self._arena, record)
        args, out = values.pack_call(*portable.read_arguments(self._arena, record), export)
        facts = self._executor.facts(record)
        header: dict[str, Any] = {
            "fn": number,
            "args": args,
            "n_args": len(out),
            "wants": {
                **portable.call_of(self._arena, record),
                # A stream that is produced once more goes on after the items that are there.
                "skip": self._executor.stream(record).position()[0] if facts["stream"] else 0,
                "retries": facts["retries"],
                "retry_errors": facts["retry_errors"],
            },
        }
        opts = portable.options_of(self._arena, record)
        if opts is not None:
            found = portable.read_value(self._arena, opts)
            assert found is not None  # options are small: they are never on disk
            header["opts"], pieces = values.pack(found[1], found[2], export)
            out = [*out, *pieces]
        if number not in lane.known:
            lane.known.add(number)
            header["definition"] = True
            out = [*out, portable.raw_at(self._arena, fn)]
        return header, out

    def finish(self, record: int, answer: dict[str, Any], frames: list[Any], lane: Lane) -> None:
        """End a record with what came of its call on another node."""
        if "failed" in answer:
            self._executor.fail(record, bytes(frames[0]))
            return
        if answer.get("stream"):
            self._end_stream(record, answer, frames, lane)
            return
        at = 0
        error: Any = None
        for index, outcome in enumerate(answer["returns"]):
            pieces = frames[at : at + outcome["n_frames"]]
            at += outcome["n_frames"]
            ref = portable.return_of(self._arena, record, index)
            if "size" in outcome:
                place = tuple(outcome["at"])
                if ref is not None:
                    self._agent.objects.lies_elsewhere(ref, place, outcome["size"])
                else:
                    self._agent.objects.give_back(place, 1)
            elif outcome["error"]:
                error = values.unpack(outcome, pieces, lambda described: self._agent.objects.take(described, lane))
            elif ref is not None:
                self._agent.objects.complete(ref, outcome, pieces, lane)
        if error is None:
            self._executor.finish(record)
        else:
            self._fail(record, error)

    def _fail(self, record: int, error: Any) -> None:
        if isinstance(error, bytes):
            self._executor.fail(record, error)
        else:
            text = "the task failed on another node, which had no room for its error"
            self._executor.fail(record, errors.to_payload(errors.RaySystemError(text)))

    # -- streams -------------------------------------------------------------------------------------------------------

    async def _item(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """An item of a stream has come; the answer, where there is one, comes when the reader has room for another."""
        record, seq = header["record"], header["seq"]
        if not submission.is_unfinished(self._arena, record, seq):
            return None
        stream = self._executor.stream(record)
        value = values.unpack(header, frames, lambda described: self._agent.objects.take(described, lane))
        try:
            stream.add(value)
        except KeyboardInterrupt:
            return None  # it is cancelled, and the node that runs it is told
        limit = self._executor.facts(record)["backpressure"]
        while "id" in header and limit and submission.is_unfinished(self._arena, record, seq):
            # Watched before the look: who reads an item after it wakes this loop.
            stream.watch_consumer(self._agent.binding.waiter_index)
            produced, consumed = stream.position()
            if produced - consumed < limit or stream.is_abandoned():
                break
            await self._agent.binding.woken(_ABANDONED_S)
        return None

    def _end_stream(self, record: int, answer: dict[str, Any], frames: list[Any], lane: Lane) -> None:
        (outcome,) = answer["returns"]
        if outcome.get("error"):
            self._fail(
                record, values.unpack(outcome, frames, lambda described: self._agent.objects.take(described, lane))
            )
            return
        try:
            self._executor.end_stream(record)
        except KeyboardInterrupt:
            cancelled = errors.TaskCancelledError(self._agent.session.task_id_of(record))
            self._executor.fail(record, errors.to_payload(cancelled))

    async def send_items(self, cursor: Any, call: ForeignCall, header: dict[str, Any], lane: Lane) -> None:
        """Send the items of a stream as they come, until its end.

        Args:
            cursor: the reading end.
            call: what was submitted.
            header: names the call at the other node.
            lane: to that.
        """
        skip = call.wants["skip"]
        says = {"record": header["record"], "seq": header["seq"]}
        sent: deque[asyncio.Future[Any]] = deque()  # and not answered
        window = 1 if call.wants["backpressure"] else _WINDOW
        while cursor.current is not None:
            await self._agent.settled(cursor.current)
            item = cursor.advance()
            if item is None:
                break
            if skip:
                skip -= 1
                continue
            contents, pieces = self._agent.objects.contents(item, lane.node)
            if contents["error"]:
                break  # the call as a whole holds the same
            sent.append(asyncio.ensure_future(lane.request("item", pieces, **says, **contents)))
            while len(sent) >= window or (sent and sent[0].done()):
                await sent.popleft()
        await asyncio.gather(*sent)

    # -- where it runs -------------------------------------------------------------------------------------------------

    def take(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> ForeignCall:
        """What `describe` has made at the other node."""

        def take(described: list[Any]) -> Any:
            return self._agent.objects.take(described, lane)

        n = header["n_args"]
        if header.get("definition"):
            lane.definitions[header["fn"]] = store.put_raw(self._arena, bytes(frames[-1]))
        args, direct = values.unpack_call(header["args"], frames[:n], take)
        opts = None
        if header.get("opts") is not None:
            end = len(frames) - bool(header.get("definition"))
            opts = store.put(self._arena, values.unpack(header["opts"], frames[n:end], take))
        return ForeignCall(lane.definitions[header["fn"]], args, direct, opts, header["wants"])

    def submit(self, call: ForeignCall, actor: Any = None, used: Any = None) -> Any:
        """Submit a call to an actor here, or to a scheduling class; returns its references, or a stream's cursor."""
        wants = call.wants
        template = submission.Template(
            self._arena,
            call.definition,
            opts=call.opts,
            actor=actor,
            queue=used.queue if used is not None else 0,
            keep=used,
            n_returns=-1 if wants["stream"] else wants["n_returns"],
            retries=wants["retries"],
            kind=RecordKind.TASK if actor is None else RecordKind.ACTOR_CALL,
            retry_errors=wants["retry_errors"],
            is_async=wants["is_async"],
            backpressure=wants["backpressure"],
            detached=wants["detached"],
            make_generator=lambda cursor: cursor,
        )
        found = template(call.args, None) if isinstance(call.args, tuple) else template.forward(call.args, call.direct)
        if wants["stream"]:
            return found
        return found if isinstance(found, list) else [] if found is None else [found]

    async def outcomes(
        self, found: Any, call: ForeignCall, header: dict[str, Any], lane: Lane
    ) -> tuple[dict[str, Any], list[Any]]:
        """Wait for the returns of a call, and say what came of them; a stream's items are sent before."""
        if call.wants["stream"]:
            await self.send_items(found, call, header, lane)
            answer, out = await self._outcomes([found.done], lane)
            return {**answer, "stream": True}, out
        return await self._outcomes(found, lane)

    @staticmethod
    def handle(found: Any) -> Any:
        """The reference by which a submitted call is cancelled; None for one without returns."""
        if isinstance(found, list):
            return found[0] if found else None
        return found.done

    async def _outcomes(self, refs: list[Any], lane: Lane) -> tuple[dict[str, Any], list[Any]]:
        returns, out = [], []
        for ref in refs:
            await self._agent.settled(ref)
            outcome, pieces = self._agent.objects.outcome(ref, lane.node)
            if "size" in outcome:
                outcome["at"] = self._agent.objects.export(ref, lane.node)[:3]
            returns.append({**outcome, "n_frames": len(pieces)})
            out += pieces
        return {"returns": returns}, out
