"""Workers of torch as one process group. Torch is too large for the suite to install: it runs where torch is."""

from typing import Any

import pytest

from ray_async import train, tune
from ray_async.train import RunConfig, ScalingConfig
from ray_async.train.torch.torch_config import TorchConfig

pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("session")


def loop(config: dict[str, Any]) -> dict[str, Any]:
    import os

    import torch
    import torch.distributed as dist
    from torch.utils.data import DataLoader, TensorDataset

    from ray_async.train.torch import enable_reproducibility, get_device, prepare_data_loader, prepare_model

    rank, size = dist.get_rank(), dist.get_world_size()
    context = train.get_context()
    assert (rank, size) == (context.get_world_rank(), context.get_world_size())
    assert (os.environ["RANK"], os.environ["WORLD_SIZE"], dist.get_backend()) == (str(rank), str(size), "gloo")
    assert get_device() == torch.device("cpu")
    enable_reproducibility(1)
    model = prepare_model(torch.nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"])
    x = torch.arange(8.0).reshape(8, 1) / 8
    loader = prepare_data_loader(DataLoader(TensorDataset(x, 3 * x + 1), batch_size=2, shuffle=True))
    seen: list[float] = []
    loss = torch.zeros(())
    for _ in range(config["epochs"]):
        seen = []
        for inputs, wanted in loader:
            seen += inputs.flatten().tolist()
            loss = (model(inputs) - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        train.report({"loss": loss})
    weight = next(model.parameters()).detach().clone()
    both = [torch.zeros_like(weight) for _ in range(size)]
    dist.all_gather(both, weight)
    return {"same": all(torch.equal(weight, other) for other in both), "seen": len(seen)}


def test_gradients_are_shared_and_data_is_divided() -> None:
    from ray_async.train.torch import TorchTrainer

    result = TorchTrainer(
        loop,
        train_loop_config={"lr": 0.2, "epochs": 5},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(name="torch"),
    ).fit()
    assert result.return_value == {"same": True, "seen": 4}
    losses = list(result.metrics_dataframe["loss"])
    assert isinstance(result.metrics["loss"], float) and losses[-1] < losses[0]


def test_a_search_over_trainers() -> None:
    from ray_async.train.torch import TorchTrainer

    grid = tune.Tuner(
        TorchTrainer(
            loop,
            train_loop_config={"epochs": 3},
            torch_config=TorchConfig(backend="gloo", timeout_s=60),
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(verbose=0),
        ),
        param_space={"train_loop_config": {"lr": tune.grid_search([0.0, 0.2])}},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
    ).fit()
    assert grid.num_errors == 0, grid.errors
    assert grid.get_best_result().metrics["config"]["train_loop_config"]["lr"] == 0.2
    assert grid[0].metrics["training_iteration"] == 3
