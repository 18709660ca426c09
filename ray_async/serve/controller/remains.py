"""What Serve leaves in its folder when it ends, or was killed, and what removes it."""

from __future__ import annotations

from pathlib import Path

__all__ = ("clear",)

_FILES = (
    "board",
    "table.*",
    "journal*",
    "spec-*",
    "grpc-port",
    "models-*",
    "stack-*",
    "waiting-*",
    "*.sock",
    "telemetry.*",
    "metrics/*",
    "rest-token",
)


def clear(folder: Path) -> None:
    """Remove all that Serve has written; nobody must need it any more."""
    for pattern in _FILES:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
