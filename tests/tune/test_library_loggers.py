"""Loggers of other libraries: TensorBoard's files read back, MLflow's and W&B's runs where these are installed."""

import importlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ray_async.train.messages import RunFacts, WorldPlace
from ray_async.train.train_session import TrainSession
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.logger import LoggerCallback, TBXLoggerCallback, pretty_print

CONFIG: dict[str, Any] = {
    "none": None, "tuple": (1, 2), "nest": {"lr": np.float64(0.5), "list": ["a"]}, "count": np.int64(3), "yes": True,
    "function": len, "class": dict,
}  # fmt: skip


def trial(tmp_path: Path) -> Trial:
    (tmp_path / "t").mkdir()
    return Trial("train", config=CONFIG, trial_id="e_00000", path=str(tmp_path / "t"))


def result(iteration: int, **metrics: Any) -> dict[str, Any]:
    filled = {"training_iteration": iteration, "timestamp": 1, "iterations_since_restore": iteration, "config": CONFIG}
    return {**metrics, **filled, "trial_id": "e_00000", "date": "today", "done": False}


def logged(callback: LoggerCallback, one: Trial) -> None:
    callback.setup()
    callback.log_trial_start(one)
    callback.log_trial_start(one)  # a retry goes on in the same run
    for iteration in (1, 2):
        one.last_result = result(iteration, loss=np.float32(1 / iteration), eval={"acc": iteration}, word="x")
        callback.log_trial_result(iteration, one, one.last_result)
    callback.log_trial_end(one)
    callback.log_trial_end(one)
    assert pickle.loads(pickle.dumps(callback)) is not None


def events(folder: str) -> list[Any]:
    """The events of TensorBoard's files."""
    pb: Any = importlib.import_module("tensorboardX.proto.event_pb2")
    found = []
    for path in sorted(Path(folder).glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = pb.Event()
            event.ParseFromString(data[12 : 12 + length])
            found.append(event)
            data = data[16 + length :]
    return found


def test_tensorboard_has_scalars_and_every_scalar_leaf_of_the_config(tmp_path: Path) -> None:
    one = trial(tmp_path)
    callback = TBXLoggerCallback()
    logged(callback, one)
    assert not callback._writers
    scalars = {}
    hyperparameters: set[str] = set()
    hparams: Any = importlib.import_module("tensorboardX.proto.plugin_hparams_pb2")
    for event in events(str(one.path)):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars[value.tag, event.step] = value.simple_value
            elif value.tag == "_hparams_/session_start_info":
                data = hparams.HParamsPluginData()
                data.ParseFromString(value.metadata.plugin_data.content)
                hyperparameters |= set(data.session_start_info.hparams)
    assert scalars["ray/tune/loss", 2] == 0.5 and scalars["ray/tune/eval/acc", 1] == 1
    assert hyperparameters == {"none", "tuple/0", "tuple/1", "nest/lr", "nest/list/0", "count", "yes"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.keeps_resources  # MLflow keeps its database open
def test_mlflow_has_a_run_for_each_trial(tmp_path: Path) -> None:
    mlflow = importlib.import_module("mlflow")
    logger = importlib.import_module("ray_async.tune.logger.mlflow")
    # Newer versions keep no runs in files.
    uri = f"sqlite:///{tmp_path}/runs.db"
    callback = logger.MLflowLoggerCallback(uri, experiment_name="lr", tags={"team": "a"})
    logged(callback, trial(tmp_path))
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("lr").experiment_id])
    assert run.info.status == "FINISHED" and run.data.tags["team"] == "a"
    assert run.data.metrics["loss"] == 0.5 and run.data.metrics["eval/acc"] == 2
    assert run.data.params["nest/lr"] == "0.5"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.keeps_resources
def test_wandb_gets_configs_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = importlib.import_module("ray_async.tune.logger.wandb")
    calls: list[Any] = []

    class Run:
        def log(self, metrics: dict[str, Any], step: int) -> None:
            calls.append((step, metrics))

        def finish(self, exit_code: int) -> None:
            calls.append(exit_code)

    def init(**options: Any) -> Run:
        calls.append(options)
        return Run()

    monkeypatch.setattr("wandb.init", init)
    logged(logger.WandbLoggerCallback("project", excludes=["word"]), trial(tmp_path))
    options, first, second, code = calls
    assert (options["project"], options["id"], options["config"]["nest"]["lr"]) == ("project", "e_00000", 0.5)
    assert first[0] == 1 and first[1]["loss"] == 1.0 and "word" not in first[1]
    assert second[1]["eval/acc"] == 2 and code == 0
    with pytest.raises(ValueError, match="api_key"):
        logger.WandbLoggerCallback("project", api_key="a", api_key_file="b")
    monkeypatch.delenv("WANDB_PROJECT_NAME", raising=False)
    with pytest.raises(ValueError, match="project"):
        logger.WandbLoggerCallback()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.keeps_resources  # W&B's own process, until it is told to go
def test_wandb_has_a_run_for_each_of_trials_that_run_side_by_side(tmp_path: Path) -> None:
    wandb: Any = importlib.import_module("wandb")
    logger = importlib.import_module("ray_async.tune.logger.wandb")
    callback = logger.WandbLoggerCallback("project", mode="offline", dir=str(tmp_path))
    trials = [Trial("train", config={"lr": lr}, trial_id=f"e_{lr}", path=str(tmp_path / str(lr))) for lr in (3, 5)]
    try:
        for one in trials:
            callback.log_trial_start(one)
        for one in trials:
            callback.log_trial_result(1, one, {**result(1, loss=0.5, eval={"acc": 1}), "trial_id": one.trial_id})
        for one in trials:
            callback.log_trial_end(one)
    finally:
        wandb.teardown()
    files = [path.read_bytes() for path in sorted(tmp_path.glob("wandb/offline-run-*/run-e_*.wandb"))]
    for data, own, other in zip(files, (b"e_3", b"e_5"), (b"e_5", b"e_3"), strict=True):
        assert b"eval/acc" in data and own in data and other not in data


@pytest.mark.parametrize("name", ["mlflow", "wandb", "comet"])
def test_the_paths_of_ray_lead_there(name: str) -> None:
    module = importlib.import_module(f"ray_async.air.integrations.{name}")
    kind = {"mlflow": "MLflow", "wandb": "Wandb", "comet": "Comet"}[name]
    assert issubclass(getattr(module, f"{kind}LoggerCallback"), LoggerCallback)
    with pytest.raises(AttributeError):
        _ = module.nothing


def test_other_ranks_of_a_trainer_get_runs_that_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = TrainSession(WorldPlace(1, 2), RunFacts(), None, {})
    monkeypatch.setattr("ray_async.air.session._current", session)
    for name in ("mlflow", "wandb"):
        module = importlib.import_module(f"ray_async.tune.logger.{name}")
        with getattr(module, f"setup_{name}")({"lr": 1}).start_run() as run:
            run.log({"loss": 1})
            assert not hasattr(run, "__len__")


def test_pretty_print_is_json_without_the_config() -> None:
    text = pretty_print(result(1, loss=np.float32(0.5), none=None))
    assert '"loss": 0.5' in text and "config" not in text and "none" not in text
