"""Errors of Tune."""

from __future__ import annotations

from ray_async.exceptions import RayError

__all__ = ("TrialStopped", "TuneError")


class TuneError(RayError, RuntimeError):
    """A search was set up wrongly, or could not go on; or trials of it failed.

    Args:
        message: What happened.
        trials: The trials that failed.
    """

    def __init__(self, message: str = "", trials: object = None) -> None:
        super().__init__(*((message,) if trials is None else (message, trials)))


class TrialStopped(BaseException):
    """Raised in a trial's code at its next report when the trial is to end: ``finally`` blocks run, nothing follows."""
