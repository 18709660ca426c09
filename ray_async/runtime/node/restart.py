"""Restarts of actors: the decision whether an actor whose process has died gets another life, and why not."""

from __future__ import annotations

from ray_async.frozen import Record
from ray_async.runtime.node.death.evidence import DeathCause

__all__ = ("Restart", "Stay", "restart_verdict")


class Restart(Record):
    """Another life.

    Args:
        left: restarts that remain after this one; -1 has no limit.
    """

    left: int

    @property
    def text(self) -> str:
        """The verdict in words, for listings and logs."""
        return "restart, without a limit" if self.left < 0 else f"restart, {self.left} left after it"


class Stay(Record):
    """No other life.

    Args:
        reason: completes "it is not restarted because ...".
    """

    reason: str

    @property
    def text(self) -> str:
        """The verdict in words, for listings and logs."""
        return f"no restart: {self.reason}"


def restart_verdict(ended: DeathCause | None, max_restarts: int, restarts: int) -> Restart | Stay:
    """Decide whether an actor whose process has died, or would die now, is restarted.

    Args:
        ended: why the actor is over whatever its process does; None while it is not.
        max_restarts: the actor's option; -1 has no limit.
        restarts: how often it was restarted already.

    Example:
        >>> restart_verdict(None, max_restarts=2, restarts=1)
        Restart(left=0)
        >>> restart_verdict(None, max_restarts=0, restarts=0).text
        'no restart: max_restarts is 0'
    """
    if ended is not None:
        return Stay(ended.value)
    if max_restarts < 0:
        return Restart(-1)
    if max_restarts == 0:
        return Stay("max_restarts is 0")
    if restarts >= max_restarts:
        return Stay(f"all {max_restarts} restarts of max_restarts={max_restarts} are used up")
    return Restart(max_restarts - restarts - 1)
