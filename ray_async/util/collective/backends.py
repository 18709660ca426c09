"""Backends of collective groups, by their names."""

from __future__ import annotations

from ray_async.util.collective.group import CollectiveGroup

__all__ = ("backend_class", "backend_name", "is_backend_available", "register_collective_backend")

_OWN = {"GLOO": "GlooGroup", "NCCL": "NcclGroup"}
_ALIASES = {"TORCH_GLOO": "GLOO"}
_registered: dict[str, type[CollectiveGroup]] = {}


def register_collective_backend(name: str, group_cls: type[CollectiveGroup]) -> None:
    """Add a backend, in each process that has a group of it.

    Args:
        name: Its name; spellings that differ in case are the same.
        group_cls: A `CollectiveGroup`.

    Raises:
        TypeError: It is none.
        ValueError: The name is taken.
    """
    given: object = group_cls
    if not (isinstance(given, type) and issubclass(given, CollectiveGroup)):
        raise TypeError(f"A backend is a subclass of CollectiveGroup, and {group_cls!r} is none.")
    name = name.upper()
    if name in _OWN or name in _ALIASES or _registered.get(name, group_cls) is not group_cls:
        raise ValueError(f"There is a backend {name} already.")
    _registered[name] = group_cls


def backend_name(name: str) -> str:
    """The name of the backend that a spelling means.

    Raises:
        ValueError: There is none.
    """
    upper = _ALIASES.get(name.upper(), name.upper())
    if upper not in _OWN and upper not in _registered:
        raise ValueError(f"Unrecognized backend: {name!r}. There are {sorted([*_OWN, *_registered])}.")
    return upper


def backend_class(name: str) -> type[CollectiveGroup]:
    """The class of groups of a backend.

    Raises:
        ImportError: What it needs is not installed.
        ValueError: There is no such backend.
    """
    name = backend_name(name)
    if name in _registered:
        return _registered[name]
    from ray_async.util.collective import torch_group

    found: type[CollectiveGroup] = getattr(torch_group, _OWN[name])
    return found


def is_backend_available(backend: str) -> bool:
    """Whether groups of a backend can be made in this process.

    Args:
        backend: "GLOO", "NCCL", or a name that was registered.

    Raises:
        ValueError: There is no such backend.
    """
    try:
        return backend_class(backend).is_available()
    except ImportError:
        return False
