import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_async.cluster.ledger import Ledger, LedgerNode, Want
from ray_async.runtime.scheduler.labels import LabelSelector

CPU = Want({"CPU": 1})


def member(node: str, cpus: float = 2, **labels: str) -> LedgerNode:
    return LedgerNode(node, f"{node}:1", {"CPU": cpus}, {"CPU": cpus}, labels)


def test_the_emptiest_node_comes_first() -> None:
    ledger = Ledger()
    ledger.join(member("a", 1))
    ledger.join(member("b", 3))
    assert [granted.node for _, granted in ledger.grant(CPU, 10)] == ["b", "b", "a", "b"]
    assert ledger.grant(CPU, 1) == []


def test_who_asks_gets_room_elsewhere() -> None:
    ledger = Ledger()
    ledger.join(member("a"))
    assert ledger.grant(CPU, 1, besides="a") == []
    assert [granted.node for _, granted in ledger.grant(CPU, 1, besides="b")] == ["a"]


def test_a_grant_counts_until_the_node_says_that_it_has_it_in_its_books() -> None:
    ledger = Ledger()
    ledger.join(member("a", 2))
    (number, _), _ = ledger.grant(CPU, 2)
    ledger.report("a", {"CPU": 2})
    assert ledger.grant(CPU, 1) == []  # the report was made before the tasks were there
    ledger.report("a", {"CPU": 1}, [number])
    assert ledger.grant(CPU, 1) == []  # one runs, one is still on its way
    ledger.report("a", {"CPU": 2})
    assert len(ledger.grant(CPU, 2)) == 1


def test_what_is_given_back_is_granted_again() -> None:
    ledger = Ledger()
    ledger.join(member("a", 1))
    ((number, _),) = ledger.grant(CPU, 5)
    ledger.give_back([number, number, 77])
    assert len(ledger.grant(CPU, 5)) == 1


def test_labels_and_affinity() -> None:
    ledger = Ledger()
    ledger.join(member("a", zone="x"))
    ledger.join(member("b", zone="y"))
    zone_y = Want({"CPU": 1}, LabelSelector.parse({"zone": "y"}))
    assert [granted.node for _, granted in ledger.grant(zone_y, 1)] == ["b"]
    assert [granted.node for _, granted in ledger.grant(Want({}, node="a"), 1)] == ["a"]
    assert ledger.grant(Want({}, node="c"), 1) == []


def test_a_want_without_resources_fits_anywhere() -> None:
    ledger = Ledger()
    ledger.join(member("a", 0))
    assert len(ledger.grant(Want({"CPU": 0}), 3)) == 3


def test_feasible_is_what_fits_an_empty_node() -> None:
    ledger = Ledger()
    ledger.join(member("a", 2))
    ledger.grant(CPU, 2)
    assert ledger.feasible(CPU)
    assert not ledger.feasible(Want({"CPU": 3}))
    assert not ledger.feasible(Want({"GPU": 1}))


def test_a_node_that_drains_takes_nothing() -> None:
    ledger = Ledger()
    ledger.join(member("a"))
    ((number, _),) = ledger.grant(CPU, 1)
    assert not ledger.drain("a")
    ledger.give_back([number])
    assert ledger.drain("a")
    assert ledger.grant(CPU, 1) == []
    assert not ledger.drain("unknown")


def test_a_node_that_is_gone_takes_its_grants_along() -> None:
    ledger = Ledger()
    ledger.join(member("a"))
    ledger.grant(CPU, 2)
    assert ledger.leave("a") is not None
    assert ledger.leave("a") is None
    ledger.join(member("b"))
    assert len(ledger.grant(CPU, 3)) == 2


@given(st.integers(0, 2**32))
def test_no_node_is_promised_more_than_it_has(seed: int) -> None:
    choose = random.Random(seed)
    ledger = Ledger()
    granted: list[int] = []
    running: dict[str, int] = {}
    for _ in range(60):
        nodes = sorted(ledger.members)
        action = choose.choice(["join", "leave", "grant", "back", "report"])
        if action == "join":
            name = f"n{choose.randrange(5)}"
            if name not in ledger.members:
                running[name] = 0
                ledger.join(member(name, choose.randrange(4)))
        elif action == "leave" and nodes:
            ledger.leave(choose.choice(nodes))
        elif action == "grant":
            granted += [number for number, _ in ledger.grant(CPU, choose.randrange(4))]
        elif action == "back" and granted:
            ledger.give_back([granted.pop(choose.randrange(len(granted)))])
        elif action == "report" and nodes:
            name = choose.choice(nodes)
            held = ledger.members[name]
            started = list(held.granted)[: choose.randrange(3)]
            running[name] = min(running[name] + len(started), int(held.total["CPU"])) if choose.random() < 0.7 else 0
            ledger.report(name, {"CPU": held.total["CPU"] - running[name]}, started)
        for held in ledger.members.values():
            assert sum(g.resources.get("CPU", 0) for g in held.granted.values()) <= held.total["CPU"], action
            assert sum(g.resources["CPU"] for g in held.granted.values()) == held.promised.get("CPU", 0)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_no_more_than_is_wanted(count: int) -> None:
    ledger = Ledger()
    ledger.join(member("a", 100))
    assert len(ledger.grant(CPU, count)) == count


def test_what_was_promised_to_a_lost_node_is_void() -> None:
    ledger = Ledger()
    ledger.join(member("a", 1))
    ledger.join(member("b", 2))
    assert len(ledger.grant(CPU, 5, besides="a")) == 2
    assert ledger.grant(CPU, 1, besides="a") == []
    ledger.leave("a")
    ledger.join(member("c", 1))
    assert len(ledger.grant(CPU, 5, besides="c")) == 2


def test_fractions_do_not_add_up() -> None:
    ledger = Ledger()
    ledger.join(member("a", 1))
    third, tenth = Want({"CPU": 1 / 3}), Want({"CPU": 0.1})
    for _ in range(1000):
        numbers = [number for number, _ in ledger.grant(third, 3)]
        ledger.give_back(numbers)
        assert len(numbers) == 3
        numbers = [number for number, _ in ledger.grant(tenth, 20)]
        ledger.give_back(numbers)
        assert len(numbers) == 10
