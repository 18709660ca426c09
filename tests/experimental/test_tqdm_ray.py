from collections.abc import Iterator
from typing import Any

import pytest

from ray_async.experimental import tqdm_ray
from ray_async.experimental.tqdm_ray import MAGIC, BarManager
from ray_async.runtime.logs import progress


class Screen:
    """Stands in for tqdm: notes what is drawn."""

    def __init__(self, **options: Any) -> None:
        self.desc, self.total, self.pos, self.n = options["desc"], options["total"], -options["position"], 0
        self.drawn: list[int] = []
        self.closed = False

    def refresh(self) -> None:
        self.drawn.append(self.n)

    def clear(self) -> None:
        self.drawn.append(-1)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> BarManager:
    manager = BarManager(make_bar=Screen)
    monkeypatch.setattr(progress, "_manager", manager)
    return manager


@pytest.fixture
def in_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_ASYNC_WORKER", "1")
    yield


def only_bar(manager: BarManager) -> Any:
    (group,) = manager.bar_groups.values()
    (bar,) = group.bars_by_uuid.values()
    return bar.bar


def state(pid: int, uuid: str = "u", pos: int = 0, **changes: Any) -> dict[str, Any]:
    base = {"uuid": uuid, "pid": pid, "desc": "d", "total": 10, "unit": "it", "pos": pos, "x": 0, "closed": False}
    return {**base, **changes}


def test_a_bar_of_the_driver_is_drawn_directly(manager: BarManager) -> None:
    bar = tqdm_ray.tqdm[int](desc="load", total=100, flush_interval_s=0)
    bar.update(42)
    assert (only_bar(manager).n, only_bar(manager).total, only_bar(manager).desc) == (42, 100, "load")
    bar.set_description("store")
    assert only_bar(manager).desc == "store"
    screen = only_bar(manager)
    bar.close()
    bar.close()
    assert screen.closed
    assert manager.bar_groups == {}


def test_iteration_counts_every_item_and_ends_the_bar(manager: BarManager) -> None:
    bar = tqdm_ray.tqdm(range(100), flush_interval_s=1e6)
    items = iter(bar)
    total = next(items)
    screen = only_bar(manager)
    assert total + sum(items) == sum(range(100))
    assert (screen.n, screen.total, screen.closed) == (100, 100, True)
    drawn = list(screen.drawn)
    bar.set_description("late")
    bar.update(1)
    bar.refresh()
    bar.close()
    tqdm_ray.safe_print()
    assert manager.bar_groups == {}
    assert screen.drawn == drawn
    with pytest.raises(ValueError, match="without an iterable"):
        list(tqdm_ray.tqdm())


def test_updates_between_flushes_are_not_lost(manager: BarManager) -> None:
    bar = tqdm_ray.tqdm[int](total=100, flush_interval_s=1e6)
    for _ in range(5):
        bar.update(1)
    assert only_bar(manager).n == 1
    bar.refresh()
    assert only_bar(manager).n == 5


@pytest.mark.usefixtures("in_worker")
def test_a_bar_of_a_worker_travels_through_stdout(manager: BarManager, capsys: pytest.CaptureFixture[str]) -> None:
    with tqdm_ray.tqdm[int](desc="load", total=10, flush_interval_s=0) as bar:
        bar.update(3)
        assert manager.bar_groups == {}
        line = capsys.readouterr().out
        assert line.startswith(MAGIC)
        assert manager.process(line.rstrip("\n"))
        assert only_bar(manager).n == 3
    assert manager.process(capsys.readouterr().out.rstrip("\n"))
    assert manager.bar_groups == {}


def test_total_and_n_can_be_set(manager: BarManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tqdm_ray, "instance", lambda: manager)
    with tqdm_ray.tqdm[int](desc="load", total=None, flush_interval_s=0) as bar:
        assert (bar.total, bar.n) == (None, 0)
        bar.total = 40
        bar.n = 10
        bar.update(5)
        assert (bar.total, bar.n) == (40, 15)
        assert (only_bar(manager).total, only_bar(manager).n) == (40, 15)
    bar.total = 50  # a closed bar stays as it is on the screen
    assert manager.bar_groups == {}


@pytest.mark.parametrize("line", ["hello", MAGIC, MAGIC + "{", MAGIC + "[1]", MAGIC + '{"uuid": "u"}'])
def test_other_lines_are_left_to_others(manager: BarManager, line: str) -> None:
    assert not manager.process(line)
    assert manager.bar_groups == {}


def test_processes_have_lines_of_their_own(manager: BarManager) -> None:
    manager.process_state(state(1, "a", pos=0))
    manager.process_state(state(1, "b", pos=1))
    manager.process_state(state(2, "c", pos=0))
    positions = [bar.bar.pos for group in manager.bar_groups.values() for bar in group.bars_by_uuid.values()]
    assert positions == [0, -1, -2]
    manager.process_state(state(1, "b", pos=1, closed=True))
    assert [bar.bar.pos for bar in manager.bar_groups["", 2].bars_by_uuid.values()] == [-1]


def test_bars_go_and_come_back_around_a_print(manager: BarManager, capsys: pytest.CaptureFixture[str]) -> None:
    manager.hide()
    assert manager.num_hides == 0
    manager.process_state(state(1, x=4))
    tqdm_ray.safe_print("hello")
    assert capsys.readouterr().out == "hello\n"
    assert only_bar(manager).drawn[-2:] == [-1, 4]
    assert (manager.num_hides, manager.in_hidden_state) == (1, False)


def test_hidden_bars_are_not_drawn(manager: BarManager) -> None:
    manager.process_state(state(1, x=4))
    manager.hide()
    manager.process_state(state(1, x=5))
    assert only_bar(manager).drawn[-1] == -1
    manager.unhide()
    assert only_bar(manager).drawn[-1] == 5


def test_the_real_tqdm_draws(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    manager = BarManager()
    manager.process_state(state(1, x=4))
    manager.process_state(state(1, x=10, closed=True))
    assert "10/10" in capsys.readouterr().err
