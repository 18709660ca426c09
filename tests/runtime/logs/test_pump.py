from ray_async.runtime.logs.pump import LogPump
from ray_async.runtime.logs.stderr_tail import StderrTail


def test_lines_are_addressed() -> None:
    pump = LogPump()
    assert pump.feed(7, "out", b"early") == []
    pump.set_worker(7, "f", "01000000")
    assert pump.feed(7, "out", b" bird\n") == [
        {
            "kind": "log",
            "pid": 7,
            "name": "f",
            "stream": "out",
            "lines": ["early bird"],
            "job": "01000000",
        }
    ]


def test_the_streams_of_processes_do_not_mix() -> None:
    pump = LogPump()
    for pid in (7, 8):
        for stream in ("out", "err"):
            pump.feed(pid, stream, f"{stream} {pid}".encode())
    messages = pump.close(7) + pump.close(8)
    assert [message["lines"] for message in messages] == [["out 7"], ["err 7"], ["out 8"], ["err 8"]]
    assert pump.close(7) == []


def test_the_tail_of_stderr_outlives_the_streams() -> None:
    pump = LogPump(StderrTail(max_lines=2, max_chars=5))
    pump.feed(7, "err", b"one\ntwo\n")
    pump.feed(7, "out", b"not this\n")
    pump.feed(7, "err", b"the last words")
    pump.close(7)
    assert pump.tail.get(7) == ["two", "the l"]
    pump.tail.forget(7)
    assert pump.tail.get(7) == []


def test_running_bars_are_reported() -> None:
    pump = LogPump()
    pump.feed(7, "err", b"\r10%\r20%")
    pump.feed(8, "out", b"half a line")
    assert [(message["pid"], message["lines"]) for message in pump.take_progress()] == [(7, ["20%"])]
    assert list(pump.take_progress()) == []


def test_lines_that_do_not_end_are_reported() -> None:
    pump = LogPump()
    pump.feed(8, "out", b"half a line")
    assert pump.holds_text(8, "out")
    assert not pump.holds_text(8, "err")
    assert [message["lines"] for message in pump.take_text(8, "out")] == [["half a line"]]
    assert pump.take_text(8, "out") == []
    pump.close(8)
    assert not pump.holds_text(8, "out")
    assert pump.take_text(8, "out") == []
