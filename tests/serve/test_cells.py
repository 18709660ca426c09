"""Cells, and what is left of those of ended processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ray_async.serve.telemetry.cells import Cells, read_cells
from ray_async.serve.telemetry.counts import Counts
from ray_async.serve.telemetry.existing import Existing
from ray_async.serve.telemetry.families import FAMILIES, LATENCIES
from ray_async.serve.telemetry.folding import Series, fold, gather

REQUESTS = "serve_num_http_requests"
RUNS = "serve_deployment_request_counter"
ONGOING = "serve_num_ongoing_http_requests"
LABELS = ("app", "/x", "GET", "200")
REPLICA = ("app", "D", "r1", "/x")


def series(family: str, labels: tuple[str, ...]) -> Series:
    return Series(FAMILIES[family], labels)


def everything(_: Series) -> bool:
    return True


def test_numbers_are_read_while_their_process_lives_and_after_it(tmp_path: Path) -> None:
    path = tmp_path / "one.cells"
    cells = Cells(path, 4096)
    first, second = cells.add("söme kéy"), cells.add("another", 3)
    assert first is not None and second is not None
    cells.numbers[first] += 2
    cells.numbers[second + 2] = 0.5
    expected = {"söme kéy": (2.0,), "another": (0.0, 0.0, 0.5)}
    assert read_cells(path) == (True, expected)
    cells.close()
    assert read_cells(path) == (False, expected)


def test_a_full_file_takes_no_more(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "one.cells", 256)
    found = [cells.add(f"key {number}", 4) for number in range(10)]
    assert found[0] is not None and found[-1] is None
    assert len(read_cells(cells.path)[1]) == sum(place is not None for place in found)
    cells.close()


@pytest.fixture
def counts(tmp_path: Path) -> Callable[[], Counts]:
    """Makes the counts of another process."""
    numbers = iter(range(100))
    return lambda: Counts(tmp_path / f"{next(numbers)}.cells")


def test_totals_outlive_their_processes(tmp_path: Path, counts: Callable[[], Counts]) -> None:
    one, other = counts(), counts()
    for process in (one, other):
        process.began_http()
        process.began_http()
        process.ended_http(*LABELS, failed=False, latency_ms=3)
        process.ran(REPLICA[:3], REPLICA[3], failed=True, latency_ms=7.5)

    def total(family: str, labels: tuple[str, ...]) -> float | None:
        found = gather(tmp_path).get(series(family, labels))
        return None if found is None else found[0]

    assert total(REQUESTS, LABELS) == total(RUNS, REPLICA) == total(ONGOING, ()) == 2
    other.close()
    for _ in range(3):  # before it is folded, after that, and when there is nothing more to fold
        assert total(REQUESTS, LABELS) == 2
        assert total(RUNS, REPLICA) == total(ONGOING, ()) == 1
        fold(tmp_path, everything)
    assert [path.name for path in tmp_path.glob("*.cells")] == ["0.cells"]
    one.close()
    fold(tmp_path, everything)
    assert total(REQUESTS, LABELS) == 2
    assert total(RUNS, REPLICA) is total(ONGOING, ()) is None


def test_a_file_that_is_among_the_remains_already_is_not_counted_twice(
    tmp_path: Path, counts: Callable[[], Counts]
) -> None:
    process = counts()
    process.began_http()
    process.ended_http(*LABELS, failed=False, latency_ms=3)
    process.close()
    data = process.path.read_bytes()
    fold(tmp_path, everything)
    process.path.write_bytes(data)  # as a reader sees it that looked before it was removed
    assert gather(tmp_path)[series(REQUESTS, LABELS)] == (1.0,)
    fold(tmp_path, everything)
    assert gather(tmp_path)[series(REQUESTS, LABELS)] == (1.0,)


def test_latencies_are_counted_in_their_buckets(tmp_path: Path, counts: Callable[[], Counts]) -> None:
    process = counts()
    for latency in (0.2, 1, 1.5, 10**7):
        process.began_http()
        process.ended_http(*LABELS, failed=False, latency_ms=latency)
    numbers = gather(tmp_path)[series("serve_http_request_latency_ms", LABELS)]
    assert numbers == (2.0, 1.0, *(0.0 for _ in LATENCIES[2:]), 1.0, 0.2 + 1 + 1.5 + 10**7)
    process.close()


def test_what_does_not_exist_any_more(tmp_path: Path, counts: Callable[[], Counts]) -> None:
    table = {"applications": {"app": {"prefix": "/x", "ingress": "D"}}, "deployments": {"app#D": {}}}
    exists = Existing(table).has
    for labels, expected in (
        (("app", "/x", "GET", "200"), True),
        (("app", "/x/{item}", "GET", "200"), True),
        (("app", "/xy", "GET", "200"), False),
        (("gone", "/x", "GET", "200"), False),
        (("", "unmatched", "GET", "404"), True),
    ):
        assert exists(series(REQUESTS, labels)) is expected, labels
    assert exists(series(RUNS, ("app", "D", "r", "")))
    assert not exists(series(RUNS, ("app", "E", "r", "")))
    process = counts()
    for app in ("app", "gone"):
        process.began_http()
        process.ended_http(app, "/x", "GET", "200", failed=False, latency_ms=1)
    process.close()
    fold(tmp_path, exists)
    assert {one.get("application") for one in gather(tmp_path)} == {"app"}


def test_routers_share_their_numbers(tmp_path: Path, counts: Callable[[], Counts]) -> None:
    process = counts()
    one, other = process.router("app", "D"), process.router("app", "D")
    for router, waiting in ((one, 3), (other, 2), (one, 1), (one, 1), (other, 0)):
        router.came(is_call=router is one, route="/x")
        router.waits(waiting)
    numbers = gather(tmp_path)
    assert numbers[series("serve_num_router_requests", ("app", "D"))] == (5.0,)
    assert numbers[series("serve_handle_request_counter", ("app", "D", "/x"))] == (3.0,)
    assert numbers[series("serve_deployment_queued_queries", ("app", "D"))] == (1.0, 0.0)
    process.close()
