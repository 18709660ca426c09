"""References as futures of asyncio: awaiting one, and the callbacks that `asyncio.gather` and its like put on it."""

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from typing import Any

from ray_async._core.object_ref import ObjectRef

def install(
    *,
    running_loop: Callable[[], AbstractEventLoop | None],
    cancelled_error: type[BaseException],
    invalid_state_error: type[Exception],
    awaitable: Callable[[StopIteration], BaseException],
    report: Callable[[AbstractEventLoop, Any, BaseException], None],
) -> None: ...
def forget() -> None: ...
def settled(ref: ObjectRef[Any]) -> Awaitable[None]: ...
