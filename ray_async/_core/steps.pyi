"""Coroutines driven step by step in a context of their own, so that one asyncio task can serve several calls."""

from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any

class Steps:
    """A coroutine that waits for something. Awaiting this goes on with it; its value is the coroutine's."""

    def __await__(self) -> Generator[Any, None, Any]: ...

def begin(record: int, coroutine: Coroutine[Any, Any, Any], context: Context) -> Any: ...
