"""The barrier: the state of a stage that needs all rows of its inputs before it can give any.

It gathers what the inputs have, in the store. Where there is a `Spill`, it does so up to a limit alone: with
more, each `run_bytes` of rows are given to a call of their own as they come, which writes them, in order or in parts,
into one file. So inputs of any size take a bounded part of the store, and are written once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from ray_async.data.block.bundle import RowBundle
from ray_async.data.executor.instructions import (
    BarrierSpec,
    RunPlan,
    Spill,
    SpillingStrategy,
    StageCall,
    StageResult,
    Steps,
)
from ray_async.data.executor.stages import CallStage, Slot, Stage

__all__ = ("BarrierStage",)


class BarrierStage(CallStage):
    """All of the inputs first, then the steps of calls that the strategy plans."""

    def __init__(self, spec: BarrierSpec, inputs: Sequence[Stage]) -> None:
        super().__init__(spec.name, inputs)
        self._strategy = spec.strategy
        self._spill = spec.spill
        self._gathered: list[list[RowBundle]] = [[] for _ in inputs]
        self._gathered_bytes = 0  # until runs begin
        self._runs: _Runs | None = None
        self._steps: Steps | None = None
        self._last = False  # whether the calls of the step give the outputs
        self._calls: Iterator[StageCall] = iter(())
        self._following: StageCall | None = None
        self._step_slots: list[Slot] = []
        self._planned = False

    def gather(self) -> bool:
        """Take what the inputs have; whether all is there."""
        if self._steps is not None:
            return True
        for stage, bundles in zip(self.inputs, self._gathered, strict=True):
            while self._takes(bundles) and (bundle := stage.take()) is not None:
                bundles.append(bundle)
                self._gathered_bytes += bundle.bytes
        if self._runs is None and self._spill is not None and self._gathered_bytes > self._spill.limit:
            assert isinstance(self._strategy, SpillingStrategy)
            self._runs = _Runs(self._strategy.runs(self._gathered), self._spill, len(self.inputs))
        return all(stage.over for stage in self.inputs)

    def _takes(self, gathered: Sequence[RowBundle]) -> bool:
        """Whether more is taken of an input: once runs have begun, no more than the next of them needs."""
        return self._runs is None or not self._runs.enough(gathered)

    def expected(self) -> int:
        if self._runs is None or self._steps is not None:
            return super().expected()
        return sum(bundle.bytes for slot in self.running for bundle in slot.call.inputs)  # the outputs are in files

    def _next_call(self) -> StageCall | None:
        if self._steps is None:
            complete = self.gather()
            if self._runs is not None:
                call = self._runs.next_call(self._gathered, [stage.over for stage in self.inputs])
                if call is not None:
                    return call
            if not complete or not self._step_is_done():
                return None
            self._begin_steps()
        while self._following is None and not self._planned and self._step_is_done():
            self._advance([slot.result or StageResult() for slot in self._step_slots])
        call = self._following
        if call is not None:
            self._following = next(self._calls, None)
        return call

    def _begin_steps(self) -> None:
        if self._runs is None:
            self._steps = self._strategy.steps(self._gathered)
        else:
            self._steps = self._runs.steps([slot.result or StageResult() for slot in self._step_slots])
        self._gathered = []
        self._advance(None)

    def _step_is_done(self) -> bool:
        return all(slot.done for slot in self._step_slots)

    def has_work(self) -> bool:
        return bool(self.again) or self._following is not None

    @property
    def writes_files(self) -> bool:
        """Whether its rows go into files, since they are too many for the store."""
        return self._runs is not None

    @property
    def calls_over(self) -> bool:
        """Whether no call will be made any more, so that nothing reads its files."""
        last = self._planned or self._last
        return self.stopped or (last and self._following is None and not self.running and not self.again)

    def next_slot(self) -> Slot | None:
        fresh = not self.again
        slot = super().next_slot()
        if slot is not None and fresh:
            self._step_slots.append(slot)
        return slot

    def _advance(self, results: Sequence[StageResult] | None) -> None:
        assert self._steps is not None
        self._step_slots = []
        try:
            step = next(self._steps) if results is None else self._steps.send(results)
        except StopIteration as end:
            self._planned = True
            self._last = False
            self._append(end.value or ())
            return
        self._calls = iter(step.calls)
        self._following = next(self._calls, None)
        self._last = step.last

    def _append(self, bundles: Sequence[RowBundle]) -> None:
        slot = Slot(StageCall(None), deque(bundles), done=True)
        self.held += sum(bundle.bytes for bundle in bundles)
        self._held_rows += sum(bundle.rows for bundle in bundles)
        self.slots.append(slot)

    def _keep(self, slot: Slot, result: StageResult, size: int) -> None:
        if self._last:
            slot.result = None  # its outputs go as they are taken, though the step goes on
            super()._keep(slot, result, size)
        else:
            self.slots.remove(slot)

    @property
    def over(self) -> bool:
        return self.stopped or (self._planned and not self.running and not self.again and self._drained())


class _Runs:
    """The calls that take the inputs out of the store as they come.

    Args:
        plan: the strategy's.
        spill: where the rows go.
        sides: number of inputs.
    """

    def __init__(self, plan: RunPlan, spill: Spill, sides: int) -> None:
        self._plan = plan
        self._spill = spill
        self._rows = [0] * sides
        self._order: list[int] = []

    def enough(self, bundles: Sequence[RowBundle]) -> bool:
        """Whether rows of an input make a call."""
        return sum(map(self._spill.cost, bundles)) >= self._spill.run_bytes

    def next_call(self, gathered: Sequence[list[RowBundle]], over: Sequence[bool]) -> StageCall | None:
        """A call for rows of an input that has enough of them, or no more to come."""
        for side, (bundles, last) in enumerate(zip(gathered, over, strict=True)):
            if bundles and (last or self.enough(bundles)):
                rows = self._taken(bundles)
                params = self._plan.split(side, self._rows[side], self._spill.folder)
                self._rows[side] += rows.rows
                self._order.append(side)
                return StageCall(params, (rows,))
        return None

    def _taken(self, bundles: list[RowBundle]) -> RowBundle:
        """The rows of one call: the first bundles, or part of one that is large."""
        taken: list[RowBundle] = []
        size, most = 0, self._spill.run_bytes
        while bundles and (not taken or size + self._spill.cost(bundles[0]) <= most):
            bundle = bundles.pop(0)
            cost = self._spill.cost(bundle)
            if not taken and cost > 1.5 * most and bundle.rows > 1:
                rows = max(1, bundle.rows * most // cost)
                bundles.insert(0, bundle.part(rows, bundle.rows))
                bundle = bundle.part(0, rows)
            taken.append(bundle)
            size += self._spill.cost(bundle)
        return RowBundle.of(taken)

    def steps(self, results: Sequence[StageResult]) -> Steps:
        """What follows when all calls have ended."""
        sides: list[list[StageResult]] = [[] for _ in self._rows]
        for side, result in zip(self._order, results, strict=True):
            sides[side].append(result)
        return self._plan.merge(sides, self._spill.folder)
