"""The subjects of Data hold together, and the command line and the drivers know them."""

from pathlib import Path

import pytest

from bench.data.cli import main, parse_arguments
from bench.data.contender import PEERS, FilesContender, launches, with_files
from bench.data.rows import shrunk
from bench.data.subjects import LARGE, NAMES, all_subjects
from bench.data.tables import Tables
from bench.subject import OURS, Params
from tests.bench.serve.fakes import FakeDriver, empty_report


def test_each_file_holds_the_subject_of_its_name() -> None:
    assert tuple(subject.name for subject in all_subjects()) == NAMES and set(LARGE) <= set(NAMES)


def test_row_names_are_unique() -> None:
    names = [row.name for subject in all_subjects() for row in subject.rows]
    assert len(names) == len(set(names))


def test_every_case_and_every_bar_has_a_driver_that_does_it() -> None:
    folder = Path(__file__).parents[3] / "bench" / "drivers"
    queries = (folder / "data_tpch.py").read_text()
    texts = {name: (folder / f"{module}.py").read_text() + queries for name, module in PEERS.items()}
    texts[OURS] = (folder / "data_ray.py").read_text() + queries
    for row in (row for subject in all_subjects() for row in subject.rows):
        assert f'"{row.case}"' in texts[OURS], row.name
        reference = row.bar.reference if row.bar is not None else None
        if reference is not None:
            assert reference.case in texts[reference.contender or OURS], row.name


def test_a_share_of_a_subject() -> None:
    (large,) = (subject for subject in all_subjects() if subject.name == "large")
    sort, memory, *_ = shrunk(large, 0.1).rows
    assert (sort.params["rows"], sort.params["store_bytes"], sort.params["table"]) == (
        8_000_000,
        (1 << 30) // 10,
        "wide",
    )
    assert sort.name.endswith(", x0.1") and sort.bar is not None and memory.bar is None, "2 GB are for all of it"
    assert shrunk(large, 1) is large


def test_quick_rows_are_small() -> None:
    for subject in all_subjects():
        for row in subject.rows:
            sizes = {**row.params, **row.quick}
            assert float(sizes.get("rows", 0)) <= 1000 and float(sizes.get("bytes", 0)) <= 1 << 20, row.name


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--peers", "nobody"], ["--rounds", "0"]])
def test_unknown_names_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_earlier_run_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text(empty_report().to_json())
    assert main(["--load", str(path), "--table", "--scaling", str(tmp_path / "none.svg")]) == 0
    printed = capsys.readouterr()
    assert "| what |" in printed.out
    assert "nothing to draw" in printed.err


def test_ray_is_measured_where_its_interpreter_is_named() -> None:
    assert [launch.name for launch in launches("a", "b", None)] == [OURS, *PEERS]
    assert launches("a", "b", "c")[-1].command() == ["c", "-m", "bench.drivers.data_ray", "ray"]


def test_a_case_gets_the_files_that_it_names(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    params: Params = {"table": "facts", "rows": 20, "second": "sides", "second_rows": 5}
    found = with_files(params, tables)
    assert found["folder"] == str(tmp_path / "facts-20") and found["second"] == str(tmp_path / "sides-5")
    log: list[str] = []
    contender = FilesContender(FakeDriver("x", log), tables)  # type: ignore[arg-type]
    assert contender.measure("sort", params, fresh=False) == {"port": 80.0} and log == ["x sort"]
