"""Pickling of types of the core's own, and the errors of values that cannot be pickled.

The core encodes small builtin values itself. For everything else it asks `make_pickler` for a pickler, once per
process: cloudpickle's, protocol 5, with buffers out of band, so that arrays and tensors are copied straight into
shared memory and come back as views of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pickle import PickleBuffer, PicklingError
from types import CodeType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Protocol

from ray_async._core.codec import ArgRef, Encoder
from ray_async._core.object_ref import ObjectRef
from ray_async._core.submission import ActorCore, load_actor
from ray_async.exceptions.pickler import dump, forgiving
from ray_async.exceptions.rebuild import reduce_error
from ray_async.serialization.reducers import reduce_value
from ray_async.serialization.reducers.class_pickler import class_pickler
from ray_async.serialization.registry import reduce_registered

__all__ = ("dumps", "dumps_forgiving", "explain", "make_pickler")

_MAX_DEPTH = 8
_NO_FILE = "<dynamic-code>"


class Pickler(Protocol):
    """What the core asks of a pickler."""

    def dump(self, obj: Any, /) -> None:
        """Write one value to the sink."""

    def clear_memo(self) -> None:
        """Forget the objects of the last value."""

    def forget(self) -> None:
        """Forget everything else that the last value left behind."""


def make_pickler(encoder: Encoder, sink: Any, buffers: Callable[[PickleBuffer], Any]) -> Pickler:
    """Return a pickler for the core.

    Args:
        encoder: takes the references that are met inside a value.
        sink: gets the pickle, through `write`.
        buffers: called with each buffer that is kept out of the pickle.
    """

    class ObjectPickler(class_pickler()):  # type: ignore[misc]  # made at run time
        """Made here, since cloudpickle is not loaded before the first value that needs it."""

        def reducer_override(self, obj: Any) -> Any:
            kind = type(obj)
            if kind is ObjectRef:
                return encoder.note_ref(obj)
            if kind is ArgRef:
                return encoder.note_argument(obj)
            if kind is ActorCore:
                return load_actor, encoder.note_ref(obj.ref)[1]
            if kind is CodeType:
                return _reduce_code(obj)
            reduced = reduce_registered(obj)
            if reduced is NotImplemented:
                reduced = reduce_value(obj, kind)
            if reduced is NotImplemented:
                reduced = _reduce_state(obj, kind)
            if reduced is NotImplemented and isinstance(obj, BaseException):
                reduced = reduce_error(obj)
            if reduced is NotImplemented:
                reduced = super().reducer_override(obj)
            return reduced

        def forget(self) -> None:
            # cloudpickle shares the globals of functions that are pickled by one pickler.
            self.globals_ref.clear()

    pickler: Pickler = ObjectPickler(sink, protocol=5, buffer_callback=lambda buffer: _keep(buffers, buffer))
    return pickler


def dumps(value: Any) -> bytes:
    """Pickle a value into bytes, with the registered serializers; what cannot be imported goes by value.

    References inside are pickled by themselves: what they refer to is kept to the end of the session.

    Raises:
        TypeError: some part cannot be pickled; the message names it.
    """
    target = BytesIO()
    try:
        _bytes_pickler()(target, protocol=5).dump(value)
    except Exception as error:
        raise explain(value, error) from error
    return target.getvalue()


def dumps_forgiving(error: object) -> bytes:
    """Pickle an error like `dumps`; parts that cannot be pickled are replaced by a `LostPart`.

    Raises:
        Exception: the error itself cannot be pickled.
    """
    return dump(_forgiving_pickler(), error)


@cache
def _forgiving_pickler() -> Any:
    return forgiving(_bytes_pickler())


@cache
def _bytes_pickler() -> Any:
    """The class, made once: cloudpickle is not loaded before the first value that needs it."""

    class BytesPickler(class_pickler()):  # type: ignore[misc]  # made at run time
        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is CodeType:
                return _reduce_code(obj)
            reduced = reduce_registered(obj)
            if reduced is NotImplemented:
                reduced = _reduce_state(obj, type(obj))
            if reduced is NotImplemented and isinstance(obj, BaseException):
                reduced = reduce_error(obj)
            return super().reducer_override(obj) if reduced is NotImplemented else reduced

    return BytesPickler


def _keep(buffers: Callable[[PickleBuffer], Any], buffer: PickleBuffer) -> bool:
    """Keep a buffer out of band; a true answer would put it into the pickle."""
    buffers(buffer)
    return False


# ---- code ----


def _reduce_code(code: CodeType) -> Any:
    """cloudpickle's form with the file's name, which it drops: tracebacks from workers show it, and the lines in it."""
    import cloudpickle

    make, args = cloudpickle.Pickler.dispatch_table[CodeType](code)
    args = tuple(code.co_filename if type(part) is str and part == _NO_FILE else part for part in args)
    lines = _lines_without_file(code.co_filename)
    return (make, args) if lines is None else (rebuild_code, (make, args, code.co_filename, lines))


def _lines_without_file(filename: str) -> list[str] | None:
    """The source of a notebook's cell, or of another text that `linecache` alone knows."""
    import linecache

    entry = linecache.cache.get(filename, ())
    if len(entry) < 4 or os.path.exists(filename):  # a shorter entry only says who could load it
        return None
    return entry[2]


def rebuild_code(make: Callable[..., CodeType], args: tuple[Any, ...], filename: str, lines: list[str]) -> CodeType:
    """Code of a text that is no file here; tracebacks find its lines."""
    import linecache

    if filename not in linecache.cache:
        # Without a time of change the entry is not compared with a file.
        linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
    return make(*args)


# ---- web applications ----


def _reduce_state(obj: Any, kind: type) -> Any:
    """Starlette's `State`, which each application has, looks up its own attributes before unpickling has set them."""
    starlette = sys.modules.get("starlette.datastructures")  # a state is only met where it is loaded
    if starlette is None or kind is not getattr(starlette, "State", None):
        return NotImplemented
    return kind, (obj._state,)


# ---- failures ----


class PicklingRefused(TypeError):
    """Raised by an object of this package that is not to be pickled, and says what to do instead."""


def explain(value: Any, error: Exception, call: bool = False) -> Exception:
    """The error for a value that cannot be pickled: it names the part that is to blame, where that can be found.

    Args:
        value: what was to be pickled.
        error: what went wrong.
        call: whether the value is a call's arguments: a tuple of the positional ones and a dict of the others.
    """
    explained = TypeError | PicklingError | AttributeError | RecursionError | NotImplementedError
    if isinstance(error, PicklingRefused) or not isinstance(error, explained):
        return error  # a __reduce__ or a serializer raised it for a reason of its own
    dumps = _dumps()
    name = ""
    if call:
        arguments = {f"argument {n}": part for n, part in enumerate(value[0], 1)}
        arguments.update((f"argument {name!r}", part) for name, part in value[1].items())
        name, value = next(((name, part) for name, part in arguments.items() if _fails(part, dumps)), ("", value))
    path, part = _culprit(value, dumps)
    root = f"class {value.__qualname__}" if isinstance(value, type) else type(value).__name__
    where = f"{name or root}{path}"
    what = "" if part is value else f", which is {_short(part)}"
    return TypeError(
        f"cannot serialize {_short(value)}: {error}\n"
        f"The part that cannot be pickled is {where}{what}.\n"
        "Leave it out (`__getstate__`), make it inside the task or actor, or register a serializer for its type with "
        "`ray_async.util.register_serializer`."
    )


def _dumps() -> Callable[[Any], Any]:
    class Probe(class_pickler()):  # type: ignore[misc]  # made at run time
        """Pickles for the failure alone: references and registered types are taken for granted."""

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, ObjectRef | ArgRef | ActorCore):
                return bytes, ()
            if type(obj) is CodeType:
                return _reduce_code(obj)
            reduced = reduce_registered(obj)
            if reduced is NotImplemented:
                reduced = _reduce_state(obj, type(obj))
            if reduced is NotImplemented and isinstance(obj, BaseException):
                reduced = reduce_error(obj)
            return super().reducer_override(obj) if reduced is NotImplemented else reduced

    def dumps(obj: Any) -> None:
        from io import BytesIO

        Probe(BytesIO(), protocol=5, buffer_callback=lambda buffer: False).dump(obj)

    return dumps


def _fails(value: Any, dumps: Callable[[Any], Any]) -> bool:
    try:
        dumps(value)
    except Exception:  # a user's __reduce__ may raise anything; that it does is the answer
        return True
    return False


def _culprit(value: Any, dumps: Callable[[Any], Any]) -> tuple[str, Any]:
    """The innermost part that cannot be pickled: the path to it, and the part itself."""
    path = ""
    for _ in range(_MAX_DEPTH):
        for step, part in _parts(value):
            if part is not value and _fails(part, dumps):
                path, value = path + step, part
                break
        else:
            return path, value
    return path, value


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{_short(key)}]", item) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [(f"{{{_short(item)}}}", item) for item in value]
    if isinstance(value, type):
        return _parts_of_class(value)
    found: list[tuple[str, Any]] = []
    code = getattr(value, "__code__", None)
    if code is not None:
        for name, cell in zip(code.co_freevars, getattr(value, "__closure__", None) or (), strict=False):
            try:
                found.append((f" (captured variable {name!r})", cell.cell_contents))
            except ValueError:
                continue  # a variable that is not bound yet holds nothing
        globals_ = getattr(value, "__globals__", {})
        found += [(f" (global {name!r})", globals_[name]) for name in code.co_names if name in globals_]
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        found += [(f".{name}", item) for name, item in attributes.items()]
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                found.append((f".{name}", getattr(value, name)))
    if isinstance(value, BaseException):
        found += [(f".args[{index}]", item) for index, item in enumerate(value.args)]
    return [*found, (f" (class {type(value).__qualname__})", type(value))]


def _parts_of_class(cls: type) -> list[tuple[str, Any]]:
    """What a class that travels by value takes with it: methods, other attributes, bases."""
    found: list[tuple[str, Any]] = []
    for name, member in vars(cls).items():
        if isinstance(member, GetSetDescriptorType | MemberDescriptorType):
            continue  # made anew with the class
        if isinstance(member, property):
            found += [(f".{name}", part) for part in (member.fget, member.fset, member.fdel) if part is not None]
        else:
            found.append((f".{name}", getattr(member, "__func__", member)))
    return found + [(f" (base {base.__qualname__})", base) for base in cls.__bases__]


def _short(value: Any, limit: int = 120) -> str:
    try:
        text = repr(value)
    except Exception as error:  # a user's __repr__ may raise anything
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"
