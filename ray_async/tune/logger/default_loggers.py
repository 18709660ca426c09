"""Default loggers: those that write each trial's files unless they are switched off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ray_async.tune.callback import Callback
from ray_async.tune.logger.trial_files import CSVLoggerCallback, JsonLoggerCallback

if TYPE_CHECKING:
    from ray_async.tune.execution.search_spec import SearchSpec

__all__ = ("default_callbacks",)


def default_callbacks(spec: SearchSpec) -> list[Callback]:
    """The user's callbacks, and the default loggers that are not among them.

    Args:
        spec: The search.
    """
    callbacks: list[Callback] = list(spec.run.callbacks or ())
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") == "1":
        return callbacks
    for kind in (JsonLoggerCallback, CSVLoggerCallback):
        if not any(isinstance(callback, kind) for callback in callbacks):
            callbacks.append(kind())
    return callbacks
