"""Modules that the workers of this process's jobs import before anything of the user's."""

from __future__ import annotations

__all__ = ("worker_imports",)

worker_imports: list[str] = []
"""Full names of modules, in the order in which workers import them; what `init` finds here holds for its job."""
