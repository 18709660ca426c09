"""Integrations: report callbacks of other libraries, by a session that notes what they report."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ray_async.air import session as air_session
from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.integration.report_plan import ReportPlan


class Notes:
    """A session that notes reports, and which files came with them."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.saved: dict[int, list[str]] = {}

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        self.reports.append(metrics)
        if checkpoint is not None:
            self.saved[len(self.reports)] = sorted(path.name for path in Path(checkpoint.path).iterdir())

    async def judged(self) -> None:
        """Nobody judges."""

    def get_checkpoint(self) -> Checkpoint | None:
        return None


@pytest.fixture
def notes() -> Iterator[Notes]:
    noted = Notes()
    air_session.set_current(noted)
    yield noted
    air_session.set_current(None)


X = np.arange(40.0).reshape(20, 2)
Y = np.array([0, 1] * 10)


@pytest.mark.parametrize(("rounds", "saved"), [(13, [5, 10, 13]), (15, [5, 10, 15])])
@pytest.mark.filterwarnings("ignore")
def test_xgboost_saves_every_fifth_round_and_the_last_one_once(notes: Notes, rounds: int, saved: list[int]) -> None:
    xgboost = pytest.importorskip("xgboost")
    callbacks = importlib.import_module("ray_async.tune.integration.xgboost")
    data = xgboost.DMatrix(X, Y)
    callback = callbacks.TuneReportCheckpointCallback({"loss": "eval-logloss"}, frequency=5)
    parameters = {"objective": "binary:logistic", "eval_metric": ["logloss", "error"], "nthread": 1}
    xgboost.train(parameters, data, rounds, evals=[(data, "eval")], callbacks=[callback], verbose_eval=False)
    assert len(notes.reports) == rounds and list(notes.saved) == saved
    assert all(set(report) == {"loss"} and type(report["loss"]) is float for report in notes.reports)
    assert notes.saved[saved[0]] == ["model.ubj"]
    with pytest.raises(KeyError, match="eval-auc"):
        xgboost.train(parameters, data, 1, evals=[(data, "eval")], callbacks=[callbacks.TuneReportCallback("eval-auc")])


@pytest.mark.parametrize(("rounds", "saved"), [(13, [5, 10, 13]), (15, [5, 10, 15])])
@pytest.mark.filterwarnings("ignore")
def test_lightgbm_saves_every_fifth_round_and_the_last_one_once(notes: Notes, rounds: int, saved: list[int]) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    callbacks = importlib.import_module("ray_async.tune.integration.lightgbm")
    data = lightgbm.Dataset(X, Y, free_raw_data=False)
    parameters = {"objective": "binary", "metric": "binary_logloss", "verbose": -1, "num_threads": 1}
    callback = callbacks.TuneReportCheckpointCallback({"loss": "eval-binary_logloss"}, frequency=5)
    lightgbm.train(parameters, data, rounds, valid_sets=[data], valid_names=["eval"], callbacks=[callback])
    assert len(notes.reports) == rounds and list(notes.saved) == saved
    assert all(type(report["loss"]) is float for report in notes.reports) and notes.saved[5] == ["model.txt"]


@pytest.mark.filterwarnings("ignore")
def test_lightning_reports_validations_and_not_the_trial_run(notes: Notes, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    torch = pytest.importorskip("torch")
    callbacks = importlib.import_module("ray_async.tune.integration.pytorch_lightning")

    class Model(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.layer(batch[0]).mean()

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self.layer(batch[0]).mean())

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.01)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=2)
    callback = callbacks.TuneReportCheckpointCallback({"loss": "val_loss"}, on="validation_end")
    trainer = lightning.Trainer(
        max_epochs=3, num_sanity_val_steps=2, callbacks=[callback], logger=False, default_root_dir=str(tmp_path),
        enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Model(), data, data)
    assert len(notes.reports) == 3 and all(type(report["loss"]) is float for report in notes.reports)
    assert list(notes.saved) == [1, 2, 3]


@pytest.mark.filterwarnings("ignore")
def test_keras_reports_each_epoch(notes: Notes) -> None:
    keras = pytest.importorskip("keras")
    callbacks = importlib.import_module("ray_async.tune.integration.keras")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.ReportCheckpointCallback(metrics={"loss": "loss"})])
    assert len(notes.reports) == 2 and list(notes.saved) == [1, 2]


def test_plans_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ValueError, match="frequency"):
        ReportPlan(frequency=-1)
    with pytest.raises(TypeError, match="metrics"):
        ReportPlan(3)  # type: ignore[arg-type]
    plan = ReportPlan({"a": "b"})
    assert plan.chosen({"b": np.float32(0.5), "c": 1}) == {"a": 0.5}
    with pytest.raises(KeyError, match="'b'"):
        plan.chosen({"c": 1})
