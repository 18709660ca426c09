"""The demonstration's pure parts: measuring, batching and adding up."""

import sysconfig
from pathlib import Path

import numpy as np
import pytest

from examples.module_metrics import (
    COLUMNS,
    PAIRS,
    Table,
    Tally,
    batches,
    measure,
    measure_files,
    same,
    stdlib_files,
    weights,
)

SOURCE = b"""\
class Box:
    def get(self, key, other):
        if key and other and self:
            return [item for item in other]
        return None

async def idle():
    pass
"""


@pytest.fixture(scope="module")
def table() -> Table:
    return weights()


def test_measure_counts(table: Table) -> None:
    metrics = measure("box.py", SOURCE, table)
    assert (metrics.lines, metrics.functions, metrics.classes) == (8, 2, 1)
    # get: 1, if, two operands more, one comprehension.
    assert metrics.worst == (5, "box.py:get")
    assert metrics.branches == 4
    assert metrics.deepest > 4


def test_density_is_the_mean_weight_of_byte_pairs() -> None:
    table = np.zeros((PAIRS, COLUMNS), dtype=np.float32)
    table[ord("a") * 256 + ord("b")] = 3.0
    assert measure("x.py", b"abab", table).density == pytest.approx(2.0)
    assert measure("x.py", b"a", table).density == 0.0


def test_files_that_do_not_parse_are_named(tmp_path: Path, table: Table) -> None:
    (tmp_path / "good.py").write_bytes(SOURCE)
    (tmp_path / "bad.py").write_text("def f(:\n")
    (tmp_path / "null.py").write_bytes(b"a = '\0'\n")
    measured, skipped = measure_files(str(tmp_path), ["bad.py", "good.py", "null.py"], table)
    assert [metrics.name for metrics in measured] == ["good.py"]
    assert skipped == ["bad.py", "null.py"]


def test_batches_hold_every_file_once_and_start_with_the_largest() -> None:
    files = [("a", 10), ("b", 300), ("c", 90), ("d", 20)]
    grouped = list(batches(files, size=100))
    assert grouped == [["b"], ["c"], ["d", "a"]]
    assert list(batches([])) == []


def test_tally_does_not_depend_on_the_order_of_batches(tmp_path: Path, table: Table) -> None:
    for number in range(4):
        (tmp_path / f"m{number}.py").write_bytes(SOURCE * (number + 1))
    measured, _ = measure_files(str(tmp_path), [f"m{number}.py" for number in range(4)], table)
    forward, backward = Tally(), Tally()
    forward.add(measured[:2])
    assert forward.add(measured[2:]) == 4
    backward.add(measured[::-1])
    assert same(forward.summary(), backward.summary())
    backward.add(measured[:1])
    assert not same(forward.summary(), backward.summary())


def test_the_standard_library_is_found() -> None:
    names = {name for name, _ in stdlib_files(Path(sysconfig.get_path("stdlib")))}
    assert {"ast.py", "asyncio/events.py", "json/decoder.py"} <= names
    assert not any("site-packages" in name or name.startswith("test/") for name in names)
