"""References to results of a compiled graph: fetched once each, with `get` or by ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import store
from ray_async.dag.context import DAGContext

if TYPE_CHECKING:
    from ray_async.dag.compiled.graph import CompiledDAG
    from ray_async.dag.compiled.life import GraphExecution

__all__ = ("CompiledDAGFuture", "CompiledDAGRef", "get_results")


class _Result:
    """One output of one execution.

    Args:
        dag: The graph.
        execution: The execution.
        place: Which of its promises.
        channel: Which output of the graph; None where it has one.
    """

    __slots__ = ("_channel", "_dag", "_execution", "_place", "_taken")

    def __init__(self, dag: CompiledDAG, execution: GraphExecution, place: int, channel: int | None) -> None:
        self._dag = dag
        self._execution = execution
        self._place = place
        self._channel = channel
        self._taken = False

    #: `ray.get` knows these references by it, without a look into this module.
    _is_graph_result = True

    def _take(self) -> None:
        if self._taken:
            raise ValueError(f"The result of {self} was fetched already: each result is given once.")

    def _release(self) -> None:
        if not self._taken:
            self._taken = True
            self._dag._release(self._execution)

    def __del__(self) -> None:
        self._release()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"{type(self).__name__} cannot be pickled: pass on its value, not the reference.")

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}({self._dag.get_id()}, execution_index={self._execution.index}, "
            f"channel_index={self._channel})"
        )

    __repr__ = __str__


class CompiledDAGRef(_Result):
    """A reference that `CompiledDAG.execute` gives.

    Example:
        >>> ref = compiled.execute(1)
        >>> ray.get(ref)
        2
    """

    __slots__ = ()

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the result, which is given once.

        Args:
            timeout: Seconds to wait; None is the context's ``get_timeout``, -1 waits for ever.

        Returns:
            The value.

        Raises:
            RayChannelTimeoutError: The time is up; it can be asked for again.
            RayTaskError: A method of this execution failed, be it for this output or for another one.
            RayActorError: An actor of the graph died.
            ValueError: It was fetched already.
        """
        self._take()
        limit_s = DAGContext.get_current().get_timeout if timeout is None else timeout
        promises = self._execution.promises
        own = promises[self._place]
        session = self._dag._life.session
        try:
            if len(promises) > 1:
                _wait_for_own_or_error(self._dag, own, list(promises), None if limit_s < 0 else limit_s)
            value = session.get([own], None if limit_s < 0 else limit_s)[0]
        except errors.GetTimeoutError:
            raise errors.RayChannelTimeoutError(
                f"{self} has no result after {limit_s} seconds: give get() a longer timeout, or raise "
                "RAY_CGRAPH_get_timeout."
            ) from None
        except BaseException as error:
            if isinstance(error, errors.RayError):
                self._release()
            raise
        self._release()
        return value


def _wait_for_own_or_error(dag: CompiledDAG, own: Any, promises: list[Any], limit_s: float | None) -> None:
    """Wait until the output is there, and raise the error of any other one that is there before it."""
    import time

    session, arena = dag._life.session, dag._life.arena
    end = None if limit_s is None else time.monotonic() + limit_s
    known: set[int] = set()
    while not store.is_ready(arena, own):
        left = None if end is None else max(0.0, end - time.monotonic())
        ready, _ = session.wait(promises, len(known) + 1, left, False)
        if len(ready) <= len(known):
            raise errors.GetTimeoutError("the time is up")
        for ref in ready:
            if id(ref) not in known and ref is not own:
                known.add(id(ref))
                _raise_if_failed(dag, ref)


def _raise_if_failed(dag: CompiledDAG, ref: Any) -> None:
    if store.describe(dag._life.arena, ref)["state"] == _ERROR:
        dag._life.session.get([ref], None)


_ERROR = 3


class CompiledDAGFuture(_Result):
    """What `CompiledDAG.execute_async` gives: awaited once.

    Example:
        >>> future = await compiled.execute_async(1)
        >>> await future
        2
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        self._take()
        return self._wait().__await__()

    async def _wait(self) -> Any:
        promises = self._execution.promises
        own = promises[self._place]
        try:
            if len(promises) == 1:
                return await own
            others = {ref.as_future(): ref for ref in promises}
            pending = set(others)
            while not own.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    if others[future] is not own:
                        future.result()
            return await own
        finally:
            self._release()


def get_results(refs: Any, timeout: float | None) -> Any:
    """What `ray.get` does with a reference to a result, or with a list of them.

    Raises:
        ValueError: A list with something else in it.
    """
    if isinstance(refs, CompiledDAGRef):
        return refs.get(timeout)
    if not all(isinstance(ref, CompiledDAGRef) for ref in refs):
        raise ValueError(
            "Invalid type of object refs. 'object_refs' must be a list of CompiledDAGRefs if there is any "
            "CompiledDAGRef within it."
        )
    return [ref.get(timeout) for ref in refs]
