"""Simulation of a search: the state alone, with runners that are lists of metrics."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ray_async.air.config import CheckpointConfig, FailureConfig
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.effects import TrialAnswered
from ray_async.tune.execution.settings import SearchSettings
from ray_async.tune.execution.state import SearchState
from ray_async.tune.execution.stop_criteria import StopCriteria
from ray_async.tune.execution.trial_maker import TrialMaker
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.placement_groups import PlacementGroupFactory
from ray_async.tune.schedulers import TrialScheduler
from ray_async.tune.search import BasicVariantGenerator
from ray_async.tune.search.search_algorithm import SearchAlgorithm

FACTS = m.RunnerFacts(1, "host", "::1")
NAN, INF = float("nan"), float("inf")


class Simulation:
    """A search over recorded curves, run by a clock of steps.

    Args:
        scheduler: The scheduler.
        curves: Metrics of each trial, iteration by iteration.
        slots: How many trials run at once.
        mode: "min" or "max".
        checkpoints: Whether each report comes with a checkpoint; else a paused trial begins anew.
    """

    def __init__(
        self,
        scheduler: TrialScheduler,
        curves: Sequence[Sequence[Any]],
        slots: int = 1,
        mode: str = "max",
        checkpoints: bool = True,
        stop: Any = None,
        failure: FailureConfig | None = None,
        source: SearchAlgorithm | None = None,
        stride: int = 1,
        checkpoint: CheckpointConfig | None = None,
    ) -> None:
        self.curves = curves
        self.slots = slots
        self.checkpoints = checkpoints
        self.stride = stride
        scheduler.set_search_properties("v", mode)
        source = source or BasicVariantGenerator(random_state=1)
        source.setup({"i": {"grid_search": list(range(len(curves)))}}, 1, "t")
        settings = SearchSettings(
            metric="v",
            mode=mode,
            stop=StopCriteria(stop),
            failure=failure or FailureConfig(),
            checkpoint=checkpoint or CheckpointConfig(),
            required={"v": "the test"},
        )
        factory = PlacementGroupFactory([{"CPU": 1}])
        maker = TrialMaker("f", "/nowhere", lambda _: factory, settings.checkpoint, "now")
        self.state = SearchState(source, scheduler, maker, settings)
        self.state.cluster_resources = {"CPU": 24.0, "GPU": 2.0}
        self.running: dict[str, m.TrialOrder] = {}
        self.at: dict[str, int] = {}
        # Iterations at which each trial reported, in order.
        self.seen: dict[str, list[int]] = defaultdict(list)
        self.effects: list[Any] = []

    def start(self) -> None:
        while len(self.running) < self.slots:
            trial = self.state.choose()
            if trial is None:
                break
            self.state.start(trial)
            order = self.state.order(trial, "e")
            self.running[trial.trial_id] = order
            self.at[trial.trial_id] = order.iteration
        self.answer()

    def answer(self) -> None:
        effects = self.state.take_effects()
        self.effects += effects
        for effect in effects:
            # These trials save themselves with each report, as functions do: they need not be asked to.
            if not isinstance(effect, TrialAnswered) or effect.answer == m.SAVE:
                continue
            if effect.trial.trial_id in self.running:
                order = self.running.pop(effect.trial.trial_id)
                kind = m.PAUSED if effect.answer == m.PAUSE else m.STOPPED
                self.tell(tuple(m.Ended(kind, order.trial_id, order.attempt, None, 0.0)))

    def tell(self, *messages: Any) -> None:
        self.state.handle(FACTS, messages)
        self.answer()

    def step(self, trial_id: str) -> None:
        """Let a running trial report once, or end."""
        order = self.running[trial_id]
        curve = self.curves[int(trial_id.rpartition("_")[2])]
        self.at[trial_id] += self.stride
        at = self.at[trial_id]
        if at > len(curve) or curve[at - 1] == "end":
            del self.running[trial_id]
            self.tell(tuple(m.Done(m.DONE, trial_id, order.attempt, None, 0.0)))
            return
        value = curve[at - 1]
        if isinstance(value, Exception):
            del self.running[trial_id]
            from ray_async.exceptions import RayTaskError

            error = RayTaskError.from_exception(value, function_name="f", proctitle="f", pid=1, ip="::1").to_bytes()
            self.tell(tuple(m.Ended(m.FAILED, trial_id, order.attempt, error, 0.0)))
            return
        self.seen[trial_id].append(at)
        index = self.state.trials[trial_id].checkpoint_index
        name = f"checkpoint_{index:06d}" if self.checkpoints else None
        metrics = value if isinstance(value, dict) else {"v": value}
        since = (at - order.iteration) // self.stride, float(at)
        report = m.TrialReport(
            m.REPORT, trial_id, order.attempt, at, m.pack(metrics), float(at), 1.0, 0.0, since, name, False
        )
        self.tell(tuple(report))

    def run(self, most_steps: int = 100_000) -> "Simulation":
        """Run to the end, trials in turn."""
        for _ in range(most_steps):
            self.start()
            if not self.running:
                assert self.state.is_over, f"stuck: {[(t, t.status) for t in self.state.get_live_trials()]}"
                return self
            for trial_id in list(self.running):
                if trial_id in self.running:
                    self.step(trial_id)
        raise AssertionError("the search does not end")

    @property
    def trials(self) -> list[Trial]:
        return self.state.get_trials()

    def ends(self) -> list[int]:
        """The last iteration of each trial."""
        return [trial.last_result.get("training_iteration", 0) for trial in self.trials]
