"""Event loops: uvloop where it is installed, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio

__all__ = ("new_event_loop",)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new loop, not set as current."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
