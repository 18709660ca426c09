"""Instructions of the state machine, the calls they are about, and the physical plan it works on."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ray_async.data.block.bundle import RowBundle

__all__ = (
    "BarrierSpec",
    "BarrierStep",
    "BundlesSpec",
    "Instruction",
    "LimitSpec",
    "MapSpec",
    "PoolSpec",
    "RunPlan",
    "Spill",
    "SpillingStrategy",
    "StageCall",
    "StageResult",
    "StageSpec",
    "StartActor",
    "StartTask",
    "Steps",
    "StopActor",
    "StopTask",
    "Strategy",
    "UnionSpec",
)


@dataclass(frozen=True)
class StageCall:
    """One call of an operator: what to do, with which rows.

    Attributes:
        params: the operator's own; None for "map the inputs".
        inputs: bundles, each of which the operator sees as one sequence of tables.
        number: which of its stage's calls it is, in the order of the rows; the same when it is run again.
    """

    params: Any
    inputs: tuple[RowBundle, ...] = ()
    number: int = 0


@dataclass(frozen=True)
class StageResult:
    """What a call gave.

    Attributes:
        outputs: a bundle for each block, in order.
        value: a small value beside the blocks, for instance a sample.
        seconds: wall time in the operator.
        user_seconds: wall time of that in functions of the user's.
        began: when the operator began, in seconds since the epoch.
        process: id of the process in which it ran.
    """

    outputs: tuple[RowBundle, ...] = ()
    value: Any = None
    seconds: float = 0.0
    user_seconds: float = 0.0
    began: float = 0.0
    process: int = 0


@dataclass(frozen=True)
class PoolSpec:
    """Actors of a stage.

    Attributes:
        least: actors that are started at once.
        most: actors that there may be.
        ahead: calls that an actor is given at a time, of which it runs `at_once`.
        at_once: calls that an actor runs at a time.
        shares: whether it shares the CPUs with other such pools, which then have no more actors than CPUs together.
        cpus: CPUs that one of its calls keeps busy.
    """

    least: int = 1
    most: int = 1
    ahead: int = 2
    at_once: int = 1
    shares: bool = False
    cpus: float = 1.0


@dataclass(frozen=True)
class MapSpec:
    """A stage that maps each of its inputs by itself; a source when it has `reads` and no input.

    Attributes:
        name: for errors, statistics and progress.
        inputs: the stage that it reads from; none for a source.
        reads: parameters of the calls of a source, in order of their rows.
        least_rows: rows that a call gets at least while there are that many; small bundles are put together.
        pool: actors that run the calls; None for tasks.
        most_at_once: calls that may run at a time; None has no limit of its own.
        counts_rows: whether each call's parameter is the number of its first row.
        streams: whether calls give their outputs while they run, and pause while nobody takes them. Only actors' calls
            may: a paused task would keep a CPU from the stages behind it.
    """

    name: str
    inputs: tuple[int, ...] = ()
    reads: tuple[Any, ...] = ()
    least_rows: int | None = None
    pool: PoolSpec | None = None
    most_at_once: int | None = None
    counts_rows: bool = False
    streams: bool = False


@dataclass(frozen=True)
class BundlesSpec:
    """Bundles that exist already."""

    name: str
    inputs: tuple[int, ...]
    bundles: tuple[RowBundle, ...]


@dataclass(frozen=True)
class LimitSpec:
    """The first rows of a stage."""

    name: str
    inputs: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class UnionSpec:
    """All rows of the first stage, then those of the second, and so on."""

    name: str
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class BarrierStep:
    """Calls of a barrier that may run at the same time.

    Attributes:
        calls: the calls; each is asked for when it is about to begin.
        last: whether their outputs, in order of the calls, are the barrier's own.
    """

    calls: Iterable[StageCall]
    last: bool = False


#: Yields steps and is sent the results of each; what it returns is appended to the barrier's outputs.
Steps: TypeAlias = Generator[BarrierStep, Sequence[StageResult], Sequence[RowBundle]]


@dataclass(frozen=True)
class Spill:
    """Room outside of the store for what a barrier gathers.

    Attributes:
        folder: of its files.
        limit: bytes that it gathers in the store; with more, all go into files while the others come.
        run_bytes: what a call takes that writes one file, about.
        row_bytes: what it takes for a row beside the row's own bytes.
    """

    folder: str
    limit: int
    run_bytes: int
    row_bytes: int = 0

    def cost(self, bundle: RowBundle) -> int:
        """What a call takes for the rows of a bundle."""
        return bundle.bytes + self.row_bytes * bundle.rows


class RunPlan(Protocol):
    """How a barrier works through what does not fit: each part by itself as it comes, then the results."""

    def split(self, side: int, first_row: int, folder: str | None) -> Any:
        """The parameters of a call for rows of an input; ``first_row`` is the number of the first of them."""
        ...

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        """Plan what remains to be done with the results of all these calls, by input, in the order of the rows.

        What that keeps in between goes into the folder, if there is one.
        """
        ...


class Strategy(Protocol):
    """How a barrier turns all of its inputs into its outputs: pure, by steps of calls."""

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        """Plan the calls. ``inputs`` has the bundles of each input stage."""
        ...


@runtime_checkable
class SpillingStrategy(Strategy, Protocol):
    """A strategy that can also do with inputs that do not fit into the store."""

    def runs(self, inputs: Sequence[Sequence[RowBundle]]) -> RunPlan:
        """Plan them for more than `Spill.limit`; ``inputs`` has what has come so far."""
        ...


@dataclass(frozen=True)
class BarrierSpec:
    """A stage that needs all rows of its inputs before it begins.

    Attributes:
        name: for errors, statistics and progress.
        inputs: the stages that it reads from.
        strategy: what it does with them.
        spill: where they go if they are many; None: the store holds all of them. Of a `SpillingStrategy` alone.
    """

    name: str
    inputs: tuple[int, ...]
    strategy: Strategy = field(compare=False)
    spill: Spill | None = None


StageSpec: TypeAlias = BundlesSpec | MapSpec | LimitSpec | UnionSpec | BarrierSpec


@dataclass(frozen=True)
class StartTask:
    """Run a call; on that actor, if there is one."""

    task: int
    stage: int
    call: StageCall
    actor: int | None = None


@dataclass(frozen=True)
class StopTask:
    """The call's result is not wanted any more."""

    task: int


@dataclass(frozen=True)
class StartActor:
    """Start an actor of a stage's pool, and say `actor_ready` or `actor_lost`."""

    actor: int
    stage: int


@dataclass(frozen=True)
class StopActor:
    """End an actor, which runs nothing."""

    actor: int


Instruction: TypeAlias = StartTask | StopTask | StartActor | StopActor
