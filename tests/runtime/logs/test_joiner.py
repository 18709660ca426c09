import traceback

import pytest

from ray_async.runtime.logs.deduplicator import Deduplicator
from ray_async.runtime.logs.joiner import RecordJoiner
from ray_async.runtime.logs.line import LogLine
from ray_async.runtime.logs.prefix import Prefixer
from ray_async.runtime.logs.sink import LogSink


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(text: str, pid: int = 1) -> list[LogLine]:
    return [LogLine(part, "f", pid, "err") for part in text.splitlines()]


def texts(records: list[LogLine]) -> list[str]:
    return [record.text for record in records]


def traceback_of(error: BaseException, cause: BaseException | None = None) -> str:
    try:
        if cause is not None:
            try:
                raise cause
            except BaseException as inner:
                raise error from inner
        raise error
    except BaseException as raised:
        return "".join(traceback.format_exception(raised)).rstrip("\n")


CHAINED = traceback_of(KeyError("outer"), ValueError("inner"))
GROUP = traceback_of(ExceptionGroup("two", [ValueError(1), ExceptionGroup("inner", [TypeError(2)])]))
REMOTE = 'a task failed: ray::f() (pid=1, ip=::1)\n  File "x.py", line 1, in f\n    1 / 0\nZeroDivisionError: by zero'


def test_plain_lines_pass_at_once() -> None:
    joiner = RecordJoiner(clock=Clock())
    assert texts(joiner.feed(lines("one\ntwo\n\nthree"))) == ["one", "two", "", "three"]
    assert joiner.next_deadline() is None


def test_indented_lines_stay_with_the_line_before_that_came_with_them() -> None:
    joiner = RecordJoiner(clock=Clock())
    assert texts(joiner.feed(lines("table:\n  a 1\n  b 2\nend"))) == ["table:\n  a 1\n  b 2", "end"]
    assert texts(joiner.feed(lines("  alone"))) == ["  alone"]


@pytest.mark.parametrize("text", [CHAINED, GROUP, REMOTE, "ERROR: it failed\n" + CHAINED])
def test_a_traceback_is_one_record(text: str) -> None:
    joiner = RecordJoiner(clock=Clock())
    assert texts(joiner.feed(lines(f"{text}\nafter"))) == [text, "after"]


@pytest.mark.parametrize("text", [CHAINED, GROUP])
def test_a_traceback_that_comes_line_by_line_among_those_of_others(text: str) -> None:
    clock = Clock()
    joiner = RecordJoiner(patience_s=0.5, clock=clock)
    for ours, theirs in zip(lines(text, 1), lines(text, 2), strict=True):
        clock.now += 0.1
        assert joiner.feed([ours]) == []
        assert joiner.feed([theirs]) == []
    assert joiner.expire() == []
    assert joiner.next_deadline() == clock.now + 0.5
    clock.now += 0.5
    assert [(record.pid, record.text) for record in joiner.expire()] == [(1, text), (2, text)]
    assert joiner.next_deadline() is None


def test_what_follows_a_traceback_is_no_part_of_it() -> None:
    joiner = RecordJoiner(clock=Clock())
    assert joiner.feed(lines(CHAINED)) == []
    assert texts(joiner.feed(lines("\nnext"))) == [CHAINED, "", "next"]
    assert joiner.feed(lines(CHAINED)) == []
    assert texts(joiner.feed(lines(GROUP))) == [CHAINED]
    assert texts(joiner.flush()) == [GROUP]


def test_a_record_has_an_end() -> None:
    joiner = RecordJoiner(clock=Clock())
    endless = lines("Traceback (most recent call last):\n" + "  more\n" * 2500)
    assert [len(record.text.splitlines()) for record in joiner.feed(endless) + joiner.flush()] == [1000, 1000, 501]


def test_tracebacks_of_several_tasks_are_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    sink = LogSink(deduplicator=Deduplicator(clock=clock), prefixer=Prefixer(), joiner=RecordJoiner(clock=clock))
    kinds = [traceback_of(ValueError("one")), traceback_of(TypeError("other")), traceback_of(ValueError("one"))]
    for group in zip(*(text.splitlines() for text in kinds), strict=True):
        for pid, line in enumerate(group, 1):
            sink(pid, "f", "err", line)
    assert sink.holds_back
    assert capsys.readouterr().err == ""
    clock.now += 1
    sink.tick()
    shown = capsys.readouterr().err.splitlines()
    expected = [f"(f pid={pid}) {line}" for pid, text in ((1, kinds[0]), (2, kinds[1])) for line in text.splitlines()]
    assert shown == expected
    sink.close()
    assert capsys.readouterr().err.splitlines() == [f"(f pid=3) {line}" for line in kinds[2].splitlines()]
