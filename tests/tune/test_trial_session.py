"""The session of a trial: at which reports its code waits for an answer."""

import pickle
import threading
from typing import Any

import pytest

from ray_async.tune.error import TrialStopped
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.mailbox import Mailbox
from ray_async.tune.execution.trial_session import TrialSession


class Reporting:
    """A trial that reports ten times, each report as one that has taken long, and notes those that it went on after."""

    def __init__(self, **order: Any) -> None:
        fields = {"iteration": 0, "time_total": 0.0, "checkpoint": None, "checkpoint_index": 0, "lockstep": False}
        self.order = m.TrialOrder(
            **{"trial_id": "t", "attempt": 1, "config": {}, "path": "", "name": "", **fields, **order}
        )
        self.box = Mailbox()
        self.passed: list[int] = []
        self.stopped = False
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        session = TrialSession(self.box.next_order(), self.box)
        session.exact = True
        try:
            for step in range(1, 11):
                session.report({"step": step}, None)
                self.passed.append(step)
        except TrialStopped:
            self.stopped = True
        self.box.finish(("finished",))

    def until(self, step: int | None, judged: int, *answers: str) -> None:
        """Take messages until a report of it is there (None: until it has ended), and tell how many are judged."""
        last = None
        wanted = ("t", 1, judged) if judged else None
        orders = [] if self.thread.ident else [self.order]
        if not self.thread.ident:
            self.thread.start()
        while last != step or last is None:
            told = [("t", 1, answer) for answer in answers]
            for message in pickle.loads(self.box.exchange(orders, wanted, told)):
                if message[0] == "finished":
                    self.thread.join()
                    assert step is None
                    return
                last = message[4]["step"]
            orders, answers = [], ()


def test_a_trial_waits_where_it_can_be_stopped() -> None:
    trial = Reporting(judged=True, verdicts_at=(3, 9))
    trial.until(1, 0)
    assert trial.passed == []  # the first one may lack a metric
    trial.until(3, 1)
    assert trial.passed == [1, 2]
    trial.until(9, 3)
    assert trial.passed == list(range(1, 9))
    trial.until(None, 0, m.STOP)
    assert trial.passed == list(range(1, 9)) and trial.stopped


def test_a_trial_that_goes_on_from_a_checkpoint_counts_on() -> None:
    trial = Reporting(judged=True, verdicts_at=(3, 9), iteration=6)
    trial.until(1, 0)
    trial.until(3, 1)  # iteration 9
    assert trial.passed == [1, 2]
    trial.until(None, 3)
    assert trial.passed == list(range(1, 11))


@pytest.mark.parametrize(("judged", "waits"), [(True, True), (False, False)])
def test_without_such_iterations_it_waits_at_all_or_at_none(judged: bool, waits: bool) -> None:
    trial = Reporting(judged=judged)
    if waits:
        for step in range(1, 11):
            trial.until(step, step - 1)
            assert trial.passed == list(range(1, step))
        trial.until(None, 10)
    else:
        trial.until(None, 0)
    assert trial.passed == list(range(1, 11)) and not trial.stopped
