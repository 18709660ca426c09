"""Models: what one multiplexed function has loaded, the least recently used first to go."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from ray_async.serve.context import RequestContext, current_replica, current_request
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.telemetry.model_counts import count_model

__all__ = ("Models",)

logger = logging.getLogger("ray_async.serve")


class Models:
    """Loads models and keeps the most recently used ones; used on one loop alone.

    Models that are being loaded count. Where all places are taken by such, further loads wait.

    Args:
        load: Loads a model.
        limit: The most models; -1: any number.
    """

    def __init__(self, load: Callable[[str], Awaitable[Any]], limit: int) -> None:
        self._load = load
        self._limit = limit
        self._loaded: OrderedDict[str, Any] = OrderedDict()
        self._loading: dict[str, _Load] = {}
        self._reserved = 0  # places of loads that run
        self._change = asyncio.Event()
        if current_replica.holdings is not None:
            current_replica.holdings.add(self)

    @property
    def model_ids(self) -> list[str]:
        """The ids of the models that are loaded, or being loaded."""
        return [*self._loaded, *self._loading]

    async def get(self, model_id: str) -> Any:
        """Give a model; loaded once for all that ask meanwhile.

        Raises:
            Exception: The function's own; the next call tries again.
        """
        if model_id in self._loaded:
            self._loaded.move_to_end(model_id)
            return self._loaded[model_id]
        load = self._loading.get(model_id)
        if load is None:
            load = self._loading[model_id] = _Load()
            # A context of its own: a model that several requests wait for is loaded for none of them in particular.
            load.task = asyncio.get_running_loop().create_task(self._run(model_id, load), context=Context())
            self._changed()
        load.waiting += 1
        try:
            return await asyncio.shield(load.task)
        finally:
            load.waiting -= 1
            if not load.waiting and not load.task.done():
                load.task.cancel()
                self._forget(model_id, load)

    async def close(self) -> None:
        """Unload all models."""
        while self._loaded:
            await self._unload(*self._loaded.popitem(last=False))
        self._changed()

    async def _run(self, model_id: str, load: _Load) -> Any:
        request = RequestContext("", multiplexed_model_id=model_id, task=asyncio.current_task())
        current_request.set(request)
        try:
            await self._reserve()
            try:
                model = await self._load(model_id)
                self._loaded[model_id] = model
                count_model("serve_multiplexed_models_load_counter")
            finally:
                self._reserved -= 1
        except BaseException as error:
            request.cancel_calls()
            if load.waiting and isinstance(error, asyncio.CancelledError):  # it comes from the function itself
                raise RayServeException(f"Loading model {model_id!r} was cancelled.") from error
            raise
        finally:
            request.task = None
            self._forget(model_id, load)
        return model

    async def _reserve(self) -> None:
        """Take a place; the model that was used least recently makes room."""
        while 0 <= self._limit <= len(self._loaded) + self._reserved:
            if self._loaded:
                oldest = self._loaded.popitem(last=False)
                self._reserved += 1  # the place is taken while the old model is unloaded, too
                try:
                    await self._unload(*oldest)
                except BaseException:
                    self._reserved -= 1
                    raise
                return
            self._change.clear()
            await self._change.wait()
        self._reserved += 1

    async def _unload(self, model_id: str, model: Any) -> None:
        """Let a model go. A sync ``__del__`` runs when its last user has let go of it too."""
        count_model("serve_multiplexed_models_unload_counter")
        finalizer = getattr(type(model), "__del__", None)
        if finalizer is None or not inspect.iscoroutinefunction(finalizer):
            return
        try:
            await finalizer(model)
        except Exception:  # the user's code
            logger.exception("Unloading model %r failed.", model_id)
        # Python would call it once more when the object goes, and nobody would await it.
        model.__class__ = type(
            type(model).__name__, (type(model),), {"__del__": lambda _: None, "__slots__": (), "__doc__": None}
        )

    def _forget(self, model_id: str, load: _Load) -> None:
        if self._loading.get(model_id) is load:
            del self._loading[model_id]
        self._changed()

    def _changed(self) -> None:
        self._change.set()
        if current_replica.holdings is not None:
            current_replica.holdings.changed()


class _Load:
    """A load that runs, and how many wait for it."""

    task: asyncio.Task[Any]
    waiting = 0
