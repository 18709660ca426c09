"""Checkpoints that are kept: the best and the latest, whatever the scores are."""

import itertools
import math
from typing import Any

import pytest

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig
from ray_async.tune.experiment.checkpoint_record import CheckpointRecord, KeptCheckpoints

MISSING = object()
SCORES: list[Any] = [math.nan, MISSING, -math.inf, 1.0, 2.0, 3.0]


def keep(scores: Any, **config: Any) -> tuple[list[Any], list[Any]]:
    """Scores of those that stay, and of those that go, in order."""
    kept = KeptCheckpoints(CheckpointConfig(**config))
    gone: list[CheckpointRecord] = []
    for number, score in enumerate(scores):
        metrics = {} if score is MISSING else {"eval": {"acc": score}}
        gone += kept.add(CheckpointRecord(Checkpoint(f"/c{number}"), metrics, number, 0.0))

    def values(records: list[CheckpointRecord]) -> list[Any]:
        return [record.metrics.get("eval", {}).get("acc", MISSING) for record in records]

    return values(kept.records), values(gone)


def worth(score: Any, order: str) -> tuple[bool, float]:
    if score is MISSING or math.isnan(score):
        return (False, 0.0)
    return (True, score if order == "max" else -score)


@pytest.mark.parametrize("order", ["max", "min"])
def test_every_order_of_the_scores(order: str) -> None:
    config = {"num_to_keep": 2, "checkpoint_score_attribute": "eval/acc", "checkpoint_score_order": order}
    for scores in itertools.permutations(SCORES):
        stay, gone = keep(scores, **config)
        assert stay[-1] is scores[-1] and len(stay) in (2, 3) and len(stay) + len(gone) == 6
        best = sorted(SCORES, key=lambda score: worth(score, order))[-2:]
        assert all(any(one is score for one in stay) for score in best)


def test_the_latest_without_a_score_and_the_newer_of_equal_ones() -> None:
    assert keep([5.0, 1.0, 2.0, 3.0], num_to_keep=2)[0] == [2.0, 3.0]
    kept = KeptCheckpoints(CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="a"))
    for number in range(3):
        kept.add(CheckpointRecord(Checkpoint(f"/c{number}"), {"a": 1}, number, 0.0))
    assert [record.iteration for record in kept.records] == [2]


def test_metrics_in_a_nest_decide() -> None:
    stay, _ = keep([3.0, 9.0, 1.0, 2.0], num_to_keep=2, checkpoint_score_attribute="eval/acc")
    assert stay == [3.0, 9.0, 2.0]


def test_the_best_is_never_nan() -> None:
    kept = KeptCheckpoints(CheckpointConfig())
    for number, score in enumerate([math.nan, 1.0, 5.0, math.nan]):
        kept.add(CheckpointRecord(Checkpoint(f"/c{number}"), {"a": score}, number, 0.0))
    assert kept.best("a", "max").iteration == 2 and kept.best("a", "min").iteration == 1  # type: ignore[union-attr]
    assert kept.best("b", "max") is None
