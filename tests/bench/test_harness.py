"""Grouping, interleaving and recording, with fake contenders."""

from bench.harness import groups, run_subject, turns
from bench.subject import FLOORS, OURS, Row
from tests.bench.fakes import fake_contenders, fake_subject


def test_rows_of_one_case_are_measured_once() -> None:
    plan = groups(fake_subject().rows, quick=False)
    assert [group.case for group in plan] == ["call", "put"]


def test_a_group_has_the_floors_and_companions_of_all_its_rows() -> None:
    call, put = groups(fake_subject().rows, quick=False)
    assert (call.floors, call.companions) == (("trip",), ("base",))
    assert (put.floors, put.companions) == ((), ())


def test_same_case_with_other_parameters_is_another_group() -> None:
    rows = (Row("one", "actors", params={"count": 1}), Row("many", "actors", params={"count": 100}))
    assert [group.params for group in groups(rows, quick=False)] == [{"count": 1}, {"count": 100}]


def test_quick_sizes_replace_those_of_everyone() -> None:
    put = groups(fake_subject().rows, quick=True)[1]
    assert (put.params, put.peer_params) == ({"count": 3}, {"count": 3})


def test_every_round_asks_everyone_and_begins_with_another() -> None:
    log: list[tuple[str, str]] = []
    group = groups(fake_subject().rows, quick=False)[0]
    contenders = fake_contenders(log)
    rounds = [[(contender.name, case) for contender, case, _ in turns(group, contenders, turn)] for turn in range(4)]
    everything = {(FLOORS, "trip"), (OURS, "call"), (OURS, "base"), ("Peer", "call")}
    assert all(set(asked) == everything and len(asked) == 4 for asked in rounds)
    assert {asked[0] for asked in rounds} == everything


def test_rounds_are_interleaved() -> None:
    log: list[tuple[str, str]] = []
    run_subject(fake_subject(), fake_contenders(log), rounds=3)
    calls = [entry for entry in log if entry[1] != "put"]
    for start in range(0, len(calls), 4):
        assert len(set(calls[start : start + 4])) == 4


def test_only_peers_get_their_own_sizes_and_only_floors_are_never_fresh() -> None:
    contenders = fake_contenders([])
    run_subject(fake_subject(), contenders, rounds=1)
    _, ours, peer = contenders
    assert ("put", {"count": 100}, True) in ours.asked
    assert ("put", {"count": 10}, True) in peer.asked
    assert all(not fresh for case, _, fresh in peer.asked if case == "call")


def test_a_failure_is_recorded_once_and_others_go_on() -> None:
    log: list[tuple[str, str]] = []
    contenders = fake_contenders(log)
    contenders[1].costs["call"] = contenders[1].costs["call"][:1]
    lines: list[str] = []
    _, recording = run_subject(fake_subject(), contenders, rounds=3, progress=lines.append)
    assert recording.errors[0, OURS, "call"].startswith("ray_async has no more rounds of call")
    assert log.count((OURS, "call")) == 2
    assert log.count(("Peer", "call")) == 3
    assert recording.costs(0, OURS, "call", "wall") == {0: 15.0}
    assert sum("failed" in line for line in lines) == 1


def test_a_missing_metric_has_no_costs() -> None:
    _, recording = run_subject(fake_subject(), fake_contenders([]), rounds=1)
    assert recording.costs(0, "Peer", "call", "cpu") == {}
    assert recording.costs(0, "Nobody", "call", "wall") == {}
