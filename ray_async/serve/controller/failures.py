"""Failures of a deployment: why what is wanted does not run, and when it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ray_async.serve.application import DeploymentSpec

__all__ = ("ATTEMPTS", "Failures")

logger = logging.getLogger("ray_async.serve")
ATTEMPTS = 3  # of a constructor, before a deploy fails
_SHORTEST, _LONGEST = 0.5, 30.0  # seconds until what has run before, and does not start now, is tried again


class Failures:
    """The failures of one deployment.

    Args:
        app: Its application's name.
        changed: Called when something has changed that others see.

    Attributes:
        error: Why the deploy has failed; None: it has not.
        failure: Why the last deploy failed, which was taken back.
        waits_for_resources: Whether what the node lacks is waited for.
        proven: Whether what is wanted has run: it is tried for ever then, and not taken back.
        unwell: Why what is proven does not start, or is not well.
        lacking: What the node lacks.
        attempts: How many starts have failed in a row.
    """

    def __init__(self, app: str, changed: Callable[[], None]) -> None:
        self.error: str | None = None
        self.failure: str | None = None
        self.waits_for_resources = False
        self.proven = False
        self.unwell = ""
        self.lacking = ""
        self.attempts = 0
        self._retry_at = 0.0
        self._app = app
        self._changed = changed

    def forget(self) -> None:
        """Begin anew: something else is wanted."""
        self.error, self.failure, self.lacking = None, None, ""
        self.proven = False
        self.heal()

    def heal(self) -> None:
        """Note that a start has succeeded, or that the next one is to be tried at once."""
        self.unwell, self.attempts, self._retry_at = "", 0, 0.0

    def may_retry(self, now: float) -> bool:
        """Whether what has failed may be tried now."""
        return now >= self._retry_at

    def retry_later(self, now: float, why: str) -> None:
        """Try again later what has run before."""
        self.unwell = why
        self._retry_at = now + min(_LONGEST, _SHORTEST * 2 ** min(self.attempts, 10))
        self._changed()

    def is_lacking(self, message: str) -> bool:
        """Note what the node lacks; whether to wait for it."""
        if not self.waits_for_resources and not self.proven:
            self.error = message
            self._changed()
            return False
        self.lacking = message
        logger.warning("%s It waits for them.", message)
        return True

    def could_not_start(self, spec: DeploymentSpec, now: float, error: Exception) -> None:
        """Note that something of what is wanted could not start: a replica, or an actor that replicas share."""
        self.attempts += 1
        if self.proven:
            logger.error("Deployment %s of %s could not start: %s", spec.name, self._app, error)
            self.retry_later(now, str(error))
        elif self.attempts >= min(ATTEMPTS, max(1, spec.options.max_constructor_retry_count)) or self.error is not None:
            self.error = str(error)
