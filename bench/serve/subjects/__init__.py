"""The subjects of Serve: one file each, `SUBJECT` in it; `all_subjects` finds them by the order below."""

from __future__ import annotations

import importlib

from bench.subject import Subject

__all__ = ("NAMES", "all_subjects")

NAMES = ("echo", "pipeline", "handles", "balance", "streaming", "batching", "start", "updates")


def all_subjects() -> list[Subject]:
    """All subjects, in the order of the table."""
    return [importlib.import_module(f"{__name__}.{name}").SUBJECT for name in NAMES]
