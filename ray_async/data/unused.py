"""Options of Ray's that change nothing here: each that is given is noted in the log, once."""

from __future__ import annotations

from typing import Any

from ray_async.ignored_option import note_ignored

__all__ = ("ONE_WRITER", "note_unused")

#: Why tables that are written in one transaction take no options for tasks.
ONE_WRITER = "one process writes, in one transaction"


def note_unused(call: str, reason: str, /, **given: Any) -> None:
    """Note the options that were given.

    Args:
        call: the method's name.
        reason: completes "... has no effect: ".
        given: the options by name; those that are None, False or empty were not given.
    """
    for option, value in given.items():
        if value is not None and value is not False and value != {}:
            note_ignored(f"{call}({option}=...)", reason)
