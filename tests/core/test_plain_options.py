"""Options of calls as the node reads them: plain values, out of bytes that it does not trust."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ray_async._core import store, submission
from ray_async._core.arena import Arena
from ray_async._core.record_view import PlainReader, RecordView
from tests.core.session import Bench

OPTIONS = {
    "name": "é" * 50,
    "enable_task_events": False,
    "labels": (("a", "b"), ("c", "")),
    "n": (0, -1, 127, -128, 128, -(1 << 62), 1.5, None, True, b"bytes"),
}


@pytest.fixture
def bench(arena: Arena) -> Bench:
    return Bench(arena)


def options_of(bench: Bench, ref: Any) -> dict[str, object]:
    return RecordView(bench.arena).plain_options(submission.record_of(ref))


def test_plain_values_come_back(arena: Arena, bench: Bench) -> None:
    call = bench.template(lambda: None, opts=store.put(arena, OPTIONS))
    assert options_of(bench, call((), None)) == OPTIONS
    assert bench.run_all() == 1


def test_a_reference_among_them_is_passed_over(arena: Arena, bench: Bench) -> None:
    more = store.put(arena, (LookupError,))
    call = bench.template(lambda: None, opts=store.put(arena, {"retry_exceptions": more, "name": "n"}))
    assert options_of(bench, call((), None)) == {"retry_exceptions": None, "name": "n"}
    assert bench.run_all() == 1


def test_what_is_pickled_is_not_read(arena: Arena, bench: Bench) -> None:
    call = bench.template(lambda: None, opts=store.put(arena, {"name": "n", "kind": LookupError}))
    plain = bench.template(lambda: None)
    assert options_of(bench, call((), None)) == options_of(bench, plain((), None)) == {}
    assert bench.run_all() == 2


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_give_a_value_or_an_error(seed: int) -> None:
    choice = random.Random(seed)
    errors = 0
    for _ in range(5000):
        tags = bytes(choice.randrange(14) for _ in range(choice.randrange(12)))
        sizes = b"".join(choice.randrange(4).to_bytes(4, "little") for _ in range(3))
        data = choice.choice([choice.randbytes(choice.randrange(40)), tags, tags[:1] + sizes + tags])
        try:
            PlainReader(data).read(0)
        except ValueError:
            errors += 1
    assert 0 < errors < 5000, f"seed {seed}"
