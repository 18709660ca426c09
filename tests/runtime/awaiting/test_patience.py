"""Looks before sleeping: all of them while they succeed, ever fewer while they are in vain."""

from __future__ import annotations

from ray_async.runtime.awaiting.patience import Patience


def looks(patience: Patience, occasions: int) -> list[int]:
    """Numbers of the occasions that were looks, each in vain."""
    seen = []
    for occasion in range(occasions):
        if patience.allows():
            patience.note(in_vain=True)
            seen.append(occasion)
    return seen


def test_looks_in_vain_become_seldom() -> None:
    assert looks(Patience(), 66) == [0, 2, 6, 14, 30, 47, 64]


def test_a_look_that_succeeds_brings_all_of_them_back() -> None:
    patience = Patience()
    looks(patience, 64)
    assert patience.allows()
    patience.note(in_vain=False)
    for _ in range(5):
        assert patience.allows()
        patience.note(in_vain=False)
