"""Runs a subject: every contender in turn, round after round, keeping what each round measured.

Nothing here knows what a contender is made of, so the order of the rounds is tested with fakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.subject import FLOORS, OURS, Params, Row, Subject

__all__ = (
    "Contender",
    "Group",
    "MeasurementError",
    "Recording",
    "groups",
    "params_of",
    "run_subject",
    "same_work",
    "turns",
)

Metrics = Mapping[str, float]


class MeasurementError(Exception):
    """A contender could not measure a case; the message says why."""


class Contender(Protocol):
    """Someone who measures cases: the floors, ray_async, or a peer."""

    name: str

    def supports(self, case: str) -> bool:
        """Whether the contender has such a case at all."""

    def measure(self, case: str, params: Params, fresh: bool) -> Metrics:
        """Do the case once and return its metrics.

        Raises:
            MeasurementError: it failed, or took too long.
        """


@dataclass(frozen=True)
class Group:
    """What is measured side by side: a case, the floors it is compared with, and cases of the contender's own."""

    case: str
    params: Params
    peer_params: Params
    fresh: bool
    floors: tuple[str, ...]
    companions: tuple[str, ...]


@dataclass
class Recording:
    """All that was measured: metrics and errors by group, contender and case, metrics also by round."""

    metrics: dict[tuple[int, str, str], dict[int, Metrics]] = field(default_factory=dict)
    errors: dict[tuple[int, str, str], str] = field(default_factory=dict)

    def costs(self, group: int, contender: str, case: str, metric: str) -> dict[int, float]:
        """One metric by round; rounds in which it is missing are left out."""
        rounds = self.metrics.get((group, contender, case), {})
        return {index: found[metric] for index, found in rounds.items() if metric in found}


def params_of(row: Row, quick: bool) -> Params:
    """The sizes of a row's work."""
    return {**row.params, **row.quick} if quick else row.params


def same_work(row: Row, group: Group, quick: bool) -> bool:
    """Whether the row's case is the one that the group measures."""
    return (row.case, params_of(row, quick), row.fresh) == (group.case, group.params, group.fresh)


def groups(rows: Sequence[Row], quick: bool) -> list[Group]:
    """Gather rows that show metrics of the same work, with all the floors and companions they need."""
    found: list[Group] = []
    for row in rows:
        if any(same_work(row, group, quick) for group in found):
            continue
        params = params_of(row, quick)
        peers = params if quick else {**params, **row.for_peers}
        new = Group(row.case, params, peers, row.fresh, (), ())
        alike = [other for other in rows if same_work(other, new, quick)]
        references = [other.bar.reference for other in alike if other.bar and other.bar.reference]
        floors = [other.floor for other in alike if other.floor]
        floors += [reference.case for reference in references if reference.contender == FLOORS]
        companions = [reference.case for reference in references if reference.contender is None]
        unique_floors, unique_companions = tuple(dict.fromkeys(floors)), tuple(dict.fromkeys(companions))
        found.append(Group(row.case, params, peers, row.fresh, unique_floors, unique_companions))
    return found


def turns(group: Group, contenders: Sequence[Contender], turn: int) -> Iterator[tuple[Contender, str, Params]]:
    """Who measures what in one round, in order; each round begins with another contender, so that none is always
    first after an idle moment or always last before the floor."""
    work: list[tuple[Contender, str, Params]] = []
    for contender in contenders:
        if contender.name == FLOORS:
            work += [(contender, floor, group.params) for floor in group.floors if contender.supports(floor)]
            continue
        params = group.params if contender.name == OURS else group.peer_params
        cases = (group.case, *group.companions) if contender.supports(group.case) else ()
        work += [(contender, case, params) for case in cases if contender.supports(case)]
    if work:
        start = turn % len(work)
        yield from work[start:]
        yield from work[:start]


def run_subject(
    subject: Subject,
    contenders: Sequence[Contender],
    rounds: int,
    quick: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> tuple[list[Group], Recording]:
    """Measure all rows of a subject.

    A contender that fails a case is not asked for it again in this subject; what it said is recorded.

    Args:
        subject: what to measure.
        contenders: who takes part, the floors among them.
        rounds: how often everything is measured.
        quick: use the tiny sizes of a smoke run.
        progress: told one line per measurement.

    Example: `groups, recording = run_subject(subject, contenders, rounds=5)`.
    """
    plan = groups(subject.rows, quick)
    recording = Recording()
    for index, group in enumerate(plan):
        for turn in range(rounds):
            for contender, case, params in turns(group, contenders, turn):
                key = (index, contender.name, case)
                if key in recording.errors:
                    continue
                try:
                    found = contender.measure(case, params, group.fresh and contender.name != FLOORS)
                except MeasurementError as error:
                    recording.errors[key] = str(error)
                    progress(f"{subject.name}: {contender.name} {case}: failed: {str(error).splitlines()[0]}")
                    continue
                recording.metrics.setdefault(key, {})[turn] = found
                progress(f"{subject.name}: {contender.name} {case}, round {turn + 1} of {rounds}")
    return plan, recording
