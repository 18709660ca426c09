"""Files of log lines."""

import asyncio
import threading
from pathlib import Path

import pytest

from ray_async.serve.telemetry.log_file import LogFile


def test_a_full_file_is_put_aside(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a" / "x.log", limit=10)
    for number in range(8):
        file.write(f"line number {number}\n")
    file.close()
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["x.log", *(f"x.log.{number}" for number in range(1, 6))]
    assert (tmp_path / "a" / "x.log").read_text() == "line number 7\n"
    assert (tmp_path / "a" / "x.log.5").read_text() == "line number 2\n"


async def test_lines_wait_for_each_other_and_keep_their_order(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "x.log")
    file.add("one\n")
    assert not file.path.exists()
    file.write("two\n")
    assert file.path.read_text() == "one\ntwo\n"
    file.add("three\n")
    while not file.path.read_text().endswith("three\n"):
        await asyncio.sleep(0.01)
    file.add("four\n")
    file.close()
    assert file.path.read_text() == "one\ntwo\nthree\nfour\n"


def test_threads_lose_no_line(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "x.log")

    def write() -> None:
        for number in range(500):
            file.write(f"{number}\n")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    assert len(file.path.read_text().splitlines()) == 2000


def test_what_cannot_be_written_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    file = LogFile(tmp_path / "file" / "x.log")
    for _ in range(3):
        file.write("lost\n")
    file.close()
    assert capsys.readouterr().err.count("Serve cannot write its log") == 1


async def test_what_is_rendered_keeps_its_place_among_lines(tmp_path: Path) -> None:
    batches = []

    def render(numbers: list[int]) -> list[str]:
        batches.append(numbers)
        return [f"{number}\n" for number in numbers]

    file = LogFile(tmp_path / "x.log", render=render)
    file.add(1)
    file.add(2)
    file.write("line\n")
    file.add("other\n")
    file.add(3)
    file.close()
    assert file.path.read_text() == "1\n2\nline\nother\n3\n"
    assert batches == [[1, 2], [3]]


async def test_many_lines_are_written_before_the_delay_is_over(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "x.log")
    for number in range(1000):
        file.add(f"{number}\n")
    assert file.path.read_text().startswith("0\n1\n")
    file.close()
