"""Errors as bytes in the object store.

Layout: magic (4 bytes), length of the text (4 bytes, little endian), text (UTF-8), pickled error (may be empty). The
text stands apart so that logs can show it without unpickling, and so that it survives an error that cannot be rebuilt.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from .base import UnserializableException
from .remote_traceback import DEPENDENCY_LINE, MAX_BYTES, clip, format_remote
from .system import RaySystemError
from .task import RayTaskError

__all__ = ("dependency_payload", "from_payload", "payload_text", "restore_dependency", "restore_failure", "to_payload")

_MAGIC = b"RAE1"
_HEAD = struct.Struct("<4sI")


def to_payload(
    err: BaseException,
    *,
    dumps: Callable[[object], bytes] | None = None,
    dumps_forgiving: Callable[[object], bytes] | None = None,
) -> bytes:
    """Bytes that stand for `err` in the object store.

    Parts of it that cannot be pickled are replaced (see `LostPart`). A cause that cannot be pickled itself is replaced
    by a `RayError` which says so; any other error that cannot be pickled travels as its text. Never raises for what the
    error holds.

    Args:
        dumps: pickles an error, or raises; None: as any exception.
        dumps_forgiving: pickles an error without those of its parts that cannot be pickled, or raises; None: likewise.
    """
    from . import pickler  # a node that starts has no error yet

    dumps, dumps_forgiving = dumps or pickler.dumps, dumps_forgiving or pickler.dumps_forgiving
    if not isinstance(err, RayTaskError):
        body, _ = _pickled(err, dumps, dumps_forgiving)
        return _packed(_text_of(err), body)
    plain: RayTaskError = err.__dict__.get("_task_error", err)
    cause, reason = _pickled(plain.cause, dumps, dumps_forgiving)
    if reason is not None:
        plain = plain.with_serializable_cause(reason)
        cause = pickle.dumps(plain.cause, protocol=5)
    return _packed(_text_of(err), pickle.dumps(_Failure(plain is not err, cause, *plain.call()), protocol=5))


def from_payload(payload: bytes | bytearray | memoryview) -> BaseException:
    """The error that `to_payload` wrote; never raises for what the bytes hold.

    A `RayTaskError` whose cause cannot be rebuilt here has an `UnserializableException` as its cause. Any other error
    that cannot be rebuilt is one, with the original text; bytes that are no payload give a `RaySystemError`.
    """
    data = bytes(payload)
    parts = _split(data)
    if parts is None:
        return RaySystemError(f"an error record of {len(data)} bytes in the object store is damaged")
    text, body = parts
    if not body:
        return UnserializableException(text)
    try:
        error = pickle.loads(body)
    except Exception as reason:  # a user's constructor may raise anything
        return UnserializableException(_not_rebuilt(text, reason))
    if isinstance(error, BaseException):
        return error
    return RaySystemError(f"an error record holds a {type(error).__name__}", text)


def dependency_payload(payload: bytes, function_name: str, pid: int, ip: str) -> bytes:
    """Bytes for the failure of a task that did not run, since one of its arguments is the error `payload`.

    Nothing is unpickled: the argument's error travels inside as it is.
    """
    parts = _split(payload)
    cause = parts[0] if parts is not None else "an error record is damaged"
    where = f"ray::{function_name}() (pid={pid}, ip={ip})"
    text = clip(
        f"{RayTaskError.__module__}.{RayTaskError.__qualname__}: {where}\n{DEPENDENCY_LINE}\n{cause}", MAX_BYTES
    )
    return _packed(text, pickle.dumps(_Dependency(payload, function_name, pid, ip), protocol=5))


class _Failure:
    """Pickles as what gives the error of a task. The cause stands apart: where it cannot be rebuilt, the rest can."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts

    def __reduce__(self) -> tuple[object, ...]:
        return restore_failure, self._parts


def restore_failure(dual: bool, body: bytes, *call: Any) -> RayTaskError:
    """The error of a task from its pickled cause and the parts of `RayTaskError.call` (used by pickle)."""
    function_name, traceback_str, *where = call
    try:
        cause = pickle.loads(body)
        if not isinstance(cause, BaseException):
            raise TypeError(f"the pickled exception became a {type(cause).__name__}")
    except Exception as reason:  # a user's constructor may raise anything
        cause = UnserializableException(_not_rebuilt(traceback_str, reason))
    error = RayTaskError(function_name, traceback_str, cause, *where)
    return error.as_instanceof_cause() if dual else error


class _Dependency:
    """Pickles as what gives the error of a task whose argument failed."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts

    def __reduce__(self) -> tuple[object, ...]:
        return restore_dependency, self._parts


def restore_dependency(payload: bytes, function_name: str, pid: int, ip: str) -> RayTaskError:
    """The error that `dependency_payload` stands for (used by pickle)."""
    error = from_payload(payload)
    return RayTaskError.from_dependency(
        error, function_name=function_name, proctitle=f"ray::{function_name}", pid=pid, ip=ip
    )


def payload_text(payload: bytes | bytearray | memoryview) -> str:
    """The error's text, without unpickling anything.

    Raises:
        ValueError: the bytes are no payload.
    """
    parts = _split(bytes(payload))
    if parts is None:
        raise ValueError("these bytes are no error payload")
    return parts[0]


def _split(data: bytes) -> tuple[str, bytes] | None:
    if len(data) < _HEAD.size:
        return None
    magic, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if magic != _MAGIC or end > len(data):
        return None
    return data[_HEAD.size : end].decode("utf-8", "replace"), data[end:]


def _text_of(err: BaseException) -> str:
    if isinstance(err, RayTaskError):
        return clip(f"{RayTaskError.__module__}.{type(err).__qualname__}: {err}", MAX_BYTES)
    return format_remote(err)


def _pickled(
    err: BaseException, dumps: Callable[[object], bytes], dumps_forgiving: Callable[[object], bytes]
) -> tuple[bytes, Exception | None]:
    """The pickled error, or nothing and the reason."""
    try:
        return dumps(err), None
    except Exception as error:  # a user's __reduce__ may raise anything
        reason = error
    try:
        return dumps_forgiving(err), None
    except Exception:  # the first reason is what the user sees from pickle, too
        return b"", reason


def _packed(text: str, body: bytes) -> bytes:
    data = text.encode("utf-8", "backslashreplace")
    return _HEAD.pack(_MAGIC, len(data)) + data + body


def _not_rebuilt(text: str, reason: BaseException) -> str:
    return f"{text}\nIt could not be rebuilt: {type(reason).__name__}: {reason}"
