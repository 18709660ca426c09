"""Verbosity: how much a search prints."""

from __future__ import annotations

from enum import IntEnum

__all__ = ("BLACKLISTED_KEYS", "AirVerbosity")

# Keys of a result that are not shown.
BLACKLISTED_KEYS = frozenset(
    (
        "config",
        "date",
        "done",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "node_ip",
        "pid",
        "should_checkpoint",
        "time_since_restore",
        "timestamp",
        "trial_id",
    )
)


class AirVerbosity(IntEnum):
    """Values of ``RunConfig(verbose=...)``."""

    SILENT = 0
    DEFAULT = 1
    VERBOSE = 2
