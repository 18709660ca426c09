import io
import json
import sys
from typing import Any

import pytest

from ray_async.runtime.logs.deduplicator import Deduplicator
from ray_async.runtime.logs.prefix import Prefixer
from ray_async.runtime.logs.pump import LogPump
from ray_async.runtime.logs.sink import LogSink


class Bars:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def process(self, line: str) -> bool:
        return line.startswith("bar")

    def hide(self) -> None:
        self.calls.append("hide")

    def unhide(self) -> None:
        self.calls.append("unhide")


def make_sink(**options: Any) -> LogSink:
    return LogSink(deduplicator=options.pop("deduplicator", Deduplicator(enabled=False)), **options)


def test_lines_go_to_the_stream_they_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    sink = make_sink()
    sink(7, "f", "out", "hello")
    sink(7, "f", "err", "oops")
    sink(8, "", "out", "no name")
    captured = capsys.readouterr()
    assert captured.out == "(f pid=7) hello\n(pid=8) no name\n"
    assert captured.err == "(f pid=7) oops\n"


def test_the_stream_of_the_moment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = make_sink()
    for _ in range(2):
        cell = io.StringIO()
        monkeypatch.setattr(sys, "stdout", cell)
        sink(7, "f", "out", "hello")
        assert cell.getvalue() == "(f pid=7) hello\n"


def test_messages_of_the_pump_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    pump = LogPump()
    pump.set_worker(7, "Actor.method", "01000000")
    [message] = json.loads(json.dumps(pump.feed(7, "out", b"a\nb\n")))
    sink = make_sink(own_ip="10.0.0.1")
    sink.handle({**message, "ip": "10.0.0.1"})
    sink.handle({**message, "ip": "10.0.0.2", "lines": ["c"]})
    assert capsys.readouterr().out.splitlines() == [
        "(Actor.method pid=7) a",
        "(Actor.method pid=7) b",
        "(Actor.method pid=7, ip=10.0.0.2) c",
    ]


@pytest.mark.parametrize("by_environment", [False, True])
def test_nothing_is_printed_when_switched_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    monkeypatch.setenv("RAY_LOG_TO_DRIVER", "0" if by_environment else "1")
    make_sink(log_to_driver=by_environment)(7, "f", "out", "hello")
    assert capsys.readouterr().out == ""


def test_repetitions_come_at_the_tick_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    sink = make_sink(deduplicator=Deduplicator(window_s=5, clock=lambda: now))
    for pid in (1, 2, 3):
        sink(pid, "f", "out", "hello")
    sink.tick()
    assert capsys.readouterr().out == "(f pid=1) hello\n"
    now = 5.0
    sink.tick()
    assert "[repeated 2x" in capsys.readouterr().out
    for pid in (1, 2):
        sink(pid, "f", "err", "bye")
    sink.close()
    assert capsys.readouterr().err == "(f pid=1) bye\n(f pid=2) bye\n"


def test_bars_make_room_for_lines(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    sink = make_sink(bars=bars)
    sink(7, "f", "out", "bar 1")
    assert bars.calls == []
    sink.handle({"pid": 7, "name": "f", "stream": "out", "lines": ["a", "bar 2", "b"]})
    assert bars.calls == ["hide", "unhide"]
    assert capsys.readouterr().out == "(f pid=7) a\n(f pid=7) b\n"


def test_a_stream_that_cannot_show_a_character_shows_its_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    make_sink()(7, "f", "out", "5 €")
    assert raw.getvalue() == b"(f pid=7) 5 \\u20ac\n"


def test_a_closed_or_missing_stream_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        make_sink()(7, "f", "out", "hello")


def test_prefix_colours_follow_the_process_and_the_environment() -> None:
    coloured = Prefixer.from_environ(True, {})
    assert coloured("x", "f", 1) != coloured("x", "f", 2)
    assert coloured("x", "f", 1).endswith("\x1b[0m x")
    for terminal, environ in ((False, {}), (True, {"RAY_COLOR_PREFIX": "0"}), (True, {"NO_COLOR": "1"})):
        assert Prefixer.from_environ(terminal, environ)("x", "f", 1) == "(f pid=1) x"
    assert Prefixer.from_environ(False, {"RAY_DISABLE_WORKER_LOG_PREFIX": "1"})("x", "f", 1) == "x"
