"""Random bytes wherever the node reads the arena: it may misjudge what it finds there, and never crashes."""

from __future__ import annotations

import os
import random
import signal
import struct
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ray_async._core import cancellation, store, submission
from ray_async._core.arena import Arena, expect_damage
from ray_async._core.execution import Executor
from ray_async._core.loop_waiter import LoopWaiter
from ray_async._core.node_view import NodeView
from ray_async._core.object_view import ObjectView
from ray_async._core.record_view import RecordView
from ray_async._core.spill_view import SpillView
from tests.core.session import WORKER, Bench

PATIENCE_S = 5
SETTLED: Any = SimpleNamespace(done=lambda: True)  # a future that nothing waits for
TABLES = 1 << 20  # bytes at the arena's start that hold the process, waiter, class and event tables, and more


def cancelled(record: int) -> bytes:
    """What the references of a cancelled record hold."""
    return b"cancelled"


class Victim:
    """A session with one of everything that the node reads, and the node's view of it."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.waiter = LoopWaiter(arena)
        self.view = NodeView(arena, self.waiter.index)
        self.records_view = RecordView(arena)
        self.objects = ObjectView(arena)
        self.spill = SpillView(arena)
        self.executor = Executor(arena, None, None)
        self.bench = Bench(arena)
        self.worker = self.view.reserve()
        spec = store.put_raw(arena, b"{}")
        found = submission.get_class(arena, spec, b"{}")
        assert found is not None
        self.cls, self.queue, self.kept, _ = found
        self.actor = submission.new_actor(arena, spec)
        template = self.bench.template(str, n_returns=2)
        call = self.bench.template(repr, actor=self.actor, kind=2)
        self.refs = [r for i in range(5) for r in template((store.put(arena, i), [spec], np.ones(500)))]
        self.refs += [call((store.new_promise(arena),)), store.put(arena, np.ones(50_000))]
        self.records = sorted({submission.record_of(ref) for ref in self.refs} - {0})
        objects = [store.describe(arena, ref)["offset"] for ref in self.refs]
        self.places = [*self.records, *objects, self.queue, self.bench.queue, self.actor.entry]

    def damage(self, memory: Any, rng: random.Random) -> None:
        """Write random words, numbers that look like offsets, and small ones."""
        spots = [rng.choice(self.places) + 4 * rng.randrange(64) for _ in range(rng.randrange(1, 40))]
        if rng.random() < 0.5:
            spots += [4096 + 4 * rng.randrange((TABLES - 4096) // 4) for _ in range(rng.randrange(200))]
        for spot in spots:
            value = rng.choice(
                (
                    rng.getrandbits(32),
                    rng.randrange(8),
                    rng.choice(self.places),
                    0xFFFFFFFF,
                    rng.choice(self.places) + 64,
                )
            )
            memory[spot : spot + 4] = struct.pack("<I", value & 0xFFFFFFFF)

    def look(self, rng: random.Random) -> None:
        """Do what the node does, with offsets from the arena and others."""
        # Each reads what it is given and may return anything.
        view: Any = self.view
        records: Any = self.records_view
        objects: Any = self.objects
        spill: Any = self.spill
        executor: Any = self.executor
        handlers: list[Any] = [
            lambda at, n: view.events(),
            lambda at, n: view.class_spec(n),
            lambda at, n: [view.close_class(cls) and view.end_class(cls) for cls, _ in view.unused_classes()],
            lambda at, n: view.close_class(n) and view.reopen_class(n),
            lambda at, n: view.waiting_classes(),
            lambda at, n: records.queues(),
            lambda at, n: submission.get_class(self.arena, None, b"{}"),
            lambda at, n: view.refill(at),
            lambda at, n: objects.is_actor(at) and objects.actor(at),
            lambda at, n: objects.is_actor(at) and view.queue_length(objects.actor(at)[2]),
            lambda at, n: objects.is_actor(at) and view.claim_queued(objects.actor(at)[2]),
            lambda at, n: objects.is_actor(at) and view.wake_queue(objects.actor(at)[2]),
            lambda at, n: objects.is_actor(at) and records.finish_creation(objects.actor(at)[3], executor, b"dead"),
            lambda at, n: records.is_record(at) and records.release(at),
            lambda at, n: records.is_record(at) and records.first_error(at),
            lambda at, n: records.is_record(at) and records.outcome(at) and records.finish(at, n % 8),
            lambda at, n: records.is_record(at) and records.function_of(at),
            lambda at, n: records.is_record(at) and executor.facts(at),
            lambda at, n: records.is_record(at) and executor.direct_refs(at),
            lambda at, n: records.is_record(at) and cancellation.cancel(self.arena, at, False, cancelled, n % 2 == 0),
            lambda at, n: records.is_record(at) and records.claim(at) and executor.fail(at, b"failed"),
            lambda at, n: objects.checked_reference(at),
            lambda at, n: objects.copy_value(objects.checked_reference(at), store.new_promise(self.arena)),
            lambda at, n: spill.spilled(at),
            lambda at, n: [
                spill.spill_begin(e) is not None and spill.spill_done(e, 1) for e in spill.spill_candidates(1)
            ],
            lambda at, n: records.find_records(state=n % 8),
            lambda at, n: records.find_records(parent=at) if records.is_record(at) else None,
            lambda at, n: view.process(n),
            lambda at, n: view.flag(n, 1),
            lambda at, n: view.worker_id(n),
            lambda at, n: objects.raw(at),
            lambda at, n: objects.reference(at),
            lambda at, n: objects.unpin(at) if n % 2 else objects.pin(at),
            lambda at, n: objects.is_actor(at) and objects.free_actor(at),
            lambda at, n: records.is_record(at) and [self.waiter.watch(r, SETTLED) for r in executor.direct_refs(at)],
            lambda at, n: view.wake_all(),
            lambda at, n: view.statistics(),
            lambda at, n: view.reap(self.worker),
            lambda at, n: self.waiter.on_readable(),
        ]
        for _ in range(150):
            at = rng.choice((rng.choice(self.places), rng.getrandbits(40), rng.getrandbits(26) & ~63))
            with suppress(ValueError, MemoryError, RuntimeError):
                rng.choice(handlers)(at, rng.getrandbits(rng.randrange(1, 16)))


@pytest.mark.parametrize("seed", range(12))
def test_the_node_survives_random_bytes(arena: Arena, tmp_path: Path, seed: int) -> None:
    import mmap

    victim = Victim(arena)
    memory = mmap.mmap(arena.fd, arena.size)
    pid = os.fork()
    if pid == 0:
        signal.alarm(PATIENCE_S)  # a loop without end is a crash, too
        try:
            expect_damage(True)
            rng = random.Random(seed)
            for _ in range(20):
                victim.damage(memory, rng)
                victim.look(rng)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert not os.WIFSIGNALED(status), f"seed {seed}: killed by {signal.Signals(os.WTERMSIG(status)).name}"
    assert os.waitstatus_to_exitcode(status) == 0, f"seed {seed}"
    memory.close()
    arena.close()  # nothing in it may be followed any more
    victim.waiter.close()
    assert WORKER
