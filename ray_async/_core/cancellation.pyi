"""Cancelling: before the start it is the canceller who ends the task, after it the worker."""

from collections.abc import Callable, Collection

from ray_async._core.arena import Arena

OVER: int
DROPPED: int
ASKED: int

def cancel(
    arena: Arena, record: int, force: bool, make_error: Callable[[int], bytes], recursive: bool = ..., seq: int = ...
) -> int: ...
def carry_on(arena: Arena, record: int, seq: int, force: bool, make_error: Callable[[int], bytes]) -> None: ...
def cancel_scopes(arena: Arena, scopes: Collection[int], make_error: Callable[[int], bytes]) -> set[int]: ...
