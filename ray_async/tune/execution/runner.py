"""Runner: the actor that runs trials, one after the other, on a warm worker.

The user's code runs in a thread of its own; calls of the search wait at the mailbox meanwhile.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any

from ray_async.air import session as air_session
from ray_async.exceptions import RayTaskError
from ray_async.tune.error import TrialStopped
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.mailbox import Mailbox
from ray_async.tune.execution.trial_children import children, end_children
from ray_async.tune.execution.trial_output import output_to_files
from ray_async.tune.execution.trial_session import TrialSession
from ray_async.tune.execution.working_directory import WorkingDirectory
from ray_async.tune.trainable.running import RunOptions, TrainableRun

__all__ = ("TrialRunner",)


class TrialRunner:
    """Runs trials of one trainable.

    Args:
        trainable: The function or class.
        options: How it is run.
        resources: What its trials take.
    """

    def __init__(self, trainable: Any, options: RunOptions, resources: Any = None) -> None:
        self._run = TrainableRun(trainable, options)
        self._options = options
        self._resources = resources
        self._mailbox = Mailbox()
        self._directory = WorkingDirectory(options.shared_directories)
        self._facts = m.RunnerFacts(os.getpid(), socket.gethostname(), _address())
        self._thread = threading.Thread(target=self._loop, name="trial", daemon=True)
        self._thread.start()

    def facts(self) -> m.RunnerFacts:
        """The process that this is."""
        return self._facts

    def exchange(
        self,
        orders: Sequence[m.TrialOrder],
        judged: tuple[str, int, int] | None,
        answers: Sequence[tuple[str, int, str]],
    ) -> bytes:
        """Take orders and answers, and wait for messages: see `Mailbox.exchange`."""
        return self._mailbox.exchange(orders, judged, answers)

    def post(self, answers: Sequence[tuple[str, int, str]]) -> None:
        """Take answers while `exchange` waits: see `Mailbox.post`."""
        self._mailbox.post(answers)

    def stack(self) -> str:
        """Where the running trial's code is: the stack of its thread."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    def _loop(self) -> None:
        while True:
            order = self._mailbox.next_order()
            self._mailbox.finish(self._outcome(order))

    def _outcome(self, order: m.TrialOrder) -> tuple[Any, ...]:
        """Run a trial, and tell how it ended."""
        order = order._replace(experiment_name=self._options.experiment_name, resources=self._resources)
        session = TrialSession(order, self._mailbox, self._options.storage)
        before = children()
        if self._options.change_directory:
            self._directory.enter(order.path)
        air_session.set_current(session)
        try:
            if self._options.log_files is None:
                self._run.run(session, self._mailbox)
            else:
                with output_to_files(self._options.log_files, order.path):
                    self._run.run(session, self._mailbox)
        except TrialStopped:
            return self._ended(session)
        except BaseException as error:  # of the user's code, whichever it is: it is the trial's outcome
            if self._mailbox.answer is not None:
                return self._ended(session)
            failure = self._described(error, order.name)
            return tuple(m.Ended(m.FAILED, order.trial_id, order.attempt, failure, session.seconds))
        finally:
            air_session.set_current(None)
            # An object that runs the next trial too keeps what it has started.
            if not self._run.keeps_object:
                end_children(before)
            # One that stays empty goes with the next trial, or now if there is none.
            self._directory.leave(
                last=not self._mailbox.has_orders, reported=session.iteration > session.order.iteration
            )
        if self._mailbox.answer in m.ENDING:
            return self._ended(session)
        return tuple(m.Done(m.DONE, order.trial_id, order.attempt, None, session.seconds))

    def _ended(self, session: TrialSession) -> tuple[Any, ...]:
        kind = m.PAUSED if self._mailbox.answer == m.PAUSE else m.STOPPED
        return tuple(m.Ended(kind, session.order.trial_id, session.order.attempt, None, session.seconds))

    def _described(self, error: BaseException, trial: str) -> bytes:
        failure = RayTaskError.from_exception(
            error,
            function_name=self._run.name,
            proctitle=f"ray::{trial}",
            pid=self._facts.pid,
            ip=self._facts.node_ip,
        )
        return failure.to_bytes()


def _address() -> str:
    from ray_async.util import get_node_ip_address

    return str(get_node_ip_address())
