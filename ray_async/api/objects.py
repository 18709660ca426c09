"""Objects: put, get and wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat, TypeVar, overload

from ray_async.api.object_ref import ObjectRef, ObjectRefGenerator
from ray_async.engine.current import get_session

__all__ = ("get", "put", "wait")

R = TypeVar("R")
Waitable = TypeVar("Waitable", bound=ObjectRef[Any] | ObjectRefGenerator[Any])


@overload
def get(object_refs: ObjectRef[Any] | Sequence[ObjectRef[Any]], *, timeout: float | None = None, like: str) -> Any: ...
@overload
def get(object_refs: Sequence[ObjectRef[R]], *, timeout: float | None = None) -> list[R]: ...
@overload
def get(object_refs: ObjectRef[R], *, timeout: float | None = None) -> R: ...
@overload
def get(object_refs: ObjectRefGenerator[R], *, timeout: float | None = None) -> ObjectRefGenerator[R]: ...
def get(
    object_refs: Any, *, timeout: float | None = None, like: str | None = None, _use_object_store: bool = False
) -> Any:
    """Wait for values.

    Args:
        object_refs: A reference, or a list of references. A generator of references is returned as it is.
        timeout: Seconds to wait; None waits for ever, 0 looks once.
        like: "numpy": arrays on a GPU, wherever they stand in the values, come as NumPy arrays, also where no GPU is
            seen; None: they come as they were sent. Other values are not affected.

    Returns:
        The value, or the list of values in the order of the references.

    Raises:
        GetTimeoutError: The time is up.
        RayTaskError: The task failed; also an instance of the exception that it raised.
        DeviceMemoryLostError: The value lies on a GPU, in memory of a process that has ended.
        ValueError: Neither a reference nor a list of references, a negative timeout, or an unknown ``like``.

    Example:
        >>> ray.get([ray.put(1), ray.put(2)])
        [1, 2]
    """
    _check_timeout(timeout)
    if like is not None:
        from ray_async.gpu.wanted import wanted  # which few programs have

        with wanted(like):
            return get(object_refs, timeout=timeout)
    if isinstance(object_refs, ObjectRef):
        try:
            return get_session().get([object_refs], timeout)[0]
        except Exception as error:
            _drop_own_frames(error)
            raise
    if isinstance(object_refs, ObjectRefGenerator):
        return object_refs
    if not isinstance(object_refs, list):
        if _is_graph_result(object_refs):
            return _get_graph_results(object_refs, timeout)
        raise ValueError(
            f"Invalid type of object refs, {type(object_refs)}: give an ObjectRef or a list of ObjectRefs."
        )
    for ref in object_refs:
        if not isinstance(ref, ObjectRef):
            if any(map(_is_graph_result, object_refs)):
                return _get_graph_results(object_refs, timeout)
            raise ValueError(f"Invalid type of object refs, a list with {type(ref)}: give a list of ObjectRefs only.")
    session = get_session()
    try:
        return session.get(object_refs, timeout) if object_refs else []
    except Exception as error:
        _drop_own_frames(error)
        raise


def _is_graph_result(ref: Any) -> bool:
    """Whether this is a reference to a result of a compiled graph."""
    return hasattr(ref, "_is_graph_result")


def _get_graph_results(refs: Any, timeout: float | None) -> Any:
    from ray_async.dag.compiled.ref import get_results

    try:
        return get_results(refs, timeout)
    except Exception as error:
        _drop_own_frames(error)
        raise


def put(value: R, *, _owner: Any = None, _tensor_transport: str | None = None) -> ObjectRef[R]:
    """Store a value.

    Args:
        value: The value; it is copied, so later changes to it are not seen.

    Returns:
        A reference to it.

    Raises:
        TypeError: The value is a reference: it can be passed on as it is.
        ValueError: An owner or another transport than "object_store" is given, which is not supported.
        ObjectStoreFullError: It does not fit, even after spilling.

    Example:
        >>> ray.get(ray.put("x"))
        'x'
    """
    if _tensor_transport not in (None, "object_store"):
        raise ValueError(
            f"put(_tensor_transport={_tensor_transport!r}) is not available: values lie in the object store."
        )
    if _owner is not None:
        raise ValueError("put(_owner=...) is not supported: the calling process owns the object.")
    if isinstance(value, (ObjectRef, ObjectRefGenerator)):
        raise TypeError("Calling put() on an ObjectRef is not allowed: pass the reference itself, or put it in a list.")
    ref: ObjectRef[R] = get_session().put(value)
    return ref


def wait(
    ray_waitables: Sequence[Waitable],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[Waitable], list[Waitable]]:
    """Wait until some references are ready; an error makes a reference ready too.

    Args:
        ray_waitables: References, or generators of references (ready when their next item is), each once.
        num_returns: How many to wait for.
        timeout: Seconds to wait; None waits for ever, 0 looks once.
        fetch_local: Whether a value must have come to this node to count.

    Returns:
        At most ``num_returns`` that are ready, and the others, each in the order given.

    Raises:
        TypeError: Not a list, or an element that cannot be waited for.
        ValueError: A duplicate, a negative timeout, or ``num_returns`` out of range.

    Example:
        >>> ready, rest = ray.wait([f.remote(), g.remote()])
    """
    if not isinstance(ray_waitables, list):
        raise TypeError(f"wait() expected a list of ObjectRef or ObjectRefGenerator, got {type(ray_waitables)}.")
    _check_timeout(timeout)
    for item in ray_waitables:
        if not isinstance(item, (ObjectRef, ObjectRefGenerator)):
            raise TypeError(f"wait() expected a list of ObjectRef or ObjectRefGenerator, got a list with {type(item)}.")
    session = get_session()
    if not ray_waitables:
        return [], []
    if len(set(ray_waitables)) != len(ray_waitables):
        raise ValueError("wait() requires each reference once, but some are there twice.")
    if num_returns <= 0:
        raise ValueError(f"Invalid number of objects to return {num_returns}: it must be positive.")
    if num_returns > len(ray_waitables):
        raise ValueError(
            f"num_returns cannot be greater than the number of references: {num_returns} > {len(ray_waitables)}."
        )
    return session.wait(ray_waitables, num_returns, timeout, fetch_local)


def _drop_own_frames(error: Exception) -> None:
    """Have the traceback of a failed task end with the caller; any other error keeps the frames that explain it.

    What is raised once more by a bare ``raise`` gets no entry for the frame that does so.
    """
    from ray_async.exceptions import RayError

    if isinstance(error, RayError):
        error.with_traceback(None)


def _check_timeout(timeout: Any) -> None:
    if timeout is None:
        return
    if not isinstance(timeout, SupportsFloat):
        raise TypeError(f"timeout must be None or a number of seconds, but is {timeout!r}.")
    if float(timeout) < 0:
        raise ValueError(f"timeout must be None, zero or positive, but is {timeout} seconds.")
