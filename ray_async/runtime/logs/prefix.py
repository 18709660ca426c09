"""The words before a line that say which worker printed it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ray_async.config import COLOR_PREFIX, DISABLE_WORKER_LOG_PREFIX, Settings

__all__ = ("Prefixer",)

_RESET = "\x1b[0m"
# Cyan, magenta, green, yellow, blue: readable on dark and on light ground.
_COLORS = ("\x1b[36m", "\x1b[35m", "\x1b[32m", "\x1b[33m", "\x1b[34m")


class Prefixer:
    """Puts `(name pid=123)` or `(name pid=123, ip=10.0.0.2)` before lines.

    Args:
        color: whether prefixes are coloured, one colour a process.
        enabled: whether there are prefixes at all.
    """

    def __init__(self, color: bool = False, enabled: bool = True) -> None:
        self._color = color
        self._enabled = enabled

    @classmethod
    def from_environ(cls, is_terminal: bool, environ: Mapping[str, str] = os.environ) -> Prefixer:
        """Make one as `RAY_COLOR_PREFIX`, `NO_COLOR` and `RAY_DISABLE_WORKER_LOG_PREFIX` ask for.

        Args:
            is_terminal: whether the lines go to a terminal (or a notebook), which can show colours.
            environ: the environment to read.
        """
        settings = Settings(environ=environ)
        color = is_terminal and settings.get(COLOR_PREFIX) and not environ.get("NO_COLOR")
        return cls(color=color, enabled=not settings.get(DISABLE_WORKER_LOG_PREFIX))

    def __call__(self, line: str, name: str, pid: int, ip: str | None = None) -> str:
        """Return the line with its prefix.

        Args:
            line: the text, without newline.
            name: the running task's or the actor's name; may be empty.
            pid: the worker's process id.
            ip: the worker's machine, when it is not the driver's.
        """
        if not self._enabled:
            return line
        where = f"pid={pid}" if ip is None else f"pid={pid}, ip={ip}"
        prefix = f"({name} {where})" if name else f"({where})"
        if self._color:
            prefix = f"{_COLORS[pid % len(_COLORS)]}{prefix}{_RESET}"
        return f"{prefix} {line}"
