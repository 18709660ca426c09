"""Submodules of a package, and names of theirs, as attributes of the package, imported at first use."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

__all__ = ("exported", "submodule")


def submodule(package: str, name: str) -> ModuleType:
    """Import a submodule for the package's `__getattr__`.

    Args:
        package: The package's full name.
        name: The attribute that was asked for.

    Raises:
        AttributeError: The package has no submodule of that name.
    """
    full_name = f"{package}.{name}"
    if not name.startswith("__"):
        try:
            return import_module(full_name)
        except ModuleNotFoundError as error:
            if error.name != full_name:  # the submodule is there, and something that it needs is not
                raise
    raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package])


def exported(package: str, homes: Mapping[str, str], name: str) -> object:
    """Import what a package exports for the package's `__getattr__`, and keep it there.

    Args:
        package: The package's full name.
        homes: The full name of the module of each exported name.
        name: The attribute that was asked for: an exported name or a submodule.

    Raises:
        AttributeError: It is neither.
    """
    module = homes.get(name)
    if module is None:
        return submodule(package, name)
    value = vars(sys.modules[package])[name] = getattr(import_module(module), name)
    return value
