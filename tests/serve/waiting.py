"""Waiting for what another process brings about."""

from collections.abc import Callable

from tests.resources import wait_until as poll_until

__all__ = ("wait_until",)


def wait_until(predicate: Callable[[], object], timeout: float = 60) -> None:
    """Poll until the predicate is true; fail when time is up."""
    poll_until(predicate, timeout)
