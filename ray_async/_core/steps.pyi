"""Coroutines driven step by step in a context of their own, so that one asyncio task can serve several calls."""

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Protocol

class _Executor(Protocol):
    def is_cancelled(self, record: int) -> bool: ...
    def succeed(self, record: int, result: Any) -> None: ...

class Steps:
    """A coroutine that waits for something. Awaiting this goes on with it; its value is the coroutine's."""

    context: Context

    def __await__(self) -> Generator[Any, None, Any]: ...

class PlainCall:
    """A call of a coroutine function that is claimed and has nothing to wait for: one return, no options."""

    record: int
    definition: Any

    def __init__(
        self,
        executor: _Executor,
        record: int,
        function: Callable[..., Coroutine[Any, Any, Any]],
        definition: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None: ...
    def coroutine(self) -> Coroutine[Any, Any, Any]: ...
    def run(self, context: Context) -> Steps | None: ...
