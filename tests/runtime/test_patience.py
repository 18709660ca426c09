"""Looks before sleeping: all of them while they succeed, ever fewer while they are in vain."""

from __future__ import annotations

from ray_async.runtime.patience import LONG_NS, SHORT_NS, Patience


def looks(patience: Patience, occasions: int) -> list[int]:
    """Numbers of the occasions that were looks, each in vain."""
    seen = []
    for occasion in range(occasions):
        if patience.allows():
            patience.note(in_vain=True)
            seen.append(occasion)
    return seen


def test_looks_in_vain_become_seldom() -> None:
    assert looks(Patience(), 68) == [0, 1, 3, 5, 9, 13, 21, 29, 45, 61]


def test_a_long_look_follows_a_short_one_in_vain() -> None:
    patience = Patience()
    assert patience.look_ns == SHORT_NS
    patience.note(in_vain=True)
    assert patience.look_ns == LONG_NS
    assert patience.allows()  # at once
    patience.note(in_vain=False)
    assert patience.look_ns == LONG_NS
    patience.note(in_vain=True)
    assert patience.look_ns == SHORT_NS
    assert not patience.allows()


def test_a_look_that_succeeds_brings_all_of_them_back() -> None:
    patience = Patience()
    looks(patience, 61)
    assert patience.allows()
    patience.note(in_vain=False)
    for _ in range(5):
        assert patience.allows()
        patience.note(in_vain=False)
