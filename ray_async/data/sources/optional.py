"""Libraries that are installed apart: looked for when something is asked of them, and named where they are missing."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

__all__ = ("check_installed", "library")


def check_installed(module: str, package: str, user: str) -> None:
    """Refuse at once what needs a library that is not there; it is not imported yet.

    Args:
        module: the library's first module.
        package: what installs it.
        user: what needs it, for the text.

    Raises:
        ImportError: It is not installed.
    """
    if find_spec(module.partition(".")[0]) is None:
        raise ImportError(f"{user} needs {package}, which is not installed: pip install {package!r}")


def library(module: str, package: str, user: str) -> Any:
    """A module of a library.

    Args:
        module: its dotted name.
        package: what installs it.
        user: what needs it, for the text.

    Raises:
        ImportError: It is not installed, or cannot be imported.
    """
    check_installed(module, package, user)
    return importlib.import_module(module)
