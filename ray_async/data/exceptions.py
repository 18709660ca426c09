"""Errors of Data.

RayError
├── UserCodeException
│   └── RayDataUserCodeException       a function raised; also an instance of what it raised
└── SystemException                    Data itself failed

UnknownColumnError (KeyError, ValueError)   a name that no column has; raised at once where the columns are known
"""

from __future__ import annotations

from ray_async.exceptions import RayError, RayTaskError, UserCodeException

__all__ = ("RayDataUserCodeException", "SystemException", "UnknownColumnError")


class RayDataUserCodeException(UserCodeException):
    """A function given to a dataset raised; also an instance of the class of what it raised, which is the ``cause``.

    Example:
        >>> try:
        ...     ds.map(parse).take_all()
        ... except ValueError as error:
        ...     print(error)
    """


class SystemException(RayError):
    """Something failed that is no function's, file's or caller's fault."""


class UnknownColumnError(KeyError, ValueError):
    """A name that no column has; says which columns there are."""

    def __str__(self) -> str:
        return str(self.args[0])


_classes: dict[type[RayTaskError], type[RayTaskError]] = {}


def as_user_error(error: RayTaskError) -> RayTaskError:
    """The same error, as an instance of `RayDataUserCodeException` too."""
    kind = type(error)
    if isinstance(error, RayDataUserCodeException):
        return error
    if kind not in _classes:
        name = f"RayDataUserCodeException({type(error.cause).__name__})"
        body = {"__module__": __name__, "__qualname__": name, "__reduce__": _reduced, "__reduce_ex__": _reduced}
        _classes[kind] = type(name, (kind, RayDataUserCodeException), body)
    error.__class__ = _classes[kind]
    return error


def _reduced(error: RayTaskError, protocol: int = 4) -> tuple[object, ...]:
    plain = error.__dict__.get("_task_error", error)
    return (_restored, (plain,))


def _restored(plain: RayTaskError) -> RayTaskError:
    return as_user_error(plain.as_instanceof_cause())
