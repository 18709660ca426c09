"""An arena, as the core's tests have it."""

from __future__ import annotations

from tests.core.conftest import arena, hooks

__all__ = ("arena", "hooks")
