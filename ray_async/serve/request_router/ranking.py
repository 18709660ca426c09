"""Ranking: which replica gets a call, of the ranks that a router has given. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

__all__ = ("NotRanks", "first_with_room", "known_ranks")

R = TypeVar("R")


class NotRanks(TypeError):
    """An answer of a router that is no list of lists of replicas."""


def known_ranks(answer: Any, known: Collection[R]) -> tuple[list[list[R]], list[Any]]:
    """The replicas of an answer that are there, in its ranks, and what else was in it.

    Args:
        answer: What a router gave.
        known: The replicas that were to choose from.

    Raises:
        NotRanks: The answer has another form.
    """
    if not isinstance(answer, Sequence | set | frozenset) or isinstance(answer, str):
        raise NotRanks(f"choose_replicas must return a list of lists of replicas, but returned {answer!r:.200}")
    ranks: list[list[R]] = []
    strange: list[Any] = []
    for rank in answer:
        if not isinstance(rank, Iterable) or isinstance(rank, str):
            raise NotRanks(f"choose_replicas must return a list of lists of replicas, but one item is {rank!r:.200}")
        ranks.append([])
        for item in rank:
            match = next((one for one in known if one is item), None)
            if match is None:
                strange.append(item)
            else:
                ranks[-1].append(match)
    return ranks, strange


def first_with_room(ranks: Iterable[Iterable[R]], load: Callable[[R], int], limit: int) -> R | None:
    """The least loaded replica with room of the first rank that has one; None where there is none.

    Args:
        ranks: Ranks of replicas.
        load: Gives how many requests a replica has; `limit` or more where it takes none.
        limit: How many it takes.
    """
    for rank in ranks:
        best, least = None, limit
        for replica in rank:
            requests = load(replica)
            if requests < least:
                best, least = replica, requests
        if best is not None:
            return best
    return None
