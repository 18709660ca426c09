"""Trial session: what a trial's code reports to, in the process that runs it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
import time
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.plain_metrics import plain_metrics
from ray_async.tune.error import TrialStopped
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.mailbox import Mailbox
from ray_async.tune.storage.remote_storage import RemoteStorage

__all__ = ("TrialSession",)

_logger = logging.getLogger("ray_async.tune")
# Reports further apart than this are judged before the trial goes on; others in batches.
SLOW_SECONDS = 0.004


class TrialSession:
    """The session of a trial.

    Args:
        order: What is run.
        mailbox: Where messages go.
        storage: Where checkpoints are copied to; None: nowhere.
    """

    def __init__(self, order: m.TrialOrder, mailbox: Mailbox, storage: RemoteStorage | None = None) -> None:
        self._storage = storage
        if order.checkpoint and not os.path.isdir(order.checkpoint):
            # Somebody has removed it: the trial begins anew, instead of failing again and again.
            _logger.warning("trial %s begins anew: its checkpoint %s is gone", order.name, order.checkpoint)
            order = order._replace(checkpoint=None, iteration=0, time_total=0.0)
        self.order = order
        self.iteration = order.iteration
        # Whether each report is judged before the trial goes on, however quick it is.
        self.exact = False
        self._mailbox = mailbox
        self._lock = threading.Lock()
        self._sent = 0
        self._waits = False
        self._checkpoint = Checkpoint(order.checkpoint) if order.checkpoint else None
        self._checkpoint_index = order.checkpoint_index
        self._began = self._last = time.monotonic()

    @property
    def time_total(self) -> float:
        """Seconds that the trial has trained, earlier starts included."""
        return self.order.time_total + self._last - self._began

    @property
    def seconds(self) -> float:
        """Seconds since this start of the trial."""
        return time.monotonic() - self._began

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None, done: bool = False) -> None:
        """Send metrics, and wait for the answer if the reports come slowly or the scheduler asks for that.

        Args:
            metrics: Metrics by name.
            checkpoint: Files that are copied to the trial's directory.
            done: Whether this is the last report.

        Raises:
            TrialStopped: The trial is to end.
            TypeError: The metrics cannot be sent.
        """
        self._end_if_told()
        with self._lock:
            packed = dict(metrics) if m.is_plain(metrics) else m.pack(plain_metrics(metrics))
            self._send(packed, self.store(checkpoint) if checkpoint is not None else None, done)
        self._wait(done)

    def report_stored(self, metrics: dict[str, Any], name: str, folder: str, done: bool) -> None:
        """Send metrics with a checkpoint that lies in the trial's directory already.

        Args:
            metrics: Metrics by name.
            name: The checkpoint's name.
            folder: The directory that it was written to.
            done: Whether this is the last report.
        """
        with self._lock:
            packed = dict(metrics) if m.is_plain(metrics) else m.pack(plain_metrics(metrics))
            self.seal_checkpoint(name, folder)
            self._send(packed, name, done)
        self._wait(done)

    def _send(self, packed: dict[str, Any] | bytes, name: str | None, done: bool) -> None:
        order = self.order
        now = time.monotonic()
        spent, self._last = now - self._last, now
        self.iteration += 1
        self._sent += 1
        must = self.exact or order.lockstep or name is not None or spent > SLOW_SECONDS
        self._waits = must and not done and self._may_be_told()
        since = self._sent, now - self._began
        # The fields of `TrialReport`.
        message = (
            m.REPORT, order.trial_id, order.attempt, self.iteration, packed, self.time_total, spent, time.time(),
            since, name, done,
        )  # fmt: skip
        self._mailbox.send(message, self._waits or spent > SLOW_SECONDS)

    def _may_be_told(self) -> bool:
        """Whether the answer to the last report may be another than to go on; the first one may lack a metric."""
        order = self.order
        return order.judged and (order.verdicts_at is None or self._sent == 1 or self.iteration in order.verdicts_at)

    def _wait(self, done: bool) -> None:
        if self._waits and not _on_a_loop():
            self._mailbox.wait_judged(self._sent)
        if self._mailbox.answer == m.SAVE and not self.exact:
            self._mailbox.take_answer()  # a function saves itself
        if not done:
            self._end_if_told()

    async def judged(self) -> None:
        """Wait until all reports have been judged, if one may end the trial.

        Raises:
            TrialStopped: The trial is to end.
        """
        if self._may_be_told():
            await asyncio.to_thread(self._mailbox.wait_judged, self._sent)
        self._end_if_told()

    def _end_if_told(self) -> None:
        if self._mailbox.answer in m.ENDING:
            raise TrialStopped(self._mailbox.answer)

    def get_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from, or the last one that was reported since."""
        return self._checkpoint

    def store(self, checkpoint: Checkpoint) -> str:
        """Copy a checkpoint's files into the trial's directory.

        Args:
            checkpoint: The checkpoint.

        Returns:
            The name of the new directory.
        """
        name, folder = self.new_checkpoint()
        checkpoint.to_directory(folder)
        self.seal_checkpoint(name, folder)
        return name

    def new_checkpoint(self) -> tuple[str, str]:
        """Name of the next checkpoint, and the directory to write it to until it is complete."""
        name = f"checkpoint_{self._checkpoint_index:06d}"
        folder = os.path.join(self.order.path, f".{name}.part")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        return name, folder

    def seal_checkpoint(self, name: str, folder: str) -> None:
        """Give a complete checkpoint its name.

        Args:
            name: The name.
            folder: The directory that it was written to.
        """
        target = os.path.join(self.order.path, name)
        # There from an attempt that was cut off before it was reported.
        shutil.rmtree(target, ignore_errors=True)
        os.rename(folder, target)
        if self._storage is not None:
            self._storage.upload(target)
        self._checkpoint_index += 1
        self._checkpoint = Checkpoint(target)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
