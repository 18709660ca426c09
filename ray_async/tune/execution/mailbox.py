"""Mailbox of a runner: between the thread of the user's code and the calls that the search makes.

One call of the search waits here at a time. It takes away what is in the outbox at once when a trial waits for an
answer, or nothing is left to run. Else that takes a few milliseconds, so that quick reports and short trials travel in
batches.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from ray_async.tune.execution import messages as m

__all__ = ("Mailbox",)

# Seconds that a message may wait for others.
BATCH_SECONDS = 0.02
# Seconds that a trial runs before those behind it go back, for another runner to take them.
HOLD_SECONDS = 0.02
# Messages that may wait before a trial that reports has to.
MAX_WAITING = 2_000


class Mailbox:
    """Orders and answers in, messages out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: deque[m.TrialOrder] = deque()
        self._outbox: list[Any] = []
        self._outbox_since = 0.0
        self._urgent = False
        # The trial that runs: its key, since when, the answer that it has got, how many of its reports are judged.
        self._key: tuple[str, int] | None = None
        self._since = 0.0
        self._answer: str | None = None
        self._judged = 0

    # The search's side.

    def exchange(
        self,
        orders: Sequence[m.TrialOrder],
        judged: tuple[str, int, int] | None,
        answers: Sequence[tuple[str, int, str]],
    ) -> bytes:
        """Take orders and answers, and wait for messages.

        Args:
            orders: Trials that are to be run.
            judged: Trial, attempt, and how many of its reports have been judged.
            answers: Trial, attempt, and what it is to do.

        Returns:
            The messages, in order, pickled.
        """
        with self._changed:
            self._orders.extend(orders)
            self._take(judged, answers)
            self._changed.notify_all()
            while not self._urgent:
                wait = self._patience()
                if wait is not None and wait <= 0:
                    break
                self._changed.wait(wait)
            self._give_back()
            sent, self._outbox, self._urgent = self._outbox, [], False
            self._changed.notify_all()
        return pickle.dumps(sent, 5)

    def post(self, answers: Sequence[tuple[str, int, str]]) -> None:
        """Take answers while another call waits for messages.

        Args:
            answers: Trial, attempt, and what it is to do.
        """
        with self._changed:
            self._take(None, answers)
            self._changed.notify_all()

    def _take(self, judged: tuple[str, int, int] | None, answers: Sequence[tuple[str, int, str]]) -> None:
        if judged is not None and judged[:2] == self._key:
            self._judged = max(self._judged, judged[2])
        for trial_id, attempt, answer in answers:
            key = trial_id, attempt
            if key == self._key and answer == m.GIVE_BACK:
                continue
            if key == self._key:
                # An end is not taken back by a wish to save.
                if self._answer not in m.ENDING:
                    self._answer = answer
                continue
            for order in [order for order in self._orders if (order.trial_id, order.attempt) == key]:
                self._orders.remove(order)
                self._put((m.RETURNED, [trial_id], True), True)

    def _patience(self) -> float | None:
        """Seconds that the waiting call has to wait on; None: until something changes."""
        now = time.monotonic()
        limits = []
        if self._outbox:
            limits.append(self._outbox_since + BATCH_SECONDS - now)
        if self._key is not None and any(not order.waits for order in self._orders):
            limits.append(self._since + HOLD_SECONDS - now)
        return min(limits) if limits else None

    def _give_back(self) -> None:
        if self._key is None or time.monotonic() < self._since + HOLD_SECONDS:
            return
        returned = [order for order in self._orders if not order.waits]
        if returned:
            self._outbox.append((m.RETURNED, [order.trial_id for order in returned], False))
            self._orders = deque(order for order in self._orders if order.waits)

    # The trial's side.

    def next_order(self) -> m.TrialOrder:
        """Wait for a trial that is to be run, and note it as the one that runs."""
        with self._changed:
            while not self._orders:
                self._changed.wait()
            order = self._orders.popleft()
            self._key = order.trial_id, order.attempt
            self._since = time.monotonic()
            self._answer, self._judged = None, 0
            if self._orders:
                self._changed.notify_all()
            return order

    def send(self, message: Any, urgent: bool) -> None:
        """Send a message.

        Args:
            message: The message.
            urgent: Whether it must not wait for others.
        """
        with self._changed:
            while len(self._outbox) >= MAX_WAITING:
                self._changed.wait()
            self._put(message, urgent)

    def _put(self, message: Any, urgent: bool) -> None:
        first = not self._outbox
        if first:
            self._outbox_since = time.monotonic()
        self._outbox.append(message)
        # Half full, it is taken away before the trial would have to wait.
        urgent = urgent or len(self._outbox) == MAX_WAITING // 2
        if urgent or first:
            self._urgent = self._urgent or urgent
            self._changed.notify_all()

    def finish(self, message: Any) -> None:
        """Send the message that a trial has ended.

        Args:
            message: The message.
        """
        with self._changed:
            self._key = None
            self._put(message, urgent=not self._orders)

    def wait_judged(self, count: int) -> None:
        """Wait until so many reports of the running trial are judged, or it has an answer.

        Args:
            count: How many.
        """
        with self._changed:
            while self._judged < count and self._answer is None:
                self._changed.wait()

    @property
    def has_orders(self) -> bool:
        """Whether a trial waits to be run."""
        return bool(self._orders)

    @property
    def answer(self) -> str | None:
        """What the running trial is to do; None: go on."""
        return self._answer

    def take_answer(self) -> str | None:
        """The same, and forget it."""
        with self._changed:
            answer, self._answer = self._answer, None
            return answer
