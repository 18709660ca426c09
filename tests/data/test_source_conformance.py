"""What every source of files does, whatever the format."""

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import ray_async as ray
from ray_async.data import DataContext, FileShuffleConfig
from tests.data.formats import CASES, ROWS, Case, film

FORMATS = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def written(case: Case, folder: Path, *names: str) -> list[str]:
    paths = []
    for name in names:
        path = folder / f"{name}.{case.extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.encode(ROWS))
        paths.append(str(path))
    return paths


@pytest.fixture
def errors_allowed() -> Any:
    context = DataContext.get_current()
    context.max_errored_blocks = -1
    yield
    context.max_errored_blocks = 0


@FORMATS
def test_rows_come_in_the_order_of_the_paths(case: Case, tmp_path: Path) -> None:
    paths = written(case, tmp_path, "b", "a")
    np.testing.assert_equal(case.read(paths).take_all(), list(case.rows) * 2)
    found = case.read(tmp_path, include_paths=True).take_all()
    assert [row["path"] for row in found] == [path for path in reversed(paths) for _ in case.rows]


@FORMATS
def test_what_is_known_before_is_what_comes(case: Case, tmp_path: Path) -> None:
    paths = written(case, tmp_path, "a", "b")
    dataset = case.read(tmp_path)
    before = dataset.schema()
    assert dataset.input_files() == paths and dataset.columns() == list(case.rows[0])
    assert dataset.materialize().schema() == before
    assert dataset.count() == 2 * len(case.rows)
    assert pickle.loads(pickle.dumps(dataset)).count() == 2 * len(case.rows)


@FORMATS
def test_fewer_columns_and_rows(case: Case, tmp_path: Path) -> None:
    written(case, tmp_path, "a", "b")
    last = list(case.rows[0])[-1]
    found = case.read(tmp_path).select_columns([last]).limit(1).take_all()
    np.testing.assert_equal(found, [{last: case.rows[0][last]}])


@FORMATS
def test_a_damaged_file_is_named(case: Case, tmp_path: Path) -> None:
    (path,) = written(case, tmp_path, "bad")
    content = Path(path).read_bytes()
    if case.damaged:
        Path(path).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=r"bad\."):
            case.read(path).take_all()
    Path(path).write_bytes(b"\xff\xfe" * 700)
    if case.extension != "bin":
        with pytest.raises(ValueError, match=r"bad\."):
            case.read(path).take_all()


@FORMATS
@pytest.mark.usefixtures("errors_allowed")
def test_a_damaged_file_takes_no_other_along(case: Case, tmp_path: Path) -> None:
    if case.extension in ("bin", "parquet"):  # the one is never damaged; footers of the other are read at once
        return
    paths = written(case, tmp_path, "a", "b", "c")
    Path(paths[1]).write_bytes(b"\xff\xfe" * 700)
    np.testing.assert_equal(case.read(tmp_path).take_all(), list(case.rows) * 2)


@FORMATS
def test_an_empty_file(case: Case, tmp_path: Path) -> None:
    written(case, tmp_path, "b")
    (tmp_path / f"a.{case.extension}").write_bytes(b"")
    if case.empty:
        with pytest.warns(UserWarning, match=r"a\..* is empty"):
            assert case.read(tmp_path).count() == len(case.rows)
    elif case.extension == "parquet":
        with pytest.raises(ValueError, match=r"a\.parquet"):
            case.read(tmp_path)
    else:
        assert case.read(tmp_path).count() == len(case.rows) + (case.extension == "bin")


@FORMATS
def test_paths(case: Case, tmp_path: Path) -> None:
    written(case, tmp_path, "x/a")
    (tmp_path / "x" / "other.zip").write_bytes(b"PK")
    rows = len(case.rows)
    if case.extension != "bin" and case.extension != "txt":
        assert case.read(tmp_path / "x").count() == rows
    assert case.read(f"{tmp_path}/*/a.*").count() == rows
    assert case.read(tmp_path, partition_filter=lambda paths: [p for p in paths if "other" not in p]).count() == rows
    assert case.read(tmp_path, file_extensions=[case.extension]).count() == rows
    assert case.read([f"{tmp_path}/x/a.{case.extension}", f"{tmp_path}/no"], ignore_missing_paths=True).count() == rows
    with pytest.raises(FileNotFoundError, match="nothing"):
        case.read(tmp_path / "nothing")
    with pytest.raises(TypeError, match="'nonsense'"):
        case.read(tmp_path / "x" / f"a.{case.extension}", nonsense=1)


@FORMATS
def test_a_file_system_of_fsspec(case: Case, tmp_path: Path) -> None:
    (path,) = written(case, tmp_path, "a")
    np.testing.assert_equal(case.read(path, filesystem=fsspec.filesystem("file")).take_all(), list(case.rows))


@FORMATS
def test_files_in_another_order(case: Case, tmp_path: Path) -> None:
    written(case, tmp_path, *"abcdefgh")

    def order(dataset: Any) -> list[str]:
        return list(dict.fromkeys(row["path"] for row in dataset.take_all()))

    plain = order(case.read(tmp_path, include_paths=True))
    seeded = case.read(tmp_path, include_paths=True, shuffle=FileShuffleConfig(3, reseed_after_execution=False))
    first = order(seeded)
    assert order(seeded) == first != plain and sorted(first) == plain
    anew = case.read(tmp_path, include_paths=True, shuffle="files")
    assert len({tuple(order(anew)) for _ in range(4)}) > 1
    with pytest.raises(ValueError, match="shuffle"):
        case.read(tmp_path, shuffle="rows")


@pytest.mark.parametrize("name", ["avro", "tfrecords", "audio", "videos"])
def test_a_library_that_is_missing_is_named_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    monkeypatch.setattr("ray_async.data.sources.optional.find_spec", lambda module: None)
    with pytest.raises(ImportError, match=rf"read_{name} needs .*, which is not installed: pip install"):
        getattr(ray.data, f"read_{name}")("nowhere")


class TestVideo:
    """Films, where PyAV is installed: its wheels are too large for the tests' environment."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        pytest.importorskip("av")
        path = tmp_path / "a.mkv"
        path.write_bytes(film(ROWS))
        return path

    def test_frames(self, path: Path) -> None:
        rows = ray.data.read_videos(path, include_timestamps=True).take_all()
        assert [row["frame_index"] for row in rows] == [0, 1, 2, 3]
        assert [row["frame"].shape for row in rows] == [(8, 16, 3)] * 4
        assert [row["frame"][0, 0, 0] for row in rows] == [0, 40, 80, 120]
        np.testing.assert_allclose(rows[2]["frame_timestamp"], [0.2, 0.3])

    def test_fewer_and_smaller_frames(self, path: Path) -> None:
        rows = ray.data.read_videos(path, fps=5, resize=(4, 6)).take_all()
        assert [row["frame_index"] for row in rows] == [0, 2] and rows[0]["frame"].shape == (4, 6, 3)
        with pytest.raises(ValueError, match="fps"):
            ray.data.read_videos(path, fps=0)
        with pytest.raises(ValueError, match="resize"):
            ray.data.read_videos(path, resize=(4, 0))

    def test_a_damaged_film_is_named(self, path: Path) -> None:
        path.write_bytes(b"no film" * 100)
        with pytest.raises(ValueError, match=r"a\.mkv"):
            ray.data.read_videos(path).take_all()
