"""Errors that are a `RayTaskError` and an instance of the user's exception class at once."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .task import RayTaskError

__all__ = ("make_dual", "restore_dual")

_HEAP_TYPE_FLAG = 1 << 9


def make_dual(error: RayTaskError) -> RayTaskError:
    """An instance of both `RayTaskError` and the class of `error.cause`.

    Raises:
        TypeError: the class of the cause cannot be subclassed, or its groups hold what ours may not.
        Exception: whatever else the class of the cause raises when it is subclassed.
    """
    cause = error.cause
    kind: Any = type(cause)  # a class can be hashed, which its type does not tell
    cls: Any = _dual_class(kind)
    if isinstance(cause, BaseExceptionGroup):
        dual: Any = BaseExceptionGroup.__new__(cls, cause.message, cause.exceptions)
    else:
        # The user's own __new__ may want arguments that nobody has; the builtin underneath wants none.
        dual = _builtin_base(type(cause)).__new__(cls)
    # The user's own attributes win over ours of the same name. Notes are part of the text already.
    fields = {**error.__dict__, **cause.__dict__, "cause": cause, "_task_error": error}
    fields.pop("__notes__", None)
    dual.__dict__.update(fields)
    _copy_native_fields(cause, dual)
    return dual  # type: ignore[no-any-return]


def restore_dual(error: RayTaskError) -> RayTaskError:
    """The dual form of an error that came out of pickle (used by pickle)."""
    return error.as_instanceof_cause()


@lru_cache(maxsize=256)
def _dual_class(cause_cls: type[BaseException]) -> type[RayTaskError]:
    from .task import RayTaskError

    def get_args(self: Any) -> tuple[object, ...]:
        return self.__dict__.get("_dual_args") or (self.cause,)

    def set_args(self: Any, value: tuple[object, ...]) -> None:
        self.__dict__["_dual_args"] = tuple(value)

    def get_cause(self: Any) -> BaseException:
        return self.__dict__["cause"]  # type: ignore[no-any-return]

    def delegate(self: Any, attribute: str) -> object:
        # A dual that is still being built has no cause yet; notes of the cause stand in the text already.
        if "cause" not in self.__dict__ or attribute == "__notes__":
            raise AttributeError(attribute)
        return getattr(self.__dict__["cause"], attribute)

    name = f"RayTaskError({cause_cls.__name__})"
    namespace = {
        "__module__": RayTaskError.__module__,
        "__qualname__": name,
        "__doc__": f"A task failed with {cause_cls.__module__}.{cause_cls.__qualname__}.",
        "__init__": lambda self, *args: None,
        # Both, since the user's class may define either.
        "__reduce__": lambda self: (restore_dual, (self.__dict__["_task_error"],)),
        "__reduce_ex__": lambda self, protocol: (restore_dual, (self.__dict__["_task_error"],)),
        "__getattr__": delegate,
        "__str__": lambda self: str(self.__dict__["_task_error"]),
        "__repr__": lambda self: f"{name}({self.cause!r})",
        # Properties, so that the user's class may have its own `args` or `cause`, even read-only ones.
        "args": property(get_args, set_args),
        "cause": property(get_cause),
    }
    return type(name, (RayTaskError, cause_cls), namespace)


def _builtin_base(cls: type[BaseException]) -> type[BaseException]:
    """The most derived base that is not made by a class statement."""
    return next(base for base in cls.__mro__ if not base.__flags__ & _HEAP_TYPE_FLAG)


def _copy_native_fields(cause: BaseException, dual: BaseException) -> None:
    """Copy what lives in C structs and slots, such as `OSError.errno`, where attribute delegation never looks."""
    for base in type(cause).__mro__:
        for name, member in vars(base).items():
            if name.startswith("__") or name == "args":  # __class__, __dict__ and what every exception has
                continue
            if not isinstance(member, MemberDescriptorType | GetSetDescriptorType):
                continue
            # Unset slots have nothing to copy; read-only fields were set by __new__.
            with contextlib.suppress(AttributeError, TypeError):
                setattr(dual, name, getattr(cause, name))
