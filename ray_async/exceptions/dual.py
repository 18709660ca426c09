"""Errors that are a `RayTaskError` and an instance of the user's exception class at once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .state import fields_of, make_bare, set_attributes, set_fields

if TYPE_CHECKING:
    from .task import RayTaskError

__all__ = ("make_dual", "restore_dual")


def make_dual(error: RayTaskError) -> RayTaskError:
    """An instance of both `RayTaskError` and the class of `error.cause`.

    Raises:
        TypeError: the class of the cause cannot be subclassed.
        Exception: whatever else the class of the cause raises when it is subclassed.
    """
    cause = error.cause
    kind: Any = type(cause)  # a class can be hashed, which its type does not show
    cls: Any = _dual_class(kind)
    dual: RayTaskError = _instance(cls, error, cause)
    # The user's own attributes win over ours of the same name. Notes are part of the text already.
    attributes = {**error.__dict__, **cause.__dict__, "cause": cause, "_task_error": error}
    attributes.pop("__notes__", None)
    set_attributes(dual, attributes)
    set_fields(dual, fields_of(cause))
    return dual


def restore_dual(error: RayTaskError) -> RayTaskError:
    """The dual form of an error that came out of pickle (used by pickle)."""
    return error.as_instanceof_cause()


def _instance(cls: Any, error: RayTaskError, cause: BaseException) -> Any:
    if isinstance(cause, BaseExceptionGroup):
        return make_bare(cls, (cause.message, _members(error, cause)))
    try:
        return make_bare(cls)
    except TypeError:
        # Only the extension module of the class can fill it. Where it is made by a class method, that makes ours, too.
        reduced: Any = cause.__reduce__()
        function, arguments, *_ = reduced
        if getattr(function, "__self__", None) is not type(cause):
            raise
        dual = getattr(cls, function.__name__)(*arguments)
        if not isinstance(dual, cls):
            raise
        return dual


def _members(error: RayTaskError, group: BaseExceptionGroup[Any]) -> tuple[BaseException, ...]:
    """The exceptions of a group. The dual is an `Exception`, and may hold nothing that is none: so duals of those."""
    return tuple(
        member if isinstance(member, Exception) else error.with_cause(member).make_dual_exception_instance()
        for member in group.exceptions
    )


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

    def set_attribute(self: Any, attribute: str, value: object) -> None:
        # Context managers and test runners set __traceback__ and its kin, also where the user's class is frozen.
        setter = BaseException.__setattr__ if attribute.startswith("__") else cause_cls.__setattr__
        setter(self, attribute, value)

    def delete_attribute(self: Any, attribute: str) -> None:
        remover = BaseException.__delattr__ if attribute.startswith("__") else cause_cls.__delattr__
        remover(self, attribute)

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
        "__setattr__": set_attribute,
        "__delattr__": delete_attribute,
        "__str__": lambda self: str(self.__dict__["_task_error"]),
        "__repr__": lambda self: f"{name}({self.cause!r})",
        # Properties, so that the user's class may have its own `args` or `cause`, even read-only ones.
        "args": property(get_args, set_args),
        "cause": property(get_cause),
    }
    return type(name, (RayTaskError, cause_cls), namespace)
