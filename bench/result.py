"""What a run found: each row's costs, ratios and verdict, and the JSON that they are kept in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.harness import Group, Recording, params_of, same_work
from bench.statistics import Summary, ratio_per_round, summarize
from bench.subject import FLOORS, OURS, Reference, Row, Subject, Unit

__all__ = ("Cost", "Report", "RowResult", "Verdict", "evaluate")


@dataclass(frozen=True)
class Cost:
    """What one contender needed: its cost, the ratio to the row's base, or the error that kept it from it."""

    cost: Summary | None
    ratio: Summary | None
    error: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The bar in words, the value that is held against its limit, and whether it is met (None: not measured)."""

    text: str
    limit: float
    value: float | None
    met: bool | None


@dataclass(frozen=True)
class RowResult:
    """One row as measured.

    `smaller` tells the sizes that peers were given, if other; `base` names what the ratios are multiples of, and
    `base_cost` is its median.
    """

    name: str
    subject: str
    unit: str
    size: int
    smaller: str
    base: str
    base_cost: float | None
    costs: dict[str, Cost]
    verdict: Verdict | None

    def show(self, contender: str) -> str:
        """A contender's median cost in the row's unit; "-" when there is none."""
        found = self.costs.get(contender)
        return Unit(self.unit).show(found.cost.median, self.size) if found and found.cost else "-"


@dataclass(frozen=True)
class Report:
    """A whole run."""

    machine: dict[str, str | int | float]
    created: str
    rounds: int
    quick: bool
    versions: dict[str, str]
    absent: dict[str, str]
    rows: list[RowResult] = field(default_factory=list)

    @property
    def rounds_in_words(self) -> str:
        """Of how many rounds the rows are medians."""
        counts = {cost.cost.rounds for row in self.rows for cost in row.costs.values() if cost.cost} or {self.rounds}
        low, high = min(counts), max(counts)
        if low == high:
            return "1 round" if low == 1 else f"{low} rounds"
        return f"{low} to {high} rounds"

    def to_json(self) -> str:
        """The run as JSON; `from_json` reads it back."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is not JSON.
            KeyError: it is not the JSON of a run.
        """
        data = json.loads(text)
        return cls(**{**data, "rows": [_row_from(row) for row in data["rows"]]})

    @classmethod
    def joined(cls, parts: Sequence[Report]) -> Report:
        """One run from several of the same machine, each with subjects of its own.

        Args:
            parts: the runs, in the order of the table.
        """
        first, *_ = sorted(parts, key=lambda part: len(part.versions), reverse=True)
        return replace(
            first,
            created=max(part.created for part in parts),
            rounds=min(part.rounds for part in parts),
            quick=any(part.quick for part in parts),
            rows=[row for part in parts for row in part.rows],
        )

    def failures(self) -> list[str]:
        """Rows in which ray_async could not be measured, with the first line of why."""
        found = []
        for row in self.rows:
            cost = row.costs.get(OURS)
            if cost is not None and cost.error is not None:
                found.append(f"{row.name}: {cost.error.splitlines()[0]}")
        return found


def _row_from(data: dict[str, Any]) -> RowResult:
    costs = {name: Cost(_summary(c["cost"]), _summary(c["ratio"]), c["error"]) for name, c in data["costs"].items()}
    verdict = Verdict(**data["verdict"]) if data["verdict"] else None
    return RowResult(**{**data, "costs": costs, "verdict": verdict})


def _summary(data: dict[str, Any] | None) -> Summary | None:
    return Summary(**data) if data else None


def evaluate(
    subject: Subject, plan: Sequence[Group], recording: Recording, contenders: Sequence[str], quick: bool = False
) -> list[RowResult]:
    """Turn what was recorded into rows with ratios and verdicts.

    Args:
        subject: whose rows.
        plan: the groups that `run_subject` returned.
        recording: what it recorded.
        contenders: names in the order of the table; the floors are not shown and may be left out.
        quick: whether the tiny sizes were used.
    """
    results = []
    for row in subject.rows:
        index = next(number for number, group in enumerate(plan) if same_work(row, group, quick))
        results.append(_evaluate_row(subject, row, index, recording, contenders, quick))
    return results


def _evaluate_row(
    subject: Subject, row: Row, index: int, recording: Recording, contenders: Sequence[str], quick: bool
) -> RowResult:
    ours = recording.costs(index, OURS, row.case, row.metric)
    base = recording.costs(index, FLOORS, row.floor, row.floor_metric) if row.floor else ours
    base_summary = summarize(list(base.values()))
    costs = {}
    for name in contenders:
        found = recording.costs(index, name, row.case, row.metric)
        error = recording.errors.get((index, name, row.case))
        if name != FLOORS and (found or error):
            ratios = ratio_per_round(found, base)
            costs[name] = Cost(summarize(list(found.values())), summarize(ratios), error)
    return RowResult(
        name=row.name,
        subject=subject.title,
        unit=row.unit.value,
        size=int(params_of(row, quick).get("bytes", 0)),
        smaller=_smaller(row, quick),
        base=row.floor_title if row.floor else OURS,
        base_cost=base_summary.median if base_summary else None,
        costs=costs,
        verdict=_judge(row, index, recording),
    )


def _smaller(row: Row, quick: bool) -> str:
    return "" if quick else ", ".join(f"{name} {value:,}" for name, value in row.for_peers.items())


def _judge(row: Row, index: int, recording: Recording) -> Verdict | None:
    """Hold ray_async's median (of costs, or of ratios to the bar's reference) against the limit."""
    if row.bar is None:
        return None
    values = recording.costs(index, OURS, row.case, row.metric)
    if row.bar.reference is None:
        summary = summarize(list(values.values()))
    else:
        summary = summarize(ratio_per_round(values, _reference_costs(row.bar.reference, index, recording)))
    value = summary.median if summary else None
    return Verdict(row.bar.text, row.bar.limit, value, None if value is None else value <= row.bar.limit)


def _reference_costs(reference: Reference, index: int, recording: Recording) -> dict[int, float]:
    return recording.costs(index, reference.contender or OURS, reference.case, reference.metric)
