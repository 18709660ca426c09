"""Resource changing scheduler: another scheduler, and trials that get more resources while fewer of them run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ray_async.tune.metric import rank, score
from ray_async.tune.placement_groups import PlacementGroupFactory, resource_dict_to_pg_factory
from ray_async.tune.schedulers.trial_scheduler import FIFOScheduler, TrialController, TrialScheduler

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("DistributeResources", "DistributeResourcesToTopJob", "ResourceChangingScheduler")


class DistributeResources:
    """Shares the CPUs and GPUs of all nodes evenly among the trials that have not ended.

    Args:
        add_bundles: Whether a trial gets further bundles like its last one, for its workers, in place of a larger first
            bundle.
        increase_by: What a trial gets more at a time (``{"CPU": 1}``); None: any whole number of each.
        increase_by_times: How often at most; -1: any number of times.
        reserve_resources: What is left for others (``{"CPU": 1}``).

    Raises:
        ValueError: ``increase_by`` without a quantity above 0.
    """

    def __init__(
        self,
        add_bundles: bool = False,
        increase_by: Mapping[str, float] | None = None,
        increase_by_times: int = -1,
        reserve_resources: Mapping[str, float] | None = None,
    ) -> None:
        if increase_by is not None and not any(amount > 0 for amount in increase_by.values()):
            raise ValueError(f"increase_by has a quantity above 0, but is {dict(increase_by)}")
        self.add_bundles = add_bundles
        self.increase_by = {name.upper(): amount for name, amount in (increase_by or {}).items() if amount > 0}
        self.increase_by_times = increase_by_times
        self.reserve = {name.upper(): amount for name, amount in (reserve_resources or {}).items()}

    def __call__(
        self, tune_controller: TrialController, trial: Trial, result: dict[str, Any], scheduler: TrialScheduler
    ) -> PlacementGroupFactory | None:
        """What a trial is to take from now on; None: what it has."""
        base = self._base(scheduler, trial)
        live = self.sharers(tune_controller, trial, scheduler)
        if not live:
            return base
        free = {
            name: max(tune_controller.cluster_resources.get(name, 0.0) - self.reserve.get(name, 0.0), 0.0)
            for name in ("CPU", "GPU")
        }
        share = {name: amount / live for name, amount in free.items()}
        return self._grown(base, share)

    def sharers(self, tune_controller: TrialController, trial: Trial, scheduler: TrialScheduler) -> int:
        """Among how many trials the resources are shared; 0: this one gets what it began with."""
        return len(tune_controller.get_live_trials())

    @staticmethod
    def _base(scheduler: TrialScheduler, trial: Trial) -> PlacementGroupFactory:
        known: dict[str, PlacementGroupFactory] = getattr(scheduler, "base_resources", {})
        return known.get(trial.trial_id, trial.placement_group_factory)

    def _grown(self, base: PlacementGroupFactory, share: dict[str, float]) -> PlacementGroupFactory:
        required = base.required_resources
        unit = dict(base.bundles[-1]) if self.add_bundles else self.increase_by
        if not unit:
            # Whole CPUs and GPUs of those that it takes anyhow.
            more = {name: math.floor(share.get(name, 0.0) + 1e-9) - held for name, held in required.items()}
            more = {name: amount for name, amount in more.items() if amount > 0 and name in share}
            return _with_more(base, more, 1) if more else base
        room = [
            math.floor((share[name] - required.get(name, 0.0)) / unit[name] + 1e-9) for name in unit if name in share
        ]
        times = max(min(room, default=0), 0)
        if self.increase_by_times >= 0:
            times = min(times, self.increase_by_times)
        if not times:
            return base
        if self.add_bundles:
            bundles = [{}, *base.bundles] if base.head_bundle_is_empty else list(base.bundles)
            return PlacementGroupFactory([*bundles, *[dict(unit) for _ in range(times)]], base.strategy)
        return _with_more(base, unit, times)


class DistributeResourcesToTopJob(DistributeResources):
    """Gives all that is free to the trial that is best so far.

    Args:
        metric: The metric; that of the search by default.
        mode: ``"min"`` or ``"max"``.
        options: As of `DistributeResources`.
    """

    def __init__(self, metric: str | None = None, mode: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.metric, self.mode = metric, mode

    def __call__(
        self, tune_controller: TrialController, trial: Trial, result: dict[str, Any], scheduler: TrialScheduler
    ) -> PlacementGroupFactory | None:
        base = self._base(scheduler, trial)
        metric, mode = self.metric or scheduler.metric or "", self.mode or scheduler._mode or "max"
        live = tune_controller.get_live_trials()
        best = max(live, key=lambda one: rank(score(one.last_result, metric, mode)), default=trial)
        if best is not trial:
            return base
        others = [one for one in live if one is not trial]
        free = {}
        for name in ("CPU", "GPU"):
            taken = sum(self._base(scheduler, one).required_resources.get(name, 0.0) for one in others)
            total = tune_controller.cluster_resources.get(name, 0.0) - self.reserve.get(name, 0.0)
            free[name] = max(total - taken, 0.0)
        return self._grown(base, free)


def _with_more(base: PlacementGroupFactory, unit: Mapping[str, float], times: int) -> PlacementGroupFactory:
    first, *others = base.bundles
    grown = dict(first)
    for name, amount in unit.items():
        grown[name] = grown.get(name, 0.0) + amount * times
    bundles: list[Mapping[str, float]] = [grown, *others]
    return PlacementGroupFactory([{}, *bundles] if base.head_bundle_is_empty else bundles, base.strategy)


class ResourceChangingScheduler(TrialScheduler):
    """Lets another scheduler decide, and gives trials that go on other resources; these trials need checkpoints.

    A trial whose resources change is saved, ended and started again: `tune.get_context().get_trial_resources()`
    tells it what it has.

    Args:
        base_scheduler: The other scheduler; None: all trials go on.
        resources_allocation_function: Gets the controller, the trial, its result and this scheduler, and returns a
            `PlacementGroupFactory`, a dict, or None for no change. None: resources stay.

    Example:
        >>> scheduler = ResourceChangingScheduler(FIFOScheduler(), DistributeResources())
    """

    def __init__(
        self,
        base_scheduler: TrialScheduler | None = None,
        resources_allocation_function: Callable[..., Any] | None = DistributeResources(),  # noqa: B008 - it has no state
    ) -> None:
        self._base = base_scheduler or FIFOScheduler()
        self._allocate = resources_allocation_function
        # What each live trial began with.
        self.base_resources: dict[str, PlacementGroupFactory] = {}
        self.num_changes = 0

    @property
    def metric(self) -> str | None:
        return self._base.metric

    @property
    def base_scheduler(self) -> TrialScheduler:
        """The other scheduler."""
        return self._base

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        taken = self._base.set_search_properties(metric, mode, **spec)
        self._mode = self._base._mode
        return taken

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        self.base_resources[trial.trial_id] = trial.placement_group_factory
        self._base.on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        decision = self._base.on_trial_result(tune_controller, trial, result)
        if decision != TrialScheduler.CONTINUE or self._allocate is None or trial.status != "RUNNING":
            return decision
        wanted = self._allocate(tune_controller, trial, result, self)
        if wanted is None:
            return decision
        factory = resource_dict_to_pg_factory(wanted)
        if factory == trial.placement_group_factory:
            return decision
        self.num_changes += 1
        trial.placement_group_factory = factory
        return TrialScheduler.PAUSE

    def on_trial_complete(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> None:
        self.base_resources.pop(trial.trial_id, None)
        self._base.on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: TrialController, trial: Trial) -> None:
        self.base_resources.pop(trial.trial_id, None)
        self._base.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: TrialController, trial: Trial) -> None:
        self._base.on_trial_remove(tune_controller, trial)

    def is_full_length(self, trial: Trial, result: dict[str, Any]) -> bool:
        return self._base.is_full_length(trial, result)

    def choose_trial_to_run(self, tune_controller: TrialController) -> Trial | None:
        """The other scheduler's choice, or a trial that waits for nothing but its new resources."""
        return self._base.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return f"ResourceChangingScheduler: {self.num_changes} changes. {self._base.debug_string()}"
