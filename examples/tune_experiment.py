"""Tune: a search over a model's learning rate and size, with early stopping. Needs torch.

$ python -m examples.tune_experiment
"""

# A program written for Ray has here: `from ray import tune` and `from ray.tune.schedulers import ASHAScheduler`.
from typing import Any

from ray_async import tune
from ray_async.tune.schedulers import ASHAScheduler


def train_model(config: dict[str, Any]) -> None:
    import torch
    import torch.nn as nn

    model = nn.Sequential(
        nn.Linear(10, config["hidden_size"]),
        nn.ReLU(),
        nn.Linear(config["hidden_size"], 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])

    for epoch in range(20):
        x = torch.randn(64, 10)
        y = torch.randn(64, 1)
        loss = nn.MSELoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tune.report({"loss": loss.item(), "epoch": epoch})


def main() -> None:
    scheduler = ASHAScheduler(max_t=20, grace_period=5, reduction_factor=2)

    results = tune.run(
        train_model,
        config={
            "lr": tune.loguniform(1e-4, 1e-1),
            "hidden_size": tune.choice([32, 64, 128, 256]),
        },
        num_samples=20,
        scheduler=scheduler,
        metric="loss",
        mode="min",
        resources_per_trial={"cpu": 2, "gpu": 0},
    )

    best = results.get_best_result()
    print(f"Best config: {best.config}")
    print(f"Best loss: {best.metrics['loss']:.4f}")


if __name__ == "__main__":
    main()
