"""Errors as bytes in the object store.

Layout: magic (4 bytes), length of the text (4 bytes, little endian), text (UTF-8), pickled error (may be empty). The
text stands apart so that logs can show it without unpickling, and so that it survives an error that cannot be rebuilt.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable

from .base import UnserializableException
from .remote_traceback import DEPENDENCY_LINE, MAX_BYTES, clip, format_remote
from .system import RaySystemError
from .task import RayTaskError

__all__ = ("dependency_payload", "from_payload", "payload_text", "restore_dependency", "to_payload")

_MAGIC = b"RAE1"
_HEAD = struct.Struct("<4sI")


def to_payload(err: BaseException, *, dumps: Callable[[object], bytes] | None = None) -> bytes:
    """Bytes that stand for `err` in the object store.

    A cause that cannot be pickled is replaced by a `RayError` which says so; any other error that cannot be pickled
    travels as its text. Never raises for what the error holds.

    Args:
        dumps: pickles an object; cloudpickle's by default.
    """
    if dumps is None:
        import cloudpickle

        dumps = cloudpickle.dumps
    text = _text_of(err)
    try:
        body = dumps(err)
    except Exception as reason:  # a user's __reduce__ may raise anything
        body = _without_cause(err, reason)
    data = text.encode("utf-8", "backslashreplace")
    return _HEAD.pack(_MAGIC, len(data)) + data + body


def from_payload(
    payload: bytes | bytearray | memoryview, *, loads: Callable[[bytes], object] | None = None
) -> BaseException:
    """The error that `to_payload` wrote; never raises for what the bytes hold.

    Returns an `UnserializableException` with the original text where the error cannot be rebuilt, and a
    `RaySystemError` for bytes that are no payload.
    """
    data = bytes(payload)
    parts = _split(data)
    if parts is None:
        return RaySystemError(f"an error record of {len(data)} bytes in the object store is damaged")
    text, body = parts
    if not body:
        return UnserializableException(text)
    try:
        error = (loads or pickle.loads)(body)
    except Exception as reason:  # a user's constructor may raise anything
        return UnserializableException(f"{text}\nIt could not be rebuilt: {type(reason).__name__}: {reason}")
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
    data = text.encode("utf-8", "backslashreplace")
    body = pickle.dumps(_Dependency(payload, function_name, pid, ip), protocol=5)
    return _HEAD.pack(_MAGIC, len(data)) + data + body


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


def _without_cause(err: BaseException, reason: BaseException) -> bytes:
    if not isinstance(err, RayTaskError):
        return b""
    plain: RayTaskError = err.__dict__.get("_task_error", err)
    return pickle.dumps(plain.with_serializable_cause(reason), protocol=5)
