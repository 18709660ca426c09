"""Worker: the actor in which one copy of a training function runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import ray_async as ray
from ray_async.air import session as air_session
from ray_async.train import messages as m
from ray_async.train.train_session import TrainSession

__all__ = ("TrainWorker",)


class TrainWorker:
    """Runs a training function in a thread of its own, so that calls reach the worker meanwhile."""

    def __init__(self) -> None:
        self._session: TrainSession | None = None

    def facts(self) -> m.WorkerFacts:
        """The process that this is."""
        from ray_async.util import get_node_ip_address

        node = ray.get_runtime_context().get_node_id()
        return m.WorkerFacts(node, str(get_node_ip_address()), os.getpid(), tuple(ray.get_gpu_ids()))

    def execute(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function here.

        Args:
            function: The function.
            args: Its arguments.
            kwargs: Its named arguments.
        """
        return function(*args, **kwargs)

    def begin(
        self,
        function: Callable[[], Any],
        place: m.WorldPlace,
        order: m.RunFacts,
        checkpoint: str | None,
        shards: Mapping[str, Any],
    ) -> None:
        """Start the training function.

        Args:
            function: The function.
            place: The worker's place among the others.
            order: The run that it belongs to.
            checkpoint: The directory to go on from.
            shards: Parts of the datasets.
        """
        self._session = TrainSession(place, order, checkpoint, shards)
        air_session.set_current(self._session)
        threading.Thread(target=self._session.run, args=(function,), name="training", daemon=True).start()

    def next(self, goes_on: bool, answer: Any) -> m.Message:
        """Let the training function go on, and wait for its next message.

        Args:
            goes_on: Whether it waits for an answer.
            answer: The answer.
        """
        assert self._session is not None
        if goes_on:
            self._session.answer(answer)
        return self._session.next_message()

    def store(self, folder: str) -> None:
        """Copy the files of the report that waits: see `TrainSession.store`."""
        assert self._session is not None
        self._session.store(folder)
