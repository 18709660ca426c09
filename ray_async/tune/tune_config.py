"""Settings of a search: what is optimised, by which algorithm, how often and for how long."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray_async.keyword_names import names_settings
from ray_async.tune.metric import check_mode

__all__ = ("ResumeConfig", "TuneConfig")


@names_settings
@dataclass
class TuneConfig:
    """A search.

    Args:
        mode: ``"min"`` or ``"max"``.
        metric: The metric that is optimised.
        search_alg: A searcher, or its name; None: grid and random search.
        scheduler: A scheduler, or its name; None: all trials go on.
        num_samples: How often the space is sampled (grids multiply); -1: without end.
        max_concurrent_trials: How many trials run at once at most; None: as many as there is room for.
        time_budget_s: Seconds after which the search ends.
        reuse_actors: Whether an object of a Trainable class runs several trials.
        trial_name_creator: Gives a trial's name.
        trial_dirname_creator: Gives the name of a trial's directory.
        chdir_to_trial_dir: Refused, as by Ray: the variable RAY_CHDIR_TO_TRIAL_DIR has taken its place.

    Raises:
        ValueError: A mode that is neither.
    """

    mode: str | None = None
    metric: str | None = None
    search_alg: Any = None
    scheduler: Any = None
    num_samples: int = 1
    max_concurrent_trials: int | None = None
    time_budget_s: int | float | datetime.timedelta | None = None
    reuse_actors: bool = False
    trial_name_creator: Callable[[Any], str] | None = None
    trial_dirname_creator: Callable[[Any], str] | None = None
    chdir_to_trial_dir: Any = "DEPRECATED"

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if self.chdir_to_trial_dir != "DEPRECATED":
            raise DeprecationWarning("chdir_to_trial_dir was removed: set RAY_CHDIR_TO_TRIAL_DIR=0 in the environment")


@names_settings
@dataclass
class ResumeConfig:
    """What becomes of the trials of a search that is restored.

    Args:
        finished: Of those that had ended well.
        unfinished: Of those that had not ended.
        errored: Of those that had failed.
    """

    class ResumeType:
        """What may become of a trial."""

        RESUME = "resume"
        RESTART = "restart"
        SKIP = "skip"

    finished: str = ResumeType.SKIP
    unfinished: str = ResumeType.RESUME
    errored: str = ResumeType.SKIP
