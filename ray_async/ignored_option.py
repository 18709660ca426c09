"""Options of Ray's that mean nothing here: each is noted by its name, once, so that nobody waits for its effect."""

from __future__ import annotations

__all__ = ("note_ignored",)

_noted: set[str] = set()


def note_ignored(option: str, reason: str) -> None:
    """Log, once in a process, that an option has no effect.

    Args:
        option: as the user wrote it, for instance ``"init(dashboard_port=...)"``.
        reason: completes "... has no effect: ".
    """
    if option in _noted:
        return
    _noted.add(option)
    import logging

    logging.getLogger("ray_async").warning("%s has no effect: %s", option, reason)
