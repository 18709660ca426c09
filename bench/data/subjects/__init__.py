"""The subjects of Data: one file each, `SUBJECT` in it; `all_subjects` finds them by the order below."""

from __future__ import annotations

import importlib

from bench.subject import Subject

__all__ = ("LARGE", "NAMES", "all_subjects")

NAMES = ("pipeline", "relational", "small", "blocks", "functions", "tpch", "scaling", "large")
#: Subjects that are measured only when they are asked for.
LARGE = ("large",)


def all_subjects() -> list[Subject]:
    """All subjects, in the order of the table."""
    return [importlib.import_module(f"{__name__}.{name}").SUBJECT for name in NAMES]
