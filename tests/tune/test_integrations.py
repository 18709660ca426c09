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
    xgboost = importlib.import_module("xgboost")
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
    lightgbm = importlib.import_module("lightgbm")
    callbacks = importlib.import_module("ray_async.tune.integration.lightgbm")
    data = lightgbm.Dataset(X, Y, free_raw_data=False)
    parameters = {"objective": "binary", "metric": "binary_logloss", "verbose": -1, "num_threads": 1}
    callback = callbacks.TuneReportCheckpointCallback({"loss": "eval-binary_logloss"}, frequency=5)
    lightgbm.train(parameters, data, rounds, valid_sets=[data], valid_names=["eval"], callbacks=[callback])
    assert len(notes.reports) == rounds and list(notes.saved) == saved
    assert all(type(report["loss"]) is float for report in notes.reports) and notes.saved[5] == ["model.txt"]


@pytest.mark.filterwarnings("ignore")
def test_lightning_reports_validations_and_not_the_trial_run(notes: Notes, tmp_path: Path) -> None:
    # Too large for the suite: `make test-libraries` has them.
    lightning = pytest.importorskip("lightning.pytorch")
    torch = importlib.import_module("torch")
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


@pytest.fixture
def keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return importlib.import_module("keras")


@pytest.fixture
def model(keras: Any) -> Any:
    made = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    made.compile(loss="mse")
    return made


@pytest.mark.filterwarnings("ignore")
def test_keras_reports_each_epoch(notes: Notes, model: Any) -> None:
    callbacks = importlib.import_module("ray_async.tune.integration.keras")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.ReportCheckpointCallback(metrics={"mse": "loss"})])
    assert [set(report) for report in notes.reports] == [{"mse"}] * 2 and list(notes.saved) == [1, 2]
    assert notes.saved[1] == ["model.keras"] and type(notes.reports[0]["mse"]) is float
    with pytest.raises(KeyError, match="auc"):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.TuneReportCallback("auc")])
    with pytest.raises(ValueError, match="no hook 'midnight'"):
        callbacks.ReportCheckpointCallback(report_metrics_on="midnight")


@pytest.mark.filterwarnings("ignore")
def test_keras_reports_what_an_evaluation_gives_and_the_model_comes_back(
    notes: Notes, keras: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = importlib.import_module("ray_async.tune.integration.keras")
    loaded: list[Any] = []

    def read(metrics: dict[str, Any], checkpoint: Checkpoint) -> None:
        notes.reports.append(metrics)
        loaded.append(keras.models.load_model(f"{checkpoint.path}/model.keras"))

    monkeypatch.setattr(notes, "report", read)
    callback = callbacks.ReportCheckpointCallback(checkpoint_on="test_end", report_metrics_on="test_end")
    loss = model.evaluate(X, Y, verbose=0, callbacks=[callback])
    assert notes.reports == [{"loss": pytest.approx(loss)}]
    assert np.array_equal(loaded[0].predict(X, verbose=0), model.predict(X, verbose=0))


def test_plans_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ValueError, match="frequency"):
        ReportPlan(frequency=-1)
    with pytest.raises(TypeError, match="metrics"):
        ReportPlan(3)  # type: ignore[arg-type]
    plan = ReportPlan({"a": "b"})
    assert plan.chosen({"b": np.float32(0.5), "c": 1}) == {"a": 0.5}
    with pytest.raises(KeyError, match="'b'"):
        plan.chosen({"c": 1})
