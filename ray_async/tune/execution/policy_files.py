"""Policy files: what population based training has changed, a file for each trial, to be replayed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ray_async.tune.json_values import json_text

if TYPE_CHECKING:
    from ray_async.tune.execution.state import SearchState

__all__ = ("write_policies",)


def write_policies(state: SearchState | None, folder: str) -> None:
    """Write the policies of those trials that have changed, each file as a whole.

    Args:
        state: The search.
        folder: The experiment's directory.
    """
    scheduler = state.scheduler if state is not None else None
    scheduler = getattr(scheduler, "base_scheduler", scheduler)
    take_policies = getattr(scheduler, "take_policies", None)
    if take_policies is None:
        return
    for trial_id, steps in take_policies().items():
        path = os.path.join(folder, f"pbt_policy_{trial_id}.txt")
        with open(f"{path}.part", "w") as file:
            file.writelines(f"{json_text(step)}\n" for step in steps)
        os.replace(f"{path}.part", path)
