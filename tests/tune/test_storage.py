"""Storage: buckets by URI and by file systems, relative paths, restores where no local copy is left."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs
import pytest

import ray_async as ray
from examples.local_s3 import local_s3
from ray_async import tune
from ray_async.tune import Checkpoint, RunConfig, SyncConfig, TuneConfig, TuneError, Tuner
from ray_async.tune.storage.remote_storage import located

BUCKET = "tune"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a local S3 server, and a session whose workers know it."""
    with local_s3(BUCKET) as variables:
        ray.init(num_cpus=2, log_to_driver=False)
        yield variables["AWS_ENDPOINT_URL"]
        ray.shutdown()


@pytest.fixture(autouse=True)
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNE_STAGING_PATH", str(tmp_path / "staging"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "staging"


def train(config: dict[str, Any]) -> None:
    begin = tune.get_checkpoint()
    first = 0
    if begin is not None:
        with begin.as_directory() as folder:
            first = int(Path(folder, "epoch").read_text()) + 1
    for epoch in range(first, 3):
        folder = Path("saved")
        folder.mkdir(exist_ok=True)
        (folder / "epoch").write_text(str(epoch))
        tune.report({"epoch": epoch, "x": config["x"]}, checkpoint=Checkpoint(folder))
        if config["x"] == 2 and not Path(config["flag"]).exists():
            Path(config["flag"]).touch()
            raise ValueError("cut off")


def filesystem(endpoint: str) -> Any:
    return pyarrow.fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1")


@pytest.mark.keeps_resources
@pytest.mark.parametrize("by_uri", [True, False])
def test_a_bucket_holds_all_and_a_restore_needs_no_local_copy(
    bucket: str, staging: Path, tmp_path: Path, by_uri: bool
) -> None:
    name = f"search-{by_uri}"
    place: dict[str, Any] = {"storage_path": f"s3://{BUCKET}/results"}
    if not by_uri:
        place = {"storage_path": f"{BUCKET}/results", "storage_filesystem": filesystem(bucket)}
    tuner = Tuner(
        train,
        param_space={"x": tune.grid_search([1, 2]), "flag": str(tmp_path / "flag")},
        tune_config=TuneConfig(metric="epoch", mode="max"),
        run_config=RunConfig(name=name, **place),
    )
    grid = tuner.fit()
    assert (grid.num_errors, grid.experiment_path) == (1, f"{BUCKET}/results/{name}")
    store = filesystem(bucket)
    for result in grid:
        assert result.path.startswith(f"{BUCKET}/results/{name}/") and result.filesystem.type_name == "s3"
        assert result.checkpoint is not None and result.checkpoint.path.startswith(result.path)
        with result.checkpoint.as_directory() as folder:
            assert Path(folder, "epoch").read_text() == str(result.metrics["epoch"])
        names = {info.base_name for info in store.get_file_info(pyarrow.fs.FileSelector(result.path))}
        assert {"params.json", "result.json", "progress.csv"} <= names
    # Nothing lies where nobody asked for it.
    assert not (tmp_path / "home" / "ray_results").exists()
    for _ in range(2 if by_uri else 1):
        shutil.rmtree(staging)
        options = {} if by_uri else {"storage_filesystem": store}
        path = f"s3://{BUCKET}/results/{name}" if by_uri else f"{BUCKET}/results/{name}"
        assert Tuner.can_restore(path, **options) and not Tuner.can_restore(f"{path}-not", **options)
        restored = Tuner.restore(path, train, resume_errored=True, **options).fit()
        assert restored.num_errors == 0 and [result.metrics["epoch"] for result in restored] == [2, 2]
        assert len(restored[1].metrics_dataframe) == 3
        analysis = tune.ExperimentAnalysis(path, **options)
        assert [trial.last_result["epoch"] for trial in analysis.trials] == [2, 2]


@pytest.mark.keeps_resources
def test_checkpoints_that_are_not_kept_leave_the_bucket_and_artifacts_come_when_asked(bucket: str) -> None:
    def writes(config: dict[str, Any]) -> None:
        for step in range(4):
            Path("notes.txt").write_text(str(step))
            Path("saved").mkdir(exist_ok=True)
            Path("saved", "step").write_text(str(step))
            tune.report({"step": step}, checkpoint=Checkpoint("saved"))

    run_config = RunConfig(
        name="kept",
        storage_path=f"s3://{BUCKET}/more",
        checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        sync_config=SyncConfig(sync_artifacts=True),
    )
    (result,) = Tuner(writes, run_config=run_config).fit()
    store = filesystem(bucket)

    def names() -> set[str]:
        return {info.base_name for info in store.get_file_info(pyarrow.fs.FileSelector(result.path))}

    assert "notes.txt" in names()
    assert {name for name in names() if name.startswith("checkpoint_")} == {"checkpoint_000003"}


@pytest.mark.keeps_resources
def test_an_upload_that_fails_is_that_trials_error(bucket: str) -> None:
    def breaks(config: dict[str, Any]) -> None:
        from ray_async.tune.storage.remote_storage import RemoteStorage

        def refused(self: Any, local: str) -> None:
            raise OSError("no room in the bucket")

        if config["x"] == 1:
            RemoteStorage.upload = refused  # type: ignore[method-assign]
        Path("saved").mkdir(exist_ok=True)
        Path("saved", "x").touch()
        tune.report({"x": config["x"]}, checkpoint=Checkpoint("saved"))

    grid = Tuner(
        tune.with_resources(breaks, {"cpu": 2}),
        param_space={"x": tune.grid_search([0, 1])},
        run_config=RunConfig(name="refused", storage_path=f"s3://{BUCKET}/results"),
    ).fit()
    assert grid.num_errors == 1 and "no room in the bucket" in str(grid.errors[0])


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert located("~/x", None) == ("~/x", None)
    assert located("file:///a/b", None) == ("/a/b", None)
    assert located("/a", pyarrow.fs.LocalFileSystem()) == ("/a", None)
    fsspec = pytest.importorskip("fsspec")
    assert located("/a", fsspec.filesystem("file")) == ("/a", None)
    path, system = located("memory://a/b", None)
    assert path == "/a/b" and system.type_name.startswith("py::fsspec")
    with pytest.raises(TuneError, match="nothing://a"):
        located("nothing://a", None)
    with pytest.raises(TuneError, match="pyarrow or fsspec"):
        located("a", object())


@pytest.mark.keeps_resources
def test_home_relative_and_path_objects_mean_the_drivers_directory(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, expected in (
        ("~/x", tmp_path / "home" / "x"),
        ("./out", tmp_path / "out"),
        (tmp_path / "p", tmp_path / "p"),
    ):
        tuner = Tuner(lambda config: {"a": os.getcwd()}, run_config=RunConfig(name="n", storage_path=given))  # type: ignore[arg-type]
        os.makedirs(tmp_path / "elsewhere", exist_ok=True)
        monkeypatch.chdir(tmp_path / "elsewhere")
        (result,) = tuner.fit()
        monkeypatch.chdir(tmp_path)
        assert Path(result.path).parent == expected / "n" and result.metrics["a"] == result.path
