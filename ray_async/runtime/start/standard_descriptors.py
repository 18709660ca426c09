"""The descriptors 0, 1 and 2, which supervisors and daemons close: whatever is opened next would take their place."""

from __future__ import annotations

import os

__all__ = ("fill_standard_descriptors",)


def fill_standard_descriptors() -> None:
    """Open the null device in place of those of the descriptors 0, 1 and 2 that are closed.

    Else a socket or the session's memory would be taken for standard output by whatever prints, here and in children.
    """
    if all(_is_open(descriptor) for descriptor in range(3)):
        return
    # The lowest free number is taken; another thread may open something meanwhile.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
