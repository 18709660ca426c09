"""Errors of values that cannot be loaded: what was to be loaded, of which classes, and why it failed."""

from __future__ import annotations

from typing import Any

from ray_async import exceptions as errors
from ray_async.exceptions.remote_traceback import format_remote
from ray_async.runtime.session.pickled_call import arguments_of, failing_step, names_of

__all__ = ("load_failed", "name_argument")

_MAX_NAMES = 3


def load_failed(error: Exception, pickled: bytes, buffers: list[bytes], ref: Any) -> errors.RayError:
    """The error for a pickled value that cannot be loaded; memory of a GPU that is gone has one of its own.

    Args:
        error: what was raised.
        pickled: the pickle.
        buffers: the memory that lies beside it.
        ref: the object's reference; None for the arguments of a call.
    """
    if isinstance(error, errors.DeviceMemoryLostError):
        return error if ref is None else errors.DeviceMemoryLostError(ref.hex(), error.reason)
    if ref is not None:
        return _failed(f"the value of {ref!r}", names_of(pickled), error, ref.hex())
    arguments = arguments_of(pickled)
    if len(arguments) > 1:
        # Which of them it is comes out where they are loaded once more, step by step.
        step = failing_step(pickled, buffers)
        arguments = [argument for argument in arguments if step is not None and argument.first <= step < argument.end]
    if not arguments:
        return _failed("an argument", names_of(pickled), error, None)
    return _failed(arguments[0].words, names_of(pickled, arguments[0]), error, None)


def _failed(what: str, names: list[str], error: Exception, object_hex: str | None) -> errors.RaySystemError:
    more = ", …" if len(names) > _MAX_NAMES else ""
    holds = f", which holds {', '.join(names[:_MAX_NAMES])}{more}," if names else ""
    text = f"{what}{holds} could not be loaded in this process: {type(error).__name__}: {error}"
    failure = errors.RaySystemError(text, format_remote(error))
    failure.__dict__["_object"] = object_hex
    return failure


def name_argument(error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> BaseException:
    """The error of a call whose argument is an object that could not be loaded; it says which argument that is.

    Args:
        error: what was raised while the references among the arguments were replaced by values.
        args: the positional arguments; references stand in `ArgRef`s.
        kwargs: the others.
    """
    object_hex = error.__dict__.get("_object") if isinstance(error, errors.RaySystemError) else None
    if object_hex is None:
        return error
    places = {f"argument {index}": value for index, value in enumerate(args, 1)}
    places.update((f"argument {key!r}", value) for key, value in (kwargs or {}).items())
    for words, value in places.items():
        ref = getattr(value, "ref", None)
        if ref is not None and ref.hex() == object_hex:
            named = errors.RaySystemError(f"{words}: {error.__dict__['client_exc']}", error.__dict__["traceback_str"])
            named.__cause__ = error.__cause__
            return named
    return error
