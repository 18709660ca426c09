"""Client mode of Ray, as programs ask for it: there is none here, every driver is attached to its node directly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ("client_mode_should_convert", "enable_client_mode", "is_client_mode_enabled")

is_client_mode_enabled = False


def client_mode_should_convert() -> bool:
    """Say whether calls of the API go through a client: never."""
    return False


@contextlib.contextmanager
def enable_client_mode() -> Iterator[None]:
    """Run a block of a program that would go through a client; it is run directly."""
    yield
