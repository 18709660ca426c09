from ray_async.runtime.logs.deduplicator import Deduplicator
from ray_async.runtime.logs.line import LogLine


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def line(text: str, pid: int, ip: str | None = None) -> LogLine:
    return LogLine(text, "f", pid, "out", ip)


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_one_process_may_repeat_itself() -> None:
    dedup = Deduplicator(clock=Clock())
    for _ in range(3):
        assert texts(dedup.feed(line("epoch 1", 1))) == ["epoch 1"]
    assert dedup.next_deadline() is None


def test_other_processes_are_counted_and_summed_up() -> None:
    clock = Clock()
    dedup = Deduplicator(window_s=5, clock=clock)
    assert texts(dedup.feed(line("loaded 10 rows at 0xff", 1))) == ["loaded 10 rows at 0xff"]
    clock.now += 1
    for pid in (2, 3, 4):
        assert dedup.feed(line(f"loaded {pid} rows at 0x{pid}", pid)) == []
    assert dedup.feed(line("loaded 11 rows at 0xfe", 1)) == []
    assert dedup.next_deadline() == 105.0
    clock.now = 104.9
    assert dedup.expire() == []
    clock.now = 105.0
    (summary,) = dedup.expire()
    assert summary.text.startswith("loaded 11 rows at 0xfe [repeated 4x across cluster] (RAY_DEDUP_LOGS=0")
    assert summary.pid == 1


def test_the_hint_comes_once_and_a_single_repetition_as_it_is() -> None:
    dedup = Deduplicator(clock=Clock())
    for text in ("first", "second"):
        for pid in (1, 2, 3):
            dedup.feed(line(text, pid))
    dedup.feed(line("third", 1))
    dedup.feed(line("third", 2))
    first, second, third = texts(dedup.flush())
    assert "RAY_DEDUP_LOGS" in first
    assert second == "second [repeated 2x across cluster]"
    assert third == "third"
    assert dedup.flush() == []


def test_the_same_pid_on_another_machine_is_another_process() -> None:
    dedup = Deduplicator(clock=Clock())
    dedup.feed(line("hello", 1, "10.0.0.1"))
    assert dedup.feed(line("hello", 1, "10.0.0.2")) == []


def test_a_new_window_shows_the_line_again() -> None:
    clock = Clock()
    dedup = Deduplicator(window_s=5, clock=clock)
    dedup.feed(line("hello", 1))
    clock.now += 5
    assert texts(dedup.feed(line("hello", 2))) == ["hello"]


def test_lines_without_words_are_all_shown() -> None:
    dedup = Deduplicator(clock=Clock())
    assert [len(dedup.feed(line(text, pid))) for pid, text in ((1, "1"), (2, "2"), (3, "---"), (4, "---"))] == [1] * 4


def test_the_environment_configures_it() -> None:
    environ = {"RAY_DEDUP_LOGS_ALLOW_REGEX": "INFO", "RAY_DEDUP_LOGS_SKIP_REGEX": "noise"}
    dedup = Deduplicator.from_environ(environ, clock=Clock())
    assert [len(dedup.feed(line("INFO x", pid))) for pid in (1, 2)] == [1, 1]
    assert dedup.feed(line("some noise", 1)) == []
    assert [len(dedup.feed(line("other", pid))) for pid in (1, 2)] == [1, 0]
    off = Deduplicator.from_environ({"RAY_DEDUP_LOGS": "0"}, clock=Clock())
    assert [len(off.feed(line("other", pid))) for pid in (1, 2)] == [1, 1]
    clock = Clock()
    short = Deduplicator.from_environ({"RAY_DEDUP_LOGS_AGG_WINDOW_S": "1"}, clock=clock)
    short.feed(line("other", 1))
    short.feed(line("other", 2))
    assert short.next_deadline() == clock.now + 1
