"""Stability labels of the API: `_annotated` and `_annotated_type`; the docstring of what is deprecated says so, too."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeVar, overload

__all__ = ("AnnotationType", "Deprecated", "DeveloperAPI", "PublicAPI", "RayDeprecationWarning")

T = TypeVar("T")


class RayDeprecationWarning(DeprecationWarning):
    """Something that the API still has, and will not have for ever."""


class AnnotationType(enum.Enum):
    """The kinds of label."""

    PUBLIC_API = "PublicAPI"
    DEVELOPER_API = "DeveloperAPI"
    DEPRECATED = "Deprecated"
    UNKNOWN = "Unknown"


@overload
def PublicAPI(obj: T, /) -> T: ...
@overload
def PublicAPI(*, stability: str = "stable", api_group: str = "Others") -> Callable[[T], T]: ...
def PublicAPI(obj: Any = None, /, *, stability: str = "stable", api_group: str = "Others") -> Any:
    """Mark a function or class as public.

    Args:
        obj: the function or class, when used without parentheses.
        stability: "stable", "beta" or "alpha".
        api_group: the heading in the reference.

    Raises:
        ValueError: the stability is none of the three.
    """
    if stability not in ("stable", "beta", "alpha"):
        raise ValueError(f'stability must be "stable", "beta" or "alpha", not {stability!r}')
    return _marker(AnnotationType.PUBLIC_API, obj)


@overload
def DeveloperAPI(obj: T, /) -> T: ...
@overload
def DeveloperAPI() -> Callable[[T], T]: ...
def DeveloperAPI(obj: Any = None, /) -> Any:
    """Mark a function or class as meant for those who build libraries; it may change between minor versions."""
    return _marker(AnnotationType.DEVELOPER_API, obj)


@overload
def Deprecated(obj: T, /) -> T: ...
@overload
def Deprecated(*, message: str = "", warning: bool = False) -> Callable[[T], T]: ...
def Deprecated(obj: Any = None, /, *, message: str = "", warning: bool = False) -> Any:
    """Mark a function or class as deprecated.

    Args:
        obj: the function or class, when used without parentheses.
        message: what to use instead.
        warning: whether a call warns with `RayDeprecationWarning`.
    """

    def deprecate(target: Any) -> Any:
        _marker(AnnotationType.DEPRECATED, target)
        target.__doc__ = f"{target.__doc__ or ''}\n\nDeprecated. {message}".strip()
        return _warning(target, message) if warning else target

    return deprecate if obj is None else deprecate(obj)


def _marker(kind: AnnotationType, obj: Any) -> Any:
    def mark(target: Any) -> Any:
        target._annotated = target.__name__
        target._annotated_type = kind
        return target

    return mark if obj is None else mark(obj)


def _warning(target: Any, message: str) -> Any:
    import functools
    import warnings

    text = f"{target.__name__} is deprecated. {message}".rstrip()
    owner: Any = target if isinstance(target, type) else None
    call = target if owner is None else owner.__init__

    @functools.wraps(call)
    def warn_and_call(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(text, RayDeprecationWarning, stacklevel=2)
        return call(*args, **kwargs)

    if owner is None:
        return warn_and_call
    owner.__init__ = warn_and_call
    return owner
