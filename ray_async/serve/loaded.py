"""Classes of libraries that may not be loaded: then nothing is of such a class, and nobody waits for their import."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ("loaded",)


def loaded(module: str, name: str) -> Any:
    """A class, to be asked for by `isinstance`; an empty tuple, which nothing is an instance of, before its import.

    Args:
        module: The module that defines it.
        name: Its name there.

    Example:
        >>> isinstance(1, loaded("starlette.responses", "Response"))
        False
    """
    found = sys.modules.get(module)
    # A module that is just being imported by another thread may not have it yet.
    return () if found is None else getattr(found, name, ())
