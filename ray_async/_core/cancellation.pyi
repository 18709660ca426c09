"""Cancelling: before the start it is the canceller who ends the task, after it the worker."""

from ray_async._core.arena import Arena

OVER: int
DROPPED: int
ASKED: int

def cancel(arena: Arena, record: int, force: bool, error: bytes) -> int: ...
