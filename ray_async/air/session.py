"""Session of a run: what reports and questions of the user's code reach, under every import path.

`report`, `get_checkpoint` and `get_context` go to the session that the library has set in this process: a trial's in a
worker of Tune. There is one at a time, for all threads, so code in a thread of its own reports too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Never, Protocol

from ray_async.air.checkpoint import Checkpoint

__all__ = ("Reported", "RunSession", "current", "get_checkpoint", "report", "set_current")


class Reported:
    """Outcome of a report, which a coroutine may await: it goes on when the report has been judged.

    Args:
        session: The session that has taken the report.
    """

    __slots__ = ("_session",)

    def __init__(self, session: RunSession) -> None:
        self._session = session

    def __await__(self) -> Generator[Any, None, None]:
        waiting: Coroutine[Any, Any, None] = self._session.judged()
        return waiting.__await__()


class RunSession(Protocol):
    """The session of a run, as its library offers it."""

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> Any:
        """Take a report."""

    def judged(self) -> Any:
        """Coroutine that ends when all reports have been judged."""

    def get_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from."""


_current: RunSession | None = None


def current() -> RunSession | None:
    """The session of this process; None outside a run."""
    return _current


def set_current(session: RunSession | None) -> None:
    """Set the session of this process.

    Args:
        session: The session, or None at a run's end.
    """
    global _current
    _current = session


def report(metrics: Any = None, *, checkpoint: Checkpoint | None = None, **named: Never) -> Reported:
    """Report metrics of one iteration, and the files that were saved with it.

    Args:
        metrics: Metrics by name; values may be nested dicts.
        checkpoint: A checkpoint whose files are copied to the run's results.
        named: Refused: the error says how to give what is given by name.

    Returns:
        Something that a coroutine may await; other code does nothing with it.

    Raises:
        TypeError: Not a dict, or metrics by keyword.
        RuntimeError: Not in a run.

    Example:
        >>> def train(config):
        ...     for epoch in range(10):
        ...         report({"loss": 1 / (epoch + config["a"])})
    """
    if named:
        shown = ", ".join(f"{name!r}: ..." for name in named)
        raise TypeError(f"report takes a dict of metrics and no keywords but checkpoint: report({{{shown}}})")
    if not isinstance(metrics, dict):
        hint = f"report({{{metrics!r}: ...}})" if isinstance(metrics, str) else 'report({"loss": loss})'
        raise TypeError(f"report takes a dict of metrics, for instance {hint}, but got {type(metrics).__name__}")
    session = _session("report")
    session.report(metrics, checkpoint)
    return Reported(session)


def get_checkpoint() -> Checkpoint | None:
    """The checkpoint from which this run is to go on; None at a first start.

    Raises:
        RuntimeError: Not in a run.
    """
    return _session("get_checkpoint").get_checkpoint()


def _session(name: str) -> RunSession:
    if _current is None:
        raise RuntimeError(
            f"{name}() was called outside of a trial or training function: call it in the function that tune.Tuner, "
            "tune.run or a trainer runs"
        )
    return _current
