"""Trial function: a trainer as the function of a config that a search runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray_async.air.placement_groups import PlacementGroupFactory
from ray_async.air.session import current
from ray_async.train import messages as m
from ray_async.util import get_current_placement_group

if TYPE_CHECKING:
    from ray_async.train.data_parallel_trainer import DataParallelTrainer

__all__ = ("TrialFunction",)


class TrialFunction:
    """Runs a trainer's workers in the placement group of the trial that calls it.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: DataParallelTrainer) -> None:
        self.trainer = trainer
        self.__name__ = type(trainer).__name__

    def _tune_resources(self, config: Mapping[str, Any]) -> PlacementGroupFactory:
        return self.trainer.with_config(config).scaling_config.as_placement_group_factory()

    def __call__(self, config: dict[str, Any]) -> None:
        session: Any = current()
        trainer = self.trainer.with_config(config)
        order = session.order
        facts = m.RunFacts(order.experiment_name, order.name, order.trial_id, order.resources, order.path)
        first = 0 if trainer.scaling_config.as_placement_group_factory().head_bundle_is_empty else 1
        trainer.train_workers(session, get_current_placement_group(), first, facts)
