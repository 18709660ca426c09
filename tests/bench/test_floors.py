"""The compiled floors do the work that they claim to time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.floors import build
from bench.floors.echo import echo_round_trips


def reverse(text: str, times: int = 1) -> str:
    return text[::-1] * times


@pytest.fixture
def queue() -> Iterator[Any]:
    found = build.bare_queue()(reverse)
    yield found
    found.close()


def test_a_call_brings_the_result_back(queue: Any) -> None:
    assert queue.call("abc", 2) == "cbacba"


def test_results_come_in_order_and_the_ring_wraps(queue: Any) -> None:
    texts = [f"{index:0{index % 300}d}" for index in range(1000)]
    for _ in range(10):
        assert queue.call_each([(text,) for text in texts]) == [text[::-1] for text in texts]


def test_a_message_larger_than_the_ring_is_refused(queue: Any) -> None:
    with pytest.raises(BufferError, match="no room"):
        queue.call("x" * (2 << 20))
    assert queue.call("ab") == "ba"


def test_closing_twice_is_fine(queue: Any) -> None:
    queue.close()
    queue.close()


@pytest.mark.parametrize("name", ["socketpair_round_trips", "futex_round_trips"])
def test_round_trips_in_c_take_time_and_do_not_fail(name: str) -> None:
    assert getattr(build.native(), name)(50) > 0


@pytest.mark.parametrize("fresh", [0, 1])
def test_copies_take_time_and_do_not_fail(fresh: int) -> None:
    assert build.native().copy_into_shared(1 << 20, fresh, 1) > 0


def test_an_echo_between_loops() -> None:
    pytest.importorskip("uvloop")
    assert echo_round_trips(20) > 0


def test_a_compiler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for source in build.SOURCES.iterdir():
        if source.suffix in (".c", ".h", ".pyx"):
            (tmp_path / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(build.BuildError, match="no-such-compiler was not found"):
        build.native()
    assert [path.name for path in (tmp_path / ".build").iterdir()] == [".gitignore"]
