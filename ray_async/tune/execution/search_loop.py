"""Search loop: the asyncio shell around the state of a search.

Each runner has a task that hands it trials and takes its messages. What happens is written to the journal before
the state is told of it, and what the state wants done is done after that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable
from typing import Any

from ray_async.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray_async.tune.error import TuneError
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.effects import (
    CheckpointRemoved,
    ConfigChanged,
    Effect,
    TrialAdded,
    TrialAnswered,
    TrialEnded,
    TrialStarted,
)
from ray_async.tune.execution.pool import RunnerPlace, RunnerPool
from ray_async.tune.execution.state import SearchState
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal.journal import SearchJournal
from ray_async.tune.journal.pickling import can_be_pickled
from ray_async.tune.journal.snapshot import SMALLEST, SnapshotClock
from ray_async.tune.metric import flatten
from ray_async.tune.placement_groups import PlacementGroupFactory

__all__ = ("SearchLoop",)

_logger = logging.getLogger("ray_async.tune")

# Trials that one runner gets at once, and the time that they are to take together.
MAX_BATCH = 512
BATCH_SECONDS = 0.1
# Trials that take longer than this come one by one, with one that waits behind the one that runs.
LONG_SECONDS = 0.01
# Trials that take longer than this are given back for runners that have nothing to do.
SHARED_SECONDS = 0.005
# Trials that take less than this have one that waits behind them.
WAITING_SECONDS = 1.0
# Seconds that running trials have to end when a search ends.
END_SECONDS = 30.0
# Seconds after which a trial that says nothing is named, with its stack.
SILENT_SECONDS = 600.0
# Seconds between two questions to a searcher that gives nothing while no trial lives, and after which it is given up.
ASK_SECONDS = 0.1
NOTHING_SECONDS = 4.0
# What a call of a runner raises when its process has ended.
DEATHS = (RayActorError, OutOfMemoryError, NodeDiedError)
# Kinds of messages after which a runner has one trial less.
_ENDS = (m.DONE, m.FAILED, m.STOPPED, m.PAUSED)


class SearchLoop:
    """Runs a search to its end.

    Args:
        state: The search.
        pool: Makes runners.
        journal: Where all is written.
        listen: Gets each effect.
        first: What trials take by default: runners for such start at once.
        time_budget: Seconds after which the search ends.
    """

    def __init__(
        self,
        state: SearchState,
        pool: RunnerPool,
        journal: SearchJournal,
        listen: Callable[[Effect], None],
        first: PlacementGroupFactory | None,
        time_budget: float | None = None,
    ) -> None:
        self._state = state
        self._pool = pool
        self._journal = journal
        self._listen = listen
        self._first = first
        self._time_budget = time_budget
        self._candidate: Trial | None = None
        # Whether the last question for a trial gave none.
        self._in_vain = False
        self._suspects: set[str] = set()
        self._places: dict[str, RunnerPlace] = {}
        # Mean seconds of a trial, the last ones counting most; None while none has ended.
        self._duration: float | None = None
        self._over = asyncio.Event()
        self._silence = float(os.environ.get("TUNE_WARN_SILENT_TRIAL_S", SILENT_SECONDS))
        self._snapshots = SnapshotClock(time.monotonic(), journal.size)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Run the search.

        Raises:
            BaseException: Whatever searcher, scheduler or callbacks raised.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                if not self._state.is_over:
                    self._grow(self._first)
                watches = [group.create_task(self._watch()), group.create_task(self._ask_again())]
                self._fill()
                try:
                    async with asyncio.timeout(self._time_budget):
                        await self._over.wait()
                except TimeoutError:
                    self._state.end("the time budget is used up")
                await self._wind_up()
                for watch in watches:
                    watch.cancel()
        except BaseExceptionGroup as errors:
            raise _first_leaf(errors) from None
        finally:
            for runner in list(self._pool.runners):
                self._pool.close(runner)

    async def _wind_up(self) -> None:
        """End what still runs: cut it off after a failure that ends all, else let it end at its next report."""
        state = self._state
        cut_off = state.settings.failure.fail_fast and state.first_error is not None
        if state.end_reason is not None:
            if cut_off:
                state.interrupt()
                self._carry_out()
            else:
                self._record([("finish",)])
                state.finish()
                self._carry_out()
        if not cut_off:
            await self._wait_for_ends()
        for runner in list(self._pool.runners):
            self._pool.close(runner)
        if not cut_off and self._snapshots.works and self._journal.size > SMALLEST:
            self._journal.keep(state.parts(), state.trials)

    async def _wait_for_ends(self) -> None:
        """Wait for what trials still do when they are told to stop: save themselves, run their ``finally`` blocks."""
        deadline = asyncio.get_running_loop().time() + END_SECONDS
        while self._places:
            self._over.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._over.wait()
            except TimeoutError:
                for trial_id in list(self._places):
                    await self._name_silent(trial_id, f"has not ended {END_SECONDS:g} s after it was told to")
                return

    async def _watch(self) -> None:
        """Name trials that say nothing for long, each silence once."""
        while True:
            await asyncio.sleep(self._silence / 4)
            now = time.monotonic()
            for runner in self._pool.runners:
                if runner.trials and not runner.named and now > runner.heard + self._silence:
                    runner.named = True
                    await self._name_silent(
                        next(iter(runner.trials)), f"has said nothing for {now - runner.heard:.0f} s"
                    )

    async def _ask_again(self) -> None:
        """Ask a searcher again that gave nothing while no trial lives: no end of one will be a reason to."""
        since: float | None = None
        while True:
            await asyncio.sleep(ASK_SECONDS)
            if not (self._in_vain and self._state.waits_for_suggestions):
                since = None
                continue
            now = time.monotonic()
            since = since if since is not None else now
            if now > since + NOTHING_SECONDS:
                source = self._state.source
                name = type(getattr(source, "searcher", source)).__name__
                raise TuneError(f"{name} has suggested no config for {NOTHING_SECONDS:g} s, and no trial runs")
            self._fill()

    async def _name_silent(self, trial_id: str, what: str) -> None:
        runner = self._places.get(trial_id)
        if runner is None or runner.closed:
            return
        try:
            async with asyncio.timeout(5):
                stack = await runner.actor.stack.remote()
        except (TimeoutError, *DEATHS) as error:
            stack = f"(its stack cannot be had: {error})"
        pid = runner.facts.pid if runner.facts is not None else "unknown"
        _logger.warning("%s %s (process %s); it is here:\n%s", self._state.trials[trial_id], what, pid, stack)

    # Runners.

    def _grow(self, factory: PlacementGroupFactory | None) -> None:
        """Start as many runners of a kind as there are slots and trials for."""
        if factory is None:
            return
        total = self._state.source.total_samples
        most = self._pool.slots(factory)
        if self._state.settings.max_concurrent:
            most = min(most, self._state.settings.max_concurrent)
        if total:
            most = min(most, total)
        for _ in range(most - sum(runner.factory == factory for runner in self._pool.runners)):
            self._spawn(factory)

    def _spawn(self, factory: PlacementGroupFactory) -> None:
        runner = self._pool.add(factory)
        assert self._group is not None
        self._group.create_task(self._serve(runner))

    async def _serve(self, runner: RunnerPlace) -> None:
        """Hand a runner trials, and take its messages, until it is closed or dies."""
        try:
            if not await self._pool.start(runner):
                return
            self._fill()
            while not runner.closed:
                if not runner.trials and not runner.orders:
                    runner.wanted.clear()
                    await runner.wanted.wait()
                    continue
                orders, runner.orders = runner.orders, []
                answers, runner.answers = runner.answers, []
                judged, runner.judged = runner.judged, None
                packed = await runner.actor.exchange.remote(orders, judged, answers)
                if not runner.closed:
                    self._take(runner, packed)
        except DEATHS as error:
            # Without a session no trial is to blame: a restore goes on with all that ran.
            if isinstance(error, RayTaskError) or self._pool.has_ended:
                raise
            if not runner.closed:
                self._lose(runner, error)

    def _take(self, runner: RunnerPlace, packed: bytes) -> None:
        assert runner.facts is not None
        runner.heard, runner.named = time.monotonic(), False
        self._record([("packed", tuple(runner.facts), packed)])
        arrived = pickle.loads(packed)
        for message in arrived:
            kind = message[0]
            if kind == m.REPORT:
                runner.judged = message[1], message[2], message[8][0]
            elif kind in _ENDS:
                runner.holds = False
                seconds = message[4]
                self._duration = seconds if self._duration is None else 0.9 * self._duration + 0.1 * seconds
                self._leave(runner, message[1])
            elif kind == m.RETURNED:
                runner.holds = runner.holds or not message[2]
                for trial_id in message[1]:
                    self._leave(runner, trial_id)
        self._state.handle(runner.facts, arrived)
        self._fill(runner)

    def _leave(self, runner: RunnerPlace, trial_id: str) -> None:
        runner.trials.pop(trial_id, None)
        runner.asked.discard(trial_id)
        if self._places.get(trial_id) is runner:
            del self._places[trial_id]

    def _lose(self, runner: RunnerPlace, error: BaseException) -> None:
        """Take note that a runner has died, and start another one."""
        trials = [self._state.trials[trial_id] for trial_id in runner.trials]
        ordered = {order.trial_id for order in runner.orders}
        begun = [trial for trial in trials if trial.trial_id not in ordered]
        records: list[Any] = []
        for trial in trials:
            self._leave(runner, trial.trial_id)
            if len(begun) == 1 and trial is begun[0]:
                records.append(("lost", trial.trial_id, _error_bytes(error)))
            else:
                records.append(("returned", trial.trial_id))
        self._suspects.update(trial.trial_id for trial in begun if len(begun) > 1)
        self._record(records)
        for record in records:
            replay_loss(self._state, record)
        factory = runner.factory
        self._pool.close(runner)
        if not self._state.is_over and self._state.end_reason is None:
            self._spawn(factory)
        self._fill()

    # Trials.

    def _fill(self, current: RunnerPlace | None = None) -> None:
        """Hand out trials while there is room, and do what the state wants done.

        Args:
            current: The runner whose messages have just been taken: its answers go with its next call.
        """
        state = self._state
        assigned: list[RunnerPlace] = []
        batch = self._batch()
        while state.end_reason is None:
            if self._candidate is None and not self._has_room(batch):
                break
            trial = self._candidate or self._choose()
            self._in_vain = trial is None
            if trial is None:
                break
            runner = self._runner_for(trial, batch)
            if runner is None:
                self._candidate = trial
                break
            self._candidate = None
            self._assign(trial, runner)
            if len(runner.trials) == 1:
                runner.heard = time.monotonic()
            assigned.append(runner)
        self._carry_out(current)
        if self._candidate is None and state.end_reason is None:
            self._share()
        for runner in assigned:
            runner.wanted.set()
        if self._snapshots.is_due(time.monotonic(), self._journal.size):
            self._snapshots.works = self._journal.keep(state.parts(), state.trials)
        if state.is_over or state.end_reason is not None:
            self._over.set()

    def _share(self) -> None:
        """Have trials that wait behind others given back, for runners that have nothing to do."""
        idle = [runner for runner in self._pool.runners if runner.is_ready and not runner.trials]
        for runner in idle:
            if self._take_unsent(runner):
                continue
            slow = (self._duration or 0) > SHARED_SECONDS
            donors = [
                one for one in self._pool.runners
                if len(one.trials) > 1 + len(one.asked) and not one.orders and one.factory == runner.factory
                and (slow or one.holds)
            ]  # fmt: skip
            if not donors:
                return
            donor = max(donors, key=lambda one: len(one.trials) - len(one.asked))
            trial_id = next(one for one in reversed(donor.trials) if one not in donor.asked)
            donor.asked.add(trial_id)
            donor.actor.post.remote([(trial_id, donor.trials[trial_id], m.GIVE_BACK)])

    def _take_unsent(self, idle: RunnerPlace) -> bool:
        """Hand a runner that has nothing to do a trial that waits here until the call of another runner returns."""
        for donor in self._pool.runners:
            if donor.orders and len(donor.trials) > 1 and donor.factory == idle.factory:
                trial = self._state.trials[donor.orders.pop().trial_id]
                self._leave(donor, trial.trial_id)
                record = ("returned", trial.trial_id)
                self._record([record])
                replay_loss(self._state, record)
                chosen = self._choose()
                if chosen is not None:
                    self._assign(chosen, idle)
                    idle.wanted.set()
                return True
        return False

    def _choose(self) -> Trial | None:
        limit = self._state.settings.max_concurrent
        if limit and len(self._places) >= limit:
            return None
        return self._state.choose()

    def _has_room(self, batch: int) -> bool:
        """Whether a trial could start; also before there are runners, where their kind depends on the trial."""
        if self._first is None and not self._pool.runners:
            return True
        return any(len(runner.trials) < runner.room(batch) and runner.is_ready for runner in self._pool.runners)

    def _batch(self) -> int:
        """How many trials a runner may have at once."""
        state = self._state
        one_by_one = state.source.learns or state.scheduler.lockstep or state.settings.max_concurrent
        if self._duration is None or self._suspects or one_by_one:
            return 1
        if self._duration > LONG_SECONDS:
            # One waits behind one that takes a while, so that the way to here and back is made while that one runs.
            return 2 if self._duration < WAITING_SECONDS else 1
        return min(MAX_BATCH, int(BATCH_SECONDS / max(self._duration, 1e-6)))

    def _runner_for(self, trial: Trial, batch: int) -> RunnerPlace | None:
        factory = trial.placement_group_factory
        fitting = [runner for runner in self._pool.runners if runner.factory == factory]
        best, fewest = None, batch
        for runner in fitting:
            if len(runner.trials) < min(fewest, runner.room(batch)) and runner.is_ready:
                best, fewest = runner, len(runner.trials)
        if best is not None:
            return best
        if not any(runner.is_ready for runner in fitting):
            # Another kind: those of other kinds that have nothing to do make room, now or when they have no trial left.
            for runner in [runner for runner in self._pool.runners if runner.is_ready and not runner.trials]:
                self._pool.close(runner)
        if len(fitting) < self._pool.slots(factory):
            self._spawn(factory)
        return None

    def _assign(self, trial: Trial, runner: RunnerPlace) -> None:
        self._state.start(trial)
        runner.trials[trial.trial_id] = trial.attempt
        order = self._state.order(trial)
        if runner.holds or (self._duration is not None and self._duration > LONG_SECONDS):
            order = order._replace(waits=True)
        runner.orders.append(order)
        self._places[trial.trial_id] = runner

    # Effects.

    def _record(self, records: list[Any]) -> None:
        try:
            self._journal.append(records)
        except OSError:
            raise
        except Exception as error:  # whatever a class of the user's says of being pickled
            raise _unpicklable(records, error) from error

    def _carry_out(self, current: RunnerPlace | None = None) -> None:
        """Do what the state wants done: what it has decided goes to the journal first, in one frame."""
        effects = self._state.take_effects()
        records: list[Any] = []
        for effect in effects:
            kind = type(effect)
            if kind is TrialAdded:
                records.append(("trial", *effect.suggestion))  # type: ignore[union-attr]
            elif kind is TrialStarted:
                records.append(("start", effect.trial.trial_id))
            elif kind is ConfigChanged:
                records.append(("config", effect.trial.trial_id, effect.trial.config, effect.trial.experiment_tag))
        if records:
            self._record(records)
        for effect in effects:
            if isinstance(effect, TrialAnswered):
                self._answer(effect, current)
            else:
                if isinstance(effect, CheckpointRemoved):
                    self._remove(effect)
                elif isinstance(effect, TrialEnded):
                    self._journal.note_end(effect.trial)
                self._listen(effect)

    def _answer(self, effect: TrialAnswered, current: RunnerPlace | None) -> None:
        runner = self._places.get(effect.trial.trial_id)
        if runner is None:
            return
        answer = effect.trial.trial_id, effect.attempt, effect.answer
        if runner is current:
            runner.answers.append(answer)
        else:
            runner.actor.post.remote([answer])

    def _remove(self, effect: CheckpointRemoved) -> None:
        assert self._group is not None
        self._group.create_task(asyncio.to_thread(shutil.rmtree, effect.record.checkpoint.path, ignore_errors=True))


def replay_loss(state: SearchState, record: tuple[Any, ...]) -> None:
    """Tell a search that a runner has died with a trial, or before it began one.

    Args:
        state: The search.
        record: ``("lost", trial id, error)`` or ``("returned", trial id)``.
    """
    trial = state.trials[record[1]]
    if record[0] == "lost":
        state.lose(trial, m.error_of(record[2]))
    else:
        state.give_back(trial)


def _unpicklable(records: list[Any], error: Exception) -> TuneError:
    """What to tell of records that cannot be pickled: the values of configs that are to blame."""
    bad = [
        f"{name!r} of trial {record[1]}"
        for record in records
        if record[0] in ("trial", "config")
        for name, value in flatten(record[2]).items()
        if not can_be_pickled(value)
    ]
    return TuneError(f"a config cannot be sent to a worker: {', '.join(bad) or 'it'} cannot be pickled ({error})")


def _error_bytes(error: BaseException) -> bytes:
    return error.to_bytes() if isinstance(error, RayError) else RayError(str(error)).to_bytes()


def _first_leaf(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first
