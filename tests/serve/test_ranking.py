"""Ranking: which replica gets a call, of what a router has answered."""

from typing import Any

import pytest

from ray_async.serve.request_router.ranking import NotRanks, first_with_room, known_ranks

KNOWN = ["a", "b", "c"]
A, B, C = KNOWN


@pytest.mark.parametrize(
    ("ranks", "loads", "chosen"),
    [
        ([[A, B, C]], {A: 2, B: 1, C: 1}, B),  # the less loaded one, and of two the first
        ([[A], [B, C]], {A: 1, B: 0, C: 0}, A),  # the rank goes before the load
        ([[A], [B, C]], {A: 3, B: 2, C: 1}, C),  # a full rank is passed over
        ([[A, B, C]], {A: 3, B: 3, C: 4}, None),
        ([[], [B]], {B: 0}, B),
        ([[]], {}, None),
        ([], {}, None),
    ],
)
def test_the_least_loaded_of_the_first_rank_with_room(
    ranks: list[list[str]], loads: dict[str, int], chosen: str | None
) -> None:
    assert first_with_room(ranks, loads.__getitem__, 3) == chosen


def test_what_is_not_there_is_set_aside() -> None:
    strange = object()
    assert known_ranks([[A, strange], (B,), {C}], KNOWN) == ([[A], [B], [C]], [strange])
    assert known_ranks([], KNOWN) == ([], [])


@pytest.mark.parametrize("answer", [None, "abc", 3, [A], [3], {A: B}, object()])
def test_other_answers_are_no_ranks(answer: Any) -> None:
    with pytest.raises(NotRanks, match="choose_replicas must return a list of lists of replicas"):
        known_ranks(answer, KNOWN)
