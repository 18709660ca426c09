"""Room: how an execution's memory is divided among blocks, calls and barriers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("Room",)

LEAST_CALL_BYTES = 1 << 20
LEAST_BLOCK_BYTES = 1 << 16
#: Part of the store that all workers together may keep as free memory between calls.
KEPT_SHARE = 1 / 16


@dataclass(frozen=True)
class Room:
    """Sizes in bytes.

    While a barrier is at work, each CPU has a call that holds a run or a part, once in the store and about twice in
    its own memory, and a second one that waits with its rows in the store. So runs and parts are a quarter of the
    budget for all CPUs together.

    Attributes:
        budget: blocks between the stages, all together.
        block: a full block.
        call: up to which one call does what needs all rows at once.
        part: rows of a call of a barrier with more than that.
        gathered: what a barrier may gather in the store before its rows go into files.
        run: rows of one such file.
        kept: free memory that a worker may keep between calls.
    """

    budget: int
    block: int
    call: int
    part: int
    gathered: int
    run: int
    kept: int

    @classmethod
    def of(
        cls, store: int, budget: int, cpus: int, barriers: int, block: int | None, most_call: int, most_run: int
    ) -> Room:
        """Divide it.

        Args:
            store: size of the session's store.
            budget: part of it that the execution may use.
            cpus: calls at a time.
            barriers: barriers of the plan, which may all gather at the same time.
            block: size of a full block that is asked for.
            most_call: upper bound of `call`.
            most_run: upper bound of `run`.
        """
        each = budget // (4 * cpus)
        full = max(LEAST_BLOCK_BYTES, min(block or budget, each))
        gathered = budget // (max(1, barriers) + 1)
        call = min(most_call, max(LEAST_CALL_BYTES, gathered))
        run = max(1, min(most_run, max(each, call // 4)))
        return cls(budget, full, call, min(full, call), max(call, gathered), run, int(store * KEPT_SHARE / cpus))
