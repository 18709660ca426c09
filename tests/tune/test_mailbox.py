"""The mailbox: what is handed back, what waits, and when messages are taken away."""

import pickle
import threading
from typing import Any

from ray_async.tune.execution import messages as m
from ray_async.tune.execution.mailbox import MAX_WAITING, Mailbox


def order(number: int, waits: bool = False) -> m.TrialOrder:
    return m.TrialOrder(f"t{number}", 1, {}, "", "", 0, 0.0, None, 0, False, False, waits=waits)


def exchanged(box: Mailbox, orders: list[m.TrialOrder] | None = None, answers: Any = ()) -> list[Any]:
    messages: list[Any] = pickle.loads(box.exchange(orders or [], None, answers))
    return messages


def test_orders_behind_a_long_trial_go_back_and_those_that_wait_stay() -> None:
    box = Mailbox()
    box._orders.extend([order(0), order(1), order(2, waits=True)])
    assert box.next_order().trial_id == "t0"
    assert exchanged(box) == [(m.RETURNED, ["t1"], False)]
    assert box.next_order().trial_id == "t2"


def test_an_order_that_waits_is_given_back_when_it_is_wanted_and_one_that_runs_is_not() -> None:
    box = Mailbox()
    box._orders.extend([order(0), order(1, waits=True)])
    box.next_order()
    box.post([("t0", 1, m.GIVE_BACK), ("t1", 1, m.GIVE_BACK)])
    assert exchanged(box) == [(m.RETURNED, ["t1"], True)]
    assert box.answer is None and not box.has_orders


def test_a_stopped_trial_that_has_not_begun_is_given_back() -> None:
    box = Mailbox()
    box._orders.extend([order(0), order(1, waits=True)])
    box.next_order()
    assert exchanged(box, answers=[("t1", 1, m.STOP)]) == [(m.RETURNED, ["t1"], True)]


def test_quick_reports_are_taken_away_before_the_trial_has_to_wait() -> None:
    box = Mailbox()
    box._orders.append(order(0))
    box.next_order()
    taken: list[Any] = []
    count = 3 * MAX_WAITING

    def read() -> None:
        while len(taken) < count:
            taken.extend(exchanged(box))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(count):
        box.send(("n", number), urgent=number == count - 1)
    reader.join(60)
    assert [number for _, number in taken] == list(range(count))
