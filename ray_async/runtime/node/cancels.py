"""Cancel scopes that have ended, in which something may still be started.

Whoever cancels a scope has ended all that was started in it. Threads and asyncio tasks of the block that go on may
start more; so a scope is kept until two looks in a row have found nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ray_async._core import cancellation
from ray_async._core.arena import Arena

__all__ = ("Cancels",)


class Cancels:
    """Looks after cancelled scopes.

    Args:
        arena: the session's shared memory.
        make_error: gives the stored error of a record that is cancelled.
    """

    def __init__(self, arena: Arena, make_error: Callable[[int], bytes]) -> None:
        self._arena = arena
        self._make_error = make_error
        self._scopes: set[int] = set()
        self._quiet: set[int] = set()
        self._scheduled = False

    def scope(self, scope: int) -> None:
        """Cancel everything that is submitted in a scope from now on, too."""
        self._scopes.add(scope)
        self._schedule()

    def tick(self) -> None:
        """Look again, while there may be newcomers."""
        if self._scopes:
            self._schedule()

    def _schedule(self) -> None:
        # Many cancels come together; one look over the records serves them all.
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._scheduled = False
        left = cancellation.cancel_scopes(self._arena, self._scopes, self._make_error)
        # One look may miss a record that takes the place of another behind its back; two looks in a row do not.
        self._scopes -= self._quiet - left
        self._quiet = self._scopes - left
