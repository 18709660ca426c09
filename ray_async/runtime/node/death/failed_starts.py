"""Workers that end before they are ready, or cannot be forked: after several in a row, what waits for them fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.machine.exit_status import ExitStatus

if TYPE_CHECKING:
    from ray_async.runtime.node.workers import WorkerProcess

__all__ = ("FailedStarts",)

_LIMIT = 3  # starts, one after the other, each of which may have been of several workers
_LINES = 10


class FailedStarts:
    """Counts starts that failed, by environment key, since the last one that succeeded."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}

    def succeeded(self, env_key: str) -> None:
        """A worker of that environment is ready, or the reason why none will be is known."""
        self._counts.pop(env_key, None)

    def failed(self, worker: WorkerProcess, now: float, status: int, stderr: list[str]) -> str | None:
        """Count a worker that has ended before it was ready.

        Args:
            worker: the worker; one that was started before the last counted end is of the same start.
            now: seconds of the clock that ``worker.started`` is of.
            status: its wait status.
            stderr: its last lines.

        Returns:
            Why no more are to be started for what waits; None as long as another try is worth it.
        """
        count = self._count(worker, now)
        if count < _LIMIT:
            return None
        cause = worker.kill_cause
        ended = f"because {cause.value}" if cause is not None else ExitStatus.from_wait_status(status).describe()
        words = "\n".join(stderr[-_LINES:])
        said = f" Its last lines on stderr:\n{words}" if words else " It wrote nothing to stderr."
        return f"its worker cannot start: {count} in a row ended before they were ready, the last one {ended}.{said}"

    def not_forked(self, worker: WorkerProcess, now: float, reason: str) -> str | None:
        """Count a worker that could not be forked.

        Args:
            worker: the worker, as above.
            now: as above.
            reason: what the system said.

        Returns:
            As above.
        """
        count = self._count(worker, now)
        if count < _LIMIT:
            return None
        return f"its worker cannot be forked: {count} tries in a row failed, the last one with: {reason}"

    def _count(self, worker: WorkerProcess, now: float) -> int:
        """How many starts have failed in a row, this one included; begins anew at the limit."""
        count, last = self._counts.get(worker.env_key, (0, 0.0))
        if worker.started >= last:
            count += 1
            self._counts[worker.env_key] = (count, now)
        if count >= _LIMIT:
            del self._counts[worker.env_key]
        return count
