"""Refuses to measure a build that is not a release build."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ("DebugBuildError", "check_release_build")


class DebugBuildError(Exception):
    """The compiled core is a debug build, whose times mean nothing."""


def _build_info() -> Mapping[str, Any]:
    return dict(importlib.import_module("ray_async._core").build_info())


def check_release_build(build_info: Callable[[], Mapping[str, Any]] = _build_info) -> str | None:
    """Check that ray_async is there and built for release.

    Args:
        build_info: returns a mapping whose entry "debug" tells a debug build.

    Returns:
        None when it is; else why it cannot be imported, and its rows will say so too.

    Raises:
        DebugBuildError: it is a debug build.
    """
    try:
        info = build_info()
    except (ImportError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    if info.get("debug"):
        raise DebugBuildError("ray_async is a debug build; build it for release before measuring it")
    return None
