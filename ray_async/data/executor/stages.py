"""Stages: the state of each operator of a running plan. A stage takes bundles from its inputs, from the end on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ray_async.data.block.bundle import RowBundle
from ray_async.data.executor.instructions import (
    BundlesSpec,
    LimitSpec,
    MapSpec,
    StageCall,
    StageResult,
    UnionSpec,
)

__all__ = (
    "BundlesStage",
    "CallRecord",
    "CallStage",
    "LimitStage",
    "MapStage",
    "Slot",
    "Stage",
    "StageCounts",
    "UnionStage",
)


#: Calls of a stage that are remembered for its timeline.
RECORDS = 10_000


@dataclass
class StageCounts:
    """What a stage has done so far: ``rows`` were taken of it, ``rows_given`` is what its calls gave of ``rows_in``."""

    tasks: int = 0
    failed: int = 0
    rows: int = 0
    rows_in: int = 0
    rows_given: int = 0
    bytes: int = 0
    blocks: int = 0
    seconds: float = 0.0
    user_seconds: float = 0.0


@dataclass(frozen=True)
class CallRecord:
    """A call that has ended.

    Attributes:
        began: seconds since the epoch.
        seconds: how long it took.
        process: the process id of its worker.
        number: which of its stage's calls it was.
        rows: rows that it gave.
        bytes: their bytes.
    """

    began: float
    seconds: float
    process: int
    number: int
    rows: int
    bytes: int


@dataclass(eq=False)
class Slot:
    """The place of one call's outputs among those of its stage.

    Attributes:
        call: the call.
        outputs: those that nobody has taken.
        result: what the call gave at its end.
        attempts: how often it was begun and did not end.
        done: whether it has ended.
        streamed: outputs that came while it ran.
        seen: outputs that came while it ran for the last time; what is seen again is not kept again.
        bytes: size of all that were streamed.
    """

    call: StageCall
    outputs: deque[RowBundle] = field(default_factory=deque)
    result: StageResult | None = None
    attempts: int = 0
    done: bool = False
    streamed: int = 0
    seen: int = 0
    bytes: int = 0


class Stage:
    """What stages have in common: `take` gives the next bundle in order, `over` says that none will come any more."""

    def __init__(self, name: str, inputs: Sequence[Stage]) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.counts = StageCounts()

    def take(self) -> RowBundle | None:
        raise NotImplementedError

    @property
    def waiting(self) -> bool:
        """Whether `take` would give a bundle."""
        raise NotImplementedError

    @property
    def over(self) -> bool:
        raise NotImplementedError

    def given(self) -> tuple[int, int]:
        """Rows and bytes of its outputs so far."""
        return self.counts.rows, self.counts.bytes

    def stop(self) -> None:
        """Give up: nothing more is wanted of this stage and of those that it reads from."""
        for stage in self.inputs:
            stage.stop()


class BundlesStage(Stage):
    """Bundles that exist already."""

    def __init__(self, spec: BundlesSpec) -> None:
        super().__init__(spec.name, ())
        self._bundles = deque(spec.bundles)

    def take(self) -> RowBundle | None:
        if not self._bundles:
            return None
        bundle = self._bundles.popleft()
        self.counts.rows += bundle.rows
        self.counts.bytes += bundle.bytes
        return bundle

    @property
    def waiting(self) -> bool:
        return bool(self._bundles)

    @property
    def over(self) -> bool:
        return not self._bundles

    def stop(self) -> None:
        self._bundles.clear()


class LimitStage(Stage):
    """The first rows; stops the stages before it as soon as it has them."""

    def __init__(self, spec: LimitSpec, inputs: Sequence[Stage]) -> None:
        super().__init__(spec.name, inputs)
        self.left = spec.rows
        if isinstance(inputs[0], MapStage):
            inputs[0].limit = self
        if not self.left:
            self.inputs[0].stop()

    def take(self) -> RowBundle | None:
        if not self.left:
            return None
        bundle = self.inputs[0].take()
        if bundle is None:
            return None
        if bundle.rows >= self.left:
            bundle = bundle.part(0, self.left)
            self.left = 0
            self.inputs[0].stop()
        else:
            self.left -= bundle.rows
        self.counts.rows += bundle.rows
        self.counts.bytes += bundle.bytes
        return bundle

    @property
    def waiting(self) -> bool:
        return bool(self.left) and self.inputs[0].waiting

    @property
    def over(self) -> bool:
        return not self.left or self.inputs[0].over

    def stop(self) -> None:
        self.left = 0
        super().stop()


class UnionStage(Stage):
    """Inputs one after the other, though all of them run at the same time."""

    def __init__(self, spec: UnionSpec, inputs: Sequence[Stage]) -> None:
        super().__init__(spec.name, inputs)

    def take(self) -> RowBundle | None:
        for stage in self.inputs:
            bundle = stage.take()
            if bundle is not None:
                self.counts.rows += bundle.rows
                self.counts.bytes += bundle.bytes
                return bundle
            if not stage.over:
                return None
        return None

    @property
    def waiting(self) -> bool:
        return next((stage.waiting for stage in self.inputs if stage.waiting or not stage.over), False)

    @property
    def over(self) -> bool:
        return all(stage.over for stage in self.inputs)


class CallStage(Stage):
    """A stage that has calls to run; their outputs are passed on in the order of the calls, whichever ends first.

    Attributes:
        slots: calls that were given out, and whose outputs were not all taken.
        running: the slots of running calls.
        again: slots of calls that have to be run again.
        held: bytes of outputs that nobody has taken.
    """

    def __init__(self, name: str, inputs: Sequence[Stage]) -> None:
        super().__init__(name, inputs)
        self.slots: deque[Slot] = deque()
        self.running: set[Slot] = set()
        self.again: deque[Slot] = deque()
        self.held = 0
        self.stopped = False
        #: What is known of the last calls: when each began and how long it took, where, and what it gave.
        self.records: deque[CallRecord] = deque(maxlen=RECORDS)
        self._held_rows = 0
        self._numbers = 0
        self._calls_done = 0
        self._call_bytes = 0

    def next_slot(self) -> Slot | None:
        """The next call to run, if there is one now."""
        if self.stopped:
            return None
        if self.again:
            return self.again.popleft()
        call = self._next_call()
        if call is None:
            return None
        slot = Slot(replace(call, number=self._numbers))
        self._numbers += 1
        self.slots.append(slot)
        return slot

    def _next_call(self) -> StageCall | None:
        raise NotImplementedError

    def finish(self, slot: Slot, result: StageResult) -> None:
        """Note a call's result."""
        self.running.discard(slot)
        slot.done = True
        slot.result = result
        size = sum(bundle.bytes for bundle in result.outputs)
        self._calls_done += 1
        self._call_bytes += size + slot.bytes
        self.counts.tasks += 1
        self.counts.seconds += result.seconds
        self.counts.user_seconds += result.user_seconds
        rows = sum(bundle.rows for bundle in result.outputs)
        self.records.append(CallRecord(result.began, result.seconds, result.process, slot.call.number, rows, size))
        self.counts.rows_in += sum(bundle.rows for bundle in slot.call.inputs)
        self.counts.rows_given += rows
        slot.call = replace(slot.call, inputs=())  # its blocks are not needed any more, though its outputs are
        if not self.stopped:
            self._keep(slot, result, size)

    def _keep(self, slot: Slot, result: StageResult, size: int) -> None:
        slot.outputs.extend(result.outputs)
        self.held += size
        self._held_rows += sum(bundle.rows for bundle in result.outputs)

    def given(self) -> tuple[int, int]:
        return self.counts.rows + self._held_rows, self.counts.bytes + self.held

    def has_work(self) -> bool:
        """Whether there is a call to start, as far as can be seen without taking anything."""
        return bool(self.again)

    def output(self, slot: Slot, result: StageResult) -> None:
        """Keep what a call gives while it runs, unless it has given that before it was run again."""
        slot.seen += 1
        if slot.seen <= slot.streamed or self.stopped:
            return
        slot.streamed = slot.seen
        size = sum(bundle.bytes for bundle in result.outputs)
        slot.bytes += size
        self.counts.rows_given += sum(bundle.rows for bundle in result.outputs)
        self._keep(slot, result, size)

    def wants(self, slot: Slot, share: int) -> bool:
        """Whether a running call should go on giving outputs: while there is room, or if all wait for it."""
        first = bool(self.slots) and self.slots[0] is slot
        return self.stopped or self.held < share or (first and not slot.outputs)

    def repeat(self, slot: Slot) -> None:
        """Run a call again."""
        self.running.discard(slot)
        slot.seen = 0
        self.again.append(slot)

    def skip(self, slot: Slot) -> None:
        """Pass over a call that has failed."""
        self.running.discard(slot)
        slot.done = True
        self.counts.failed += 1

    def expected(self) -> int:
        """Bytes of outputs that are there, and that the running calls are likely to add."""
        average = self._call_bytes // self._calls_done if self._calls_done else 0
        return self.held + average * len(self.running)

    def take(self) -> RowBundle | None:
        while self.slots:
            head = self.slots[0]
            if head.outputs:
                bundle = head.outputs.popleft()
                self.held -= bundle.bytes
                self._held_rows -= bundle.rows
                self.counts.rows += bundle.rows
                self.counts.bytes += bundle.bytes
                self.counts.blocks += 1
                return bundle
            if not head.done:
                return None
            self.slots.popleft()
        return None

    @property
    def waiting(self) -> bool:
        return next((bool(slot.outputs) for slot in self.slots if slot.outputs or not slot.done), False)

    def _drained(self) -> bool:
        return all(slot.done and not slot.outputs for slot in self.slots)

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.slots.clear()
            self.again.clear()
            self.held = self._held_rows = 0
            super().stop()


class MapStage(CallStage):
    """Calls for each bundle of the input, or for each read of a source."""

    def __init__(self, spec: MapSpec, inputs: Sequence[Stage]) -> None:
        super().__init__(spec.name, inputs)
        self.spec = spec
        #: The limit that reads from this stage.
        self.limit: LimitStage | None = None
        self._reads: Iterator[Any] = iter(spec.reads)
        self._reads_left = len(spec.reads)
        self._pending: list[RowBundle] = []
        self._pending_rows = 0
        self._rows_given = 0

    def _next_call(self) -> StageCall | None:
        if self.limit is not None and self._held_rows >= self.limit.left:
            return None  # enough rows are there; they wait for calls that stand before theirs
        if not self.inputs:
            if not self._reads_left:
                return None
            self._reads_left -= 1
            return StageCall(next(self._reads))
        call = self._call_of_bundles()
        if call is None or not self.spec.counts_rows:
            return call
        first, self._rows_given = self._rows_given, self._rows_given + sum(bundle.rows for bundle in call.inputs)
        return replace(call, params=first)

    def _call_of_bundles(self) -> StageCall | None:
        least = self.spec.least_rows
        source = self.inputs[0]
        while True:
            bundle = source.take()
            if bundle is None:
                if self._pending and source.over:
                    return self._call_of_pending(self._pending_rows)
                return None
            if least is None or (not self._pending and bundle.rows >= least):
                return StageCall(None, (bundle,))
            self._pending.append(bundle)
            self._pending_rows += bundle.rows
            if self._pending_rows >= least:
                return self._call_of_pending(self._pending_rows - self._pending_rows % least)

    def _call_of_pending(self, rows: int) -> StageCall:
        """A call for so many of the rows that small bundles have brought; the others wait for more."""
        whole = RowBundle.of(self._pending)
        rest = whole.rows - rows
        self._pending = [whole.part(rows, whole.rows)] if rest else []
        self._pending_rows = rest
        return StageCall(None, (whole.part(0, rows),)) if rest else StageCall(None, (whole,))

    def has_work(self) -> bool:
        if self.again or self._reads_left:
            return True
        return any(bool(stage.held) for stage in self.inputs if isinstance(stage, CallStage))

    @property
    def has_call(self) -> bool:
        """Whether a call could be started now."""
        return bool(self.again or self._pending) or (bool(self.inputs) and self.inputs[0].waiting)

    def expected(self) -> int:
        if not self.spec.streams:
            return super().expected()
        given = sum(slot.streamed for slot in self.running)
        average = sum(slot.bytes for slot in self.running) // given if given else 0
        return self.held + average * len(self.running)

    @property
    def exhausted(self) -> bool:
        """Whether no further call will come, but for those that must be run again."""
        if self.stopped:
            return True
        if not self.inputs:
            return not self._reads_left
        return self.inputs[0].over and not self._pending

    @property
    def over(self) -> bool:
        return self.exhausted and not self.running and not self.again and self._drained()
