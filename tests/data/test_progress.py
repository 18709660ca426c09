"""Progress: what each operator does and waits for, the pictures of it, and what is left of a run afterwards."""

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.data.block.bundle import Piece, RowBundle
from ray_async.data.context import DataContext
from ray_async.data.executor.instructions import (
    Instruction,
    LimitSpec,
    MapSpec,
    PoolSpec,
    StageResult,
    StageSpec,
    StartTask,
)
from ray_async.data.executor.machine import Limits, Machine
from ray_async.data.progress.displays import LogDisplay, NotebookDisplay, TerminalDisplay, display_for
from ray_async.data.progress.live import LiveProgress, wanted_display
from ray_async.data.progress.meter import Meter
from ray_async.data.progress.state import CPU, DONE, INPUT, MEMORY, RUNNING, STARTING, StageState, states_of
from ray_async.data.progress.text import amount, bar, clipped, lines, size


@pytest.fixture(scope="module", autouse=True)
def fonts() -> None:
    """Matplotlib keeps the fonts open that its first picture with axes has needed; they are no test's leak."""
    from matplotlib.figure import Figure  # here: its import takes seconds, which every run of any test would wait for

    figure = Figure()
    figure.add_subplot().set_title("▏")
    figure.savefig(io.BytesIO())


def result(rows: int, bytes_: int = 10) -> StageResult:
    return StageResult((RowBundle((Piece(object(), 0, rows, bytes_),)),), began=1.0, process=7)


def tasks(instructions: Sequence[Instruction]) -> list[int]:
    return [instruction.task for instruction in instructions if isinstance(instruction, StartTask)]


def state(name: str = "Map", rows: int = 0, waits: str = RUNNING, share: float | None = 0.5) -> StageState:
    return StageState(name, rows, rows * 8, 1, None, share, waits)


def test_states_say_how_far_each_stage_is_and_what_it_waits_for() -> None:
    specs: list[StageSpec] = [
        MapSpec("Read", reads=(1, 2, 3, 4)),
        MapSpec("Map", (0,)),
        LimitSpec("Limit", (1,), 100),
    ]
    machine = Machine(specs, Limits(cpus=1))
    running = tasks(machine.start())
    read, mapped, limit = states_of(machine)
    assert (read.waits, read.running, read.share) == (RUNNING, 2, 0.0)
    assert (mapped.waits, limit.waits) == (INPUT, INPUT) and mapped.running == 0
    running += tasks(machine.finished(running.pop(0), result(5)))
    read, mapped, limit = states_of(machine)
    assert (read.rows, read.bytes, read.share) == (5, 10, 0.25) and mapped.waits == RUNNING
    while running:
        running += tasks(machine.finished(running.pop(0), result(5)))
    while machine.take() is not None:
        pass
    machine.taken()
    assert [(each.rows, each.share, each.waits) for each in states_of(machine)] == [(20, 1.0, DONE)] * 3


def test_a_stage_whose_outputs_nobody_takes_waits_for_memory() -> None:
    machine = Machine([MapSpec("Read", reads=tuple(range(9)))], Limits(cpus=1, budget=100))
    for task in tasks(machine.start()):
        machine.finished(task, result(1, 100))
    assert states_of(machine)[0].waits == MEMORY


def test_a_pool_waits_for_its_actors_and_another_stage_for_a_cpu() -> None:
    machine = Machine([MapSpec("Read", reads=(1,), pool=PoolSpec(least=2))], Limits(cpus=2))
    machine.start()
    (pool,) = states_of(machine)
    assert (pool.waits, pool.actors) == (STARTING, 2)
    busy = Machine([MapSpec("Read", reads=(1, 2, 3)), MapSpec("Map", (0,))], Limits(cpus=1))
    first, _ = tasks(busy.start())
    busy.limits = Limits(cpus=0)
    busy.finished(first, result(1))
    assert states_of(busy)[1].waits == CPU


def test_rates_are_of_the_last_seconds_and_of_all_time_at_the_end() -> None:
    meter = Meter()
    for second in range(21):
        meter.sample([state(rows=100 * second if second < 10 else 1000 * second)], float(second))
    (reading,) = meter.readings()
    assert reading.rows_per_s == 1000 and reading.bytes_per_s == 8000
    meter.sample([state(rows=21_000, waits=DONE)], 21.0)
    meter.sample([state(rows=21_000, waits=DONE)], 40.0)
    (reading,) = meter.readings()
    assert reading.rows_per_s == pytest.approx(1000), "the time after its end is not counted"


def test_waits_are_added_up() -> None:
    meter = Meter()
    for second, waits in enumerate((INPUT, INPUT, RUNNING, MEMORY, DONE)):
        meter.sample([state(waits=waits)], float(second))
    assert meter.waits == [{INPUT: 1.0, MEMORY: 1.0}]


def test_texts() -> None:
    assert [amount(count) for count in (0, 999, 1234, 1_234_567, 5e9)] == ["0", "999", "1.23k", "1.23M", "5G"]
    assert [size(count) for count in (0, 1536, 3 << 30)] == ["0 B", "1.5 KiB", "3.0 GiB"]
    assert bar(1.0) == "█" * 20 and bar(0.0) == " " * 20 and bar(None) == "·" * 20 and bar(0.5)[9:11] == "█ "
    assert clipped("abcdef", 4) == "abc…" and clipped("abc", 3) == "abc" and clipped("abc", 0) == ""


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    meter = Meter()
    meter.sample([state("->".join(["MapBatches(some_function)"] * 9), rows=10**9), state("Read")], 0.0)
    found = lines(meter.readings(), 75.0, width, colour=False, title="name")
    assert len(found) == 3 and found[0] == "name  1:15" and all(len(line) <= width for line in found)


def test_a_terminal_is_drawn_over_and_a_log_gets_lines() -> None:
    meter = Meter()
    meter.sample([state("Read"), state("Map")], 0.0)
    terminal, log = io.StringIO(), io.StringIO()
    display = TerminalDisplay(terminal)
    display.show(meter.readings(), 1.0, "", last=False)
    first = terminal.getvalue()
    display.show(meter.readings(), 2.0, "", last=True)
    second = terminal.getvalue().removeprefix(first)
    assert first.count("\n") == 3 and second.startswith("\x1b[3F") and not second.endswith("\x1b[0J")
    LogDisplay(log).show(meter.readings(), 3.0, "", last=False)
    assert re.fullmatch(r"Dataset after 3\.0 s: Read 50% 0 rows .*; Map 50% .*\n", log.getvalue())
    assert "\x1b" not in log.getvalue()


def test_a_notebook_gets_a_table_that_is_updated() -> None:
    shown: list[Any] = []

    class Handle:
        def update(self, table: Any) -> None:
            shown.append(table)

    def display(table: Any, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(table)
        return Handle()

    meter = Meter()
    meter.sample([state("Map<1>", share=None)], 0.0)
    notebook = NotebookDisplay(display)
    notebook.show(meter.readings(), 1.0, "a & b", last=False)
    notebook.show(meter.readings(), 2.0, "a & b", last=True)
    text = shown[1]._repr_html_()
    assert len(shown) == 2 and "Map&lt;1&gt;" in text and "a &amp; b, 2.0 s" in text and "<progress></progress>" in text
    assert "Map<1>" in repr(shown[0])


class Screen:
    pause, patience = 1.0, 0.5

    def __init__(self) -> None:
        self.shown: list[tuple[float, bool]] = []

    def show(self, readings: Sequence[Any], seconds: float, title: str, *, last: bool) -> None:
        assert readings
        self.shown.append((seconds, last))


def sampled(screen: Screen, times: Sequence[float], end: float) -> None:
    clock = [0.0]
    progress = LiveProgress(Machine([MapSpec("Read", reads=(1,))], Limits()), screen, clock=lambda: clock[0])
    for clock[0] in times:
        progress.sample()
    clock[0] = end
    progress.close()
    progress.close()


def test_short_runs_show_nothing_and_long_ones_a_last_picture() -> None:
    screen = Screen()
    sampled(screen, (0.1, 0.4), 0.45)
    assert screen.shown == []
    sampled(screen, (0.4, 0.6, 1.0, 1.7), 2.0)
    assert screen.shown == [(0.6, False), (1.7, False), (2.0, True)]


def test_all_operators_in_one_line() -> None:
    specs = [MapSpec("Read", reads=(1,)), MapSpec("Map", (0,))]
    progress = LiveProgress(Machine(specs, Limits()), None, each=False, clock=lambda: 0.0)
    progress.sample()
    assert progress.meter.names == ["all operators"]


def test_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    context = DataContext()
    assert isinstance(wanted_display(context), LogDisplay), "standard error is no terminal in tests"
    monkeypatch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    assert wanted_display(context) is None
    monkeypatch.delenv("RAY_DATA_DISABLE_PROGRESS_BARS")
    context.enable_progress_bars = False
    assert wanted_display(context) is None

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(display_for(Terminal()), TerminalDisplay)


@pytest.mark.usefixtures("session")
def test_a_run_leaves_statistics_and_a_timeline(tmp_path: Path) -> None:
    dataset = ray.data.range(100, override_num_blocks=4).map(lambda row: row).sort("id", descending=True)
    with pytest.raises(ValueError, match="not been run yet"):
        dataset.timeline()
    assert dataset.materialize().count() == 100
    found = dataset.timeline(tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text()) == found
    assert [event["name"].split("(")[0] for event in found] == ["ReadRange->Map"] * 4 + ["Sort"]
    assert all(event["ph"] == "X" and event["ts"] > 1e15 and event["dur"] >= 0 for event in found)
    assert sum(event["args"]["rows"] for event in found) == 200
    dataset.timeline(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"ReadRange->Map\S* +100 rows .*\n +4 calls, .* in [12] processes", dataset.stats())
