"""Event loops: uvloop where it is installed and wanted, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio

from ray_async.config import USE_UVLOOP, Settings

__all__ = ("new_event_loop",)


def new_event_loop(settings: Settings) -> asyncio.AbstractEventLoop:
    """A new loop, not set as current."""
    if not settings.get(USE_UVLOOP):
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
