"""Train session: what the training function in a worker reports to."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Mapping
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.plain_metrics import plain_metrics
from ray_async.air.session import Reported
from ray_async.train import messages as m

__all__ = ("TrainSession",)


class TrainSession:
    """The session of one worker: each report waits until all workers have made theirs and these were taken.

    Args:
        place: The worker's place among the others.
        order: The run that it belongs to.
        checkpoint: The directory to go on from; None at a first start.
        shards: Its parts of the datasets, by name.
    """

    def __init__(
        self, place: m.WorldPlace, order: m.RunFacts, checkpoint: str | None, shards: Mapping[str, Any]
    ) -> None:
        self.place = place
        self.order = order
        self.shards = dict(shards)
        self._checkpoint = Checkpoint(checkpoint) if checkpoint is not None else None
        self._files: Checkpoint | None = None
        self._sent: queue.SimpleQueue[m.Message | BaseException] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()

    # What the training function calls.

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Send metrics, and wait until all workers have.

        Args:
            metrics: Metrics by name; those of rank 0 count.
            checkpoint: Files; those of all workers make one checkpoint.
        """
        with self._lock:
            self._files = checkpoint
            stored = self._ask(m.Message(m.REPORTED, plain_metrics(metrics), checkpoint is not None))
            self._files = None
            if stored is not None:
                self._checkpoint = Checkpoint(stored)

    async def judged(self) -> None:
        """Nothing more: a report has been judged when it returns."""

    def get_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from, or the last one that was reported since."""
        return self._checkpoint

    def together(self, kind: str, value: Any = None) -> Any:
        """Wait until all workers have called the same, and return what rank 0 has given.

        Args:
            kind: ``BARRIER`` or ``BROADCAST``.
            value: What this worker gives.
        """
        with self._lock:
            return self._ask(m.Message(kind, value if self.place.world_rank == 0 else None))

    def _ask(self, message: m.Message) -> Any:
        self._sent.put(message)
        return self._answers.get()

    # What the worker calls.

    def run(self, function: Any) -> None:
        """Run the training function to its end, in the calling thread.

        Args:
            function: The function of nothing, or coroutine function.
        """
        try:
            value = function()
            if asyncio.iscoroutine(value):
                value = asyncio.run(value)
        except BaseException as error:  # of the user's code, whichever it is: it is the worker's outcome
            self._sent.put(error)
        else:
            # Nobody looks at what others return; the outcome of a report, which a lambda may end with, is nothing.
            counts = self.place.world_rank == 0 and not isinstance(value, Reported)
            self._sent.put(m.Message(m.ENDED, value if counts else None))

    def next_message(self) -> m.Message:
        """Wait for the next message.

        Raises:
            BaseException: Whatever the training function has raised.
        """
        message = self._sent.get()
        if isinstance(message, BaseException):
            raise message
        return message

    def answer(self, value: Any) -> None:
        """Let the training function go on.

        Args:
            value: What its call returns.
        """
        self._answers.put(value)

    def store(self, folder: str) -> None:
        """Copy the files of the report that waits.

        Args:
            folder: The directory, the same for all workers.
        """
        assert self._files is not None
        self._files.to_directory(folder)
