"""Exceptions into bytes, where no session with its own serializers is at hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any

from .lost_part import stand_in
from .rebuild import reduce_error

__all__ = ("dump", "dumps", "dumps_forgiving", "forgiving")


def dumps(value: Any) -> bytes:
    """Pickle a value; exceptions inside it keep type and state.

    Raises:
        Exception: some part cannot be pickled.
    """
    return dump(_picklers()[0], value)


def dump(pickler: Any, value: Any) -> bytes:
    """Pickle a value with a class of picklers."""
    target = BytesIO()
    pickler(target, protocol=5).dump(value)
    return target.getvalue()


def forgiving(pickler: Any) -> Any:
    """The class of picklers that replaces what `pickler` cannot pickle (see `stand_in`), but for the value itself."""

    class Forgiving(pickler):  # type: ignore[misc]  # made at run time
        def dump(self, value: Any) -> None:
            self._whole = value
            super().dump(value)

        def reducer_override(self, part: Any) -> Any:
            if part is self._whole:
                return super().reducer_override(part)
            if isinstance(part, BaseException):
                replaced = stand_in(part, self.dispatch_table)
                return super().reducer_override(part) if replaced is NotImplemented else replaced
            reduced = super().reducer_override(part)
            return stand_in(part, self.dispatch_table) if reduced is NotImplemented else reduced

    return Forgiving


def dumps_forgiving(value: Any) -> bytes:
    """Pickle a value whose parts cannot all be pickled.

    Raises:
        Exception: the value itself cannot be pickled.
    """
    return dump(_picklers()[1], value)


@cache
def _picklers() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two classes, made once: cloudpickle is not loaded before the first error that needs it."""
    import cloudpickle

    class ErrorPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        def reducer_override(self, part: Any) -> Any:
            if isinstance(part, BaseException):
                reduced = reduce_error(part)
                if reduced is not NotImplemented:
                    return reduced
            return super().reducer_override(part)

    return ErrorPickler, forgiving(ErrorPickler)
