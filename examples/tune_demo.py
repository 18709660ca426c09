"""Tune a network that tells handwritten digits, by ASHA and by Optuna's TPE, with a live table and plots.

    python -m examples.tune_demo [--folder FOLDER] [--trials N] [--epochs N]

Both searches draw from one space; random search with ASHA ends weak trials early, TPE trains fewer ones to their end,
so both have about the same number of epochs to spend. The data is the one that scikit-learn ships. All that happens
goes to the folder: after Ctrl-C, or a kill at any point, the same command goes on where it was.
"""

import argparse
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ray_async import tune
from ray_async.tune.schedulers import ASHAScheduler
from ray_async.tune.search import BasicVariantGenerator
from ray_async.tune.search.optuna import OptunaSearch

__all__ = ("best_so_far", "compare", "main", "search", "train_network")

SPACE = {
    "learning_rate": tune.loguniform(1e-4, 1e-1),
    "alpha": tune.loguniform(1e-6, 1e-1),
    "width": tune.choice([8, 16, 32, 64, 128]),
    "batch": tune.choice([16, 32, 64, 128]),
    "momentum": tune.uniform(0.0, 0.98),
}
# One in so many trials goes on at each rung of ASHA.
REDUCTION = 3


def train_network(config: dict[str, Any]) -> None:
    """Train for some epochs, and report how many of the digits not learned from are told right."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.data))
    pixels, labels = digits.data[order] / 16, digits.target[order]
    network = MLPClassifier(
        hidden_layer_sizes=(config["width"],),
        solver="sgd",
        learning_rate_init=config["learning_rate"],
        alpha=config["alpha"],
        batch_size=config["batch"],
        momentum=config["momentum"],
        random_state=0,
    )
    first = 0
    if (checkpoint := tune.get_checkpoint()) is not None:
        saved = pickle.loads(Path(checkpoint.path, "network.pkl").read_bytes())
        network, first = saved["network"], saved["epoch"]
    for epoch in range(first + 1, config["epochs"] + 1):
        network.partial_fit(pixels[:1200], labels[:1200], classes=range(10))
        metrics = {"accuracy": float(network.score(pixels[1200:], labels[1200:])), "loss": float(network.loss_)}
        if epoch % 3:
            tune.report(metrics)
            continue
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "network.pkl").write_bytes(pickle.dumps({"network": network, "epoch": epoch}))
            tune.report(metrics, checkpoint=tune.Checkpoint(folder))


def search(name: str, folder: Path, trials: int, epochs: int) -> Any:
    """Run a search, or go on with the one that the folder holds.

    Args:
        name: ``"asha"`` or ``"tpe"``.
        folder: Where results go.
        trials: How many trials there are.
        epochs: How long the longest are trained.

    Returns:
        The results.
    """
    path = folder / name
    if tune.Tuner.can_restore(path):
        print(f"{name}: goes on from {path}")
        return tune.Tuner.restore(path, train_network).fit()
    learns = name == "tpe"
    config = tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=trials,
        search_alg=OptunaSearch(seed=1) if learns else BasicVariantGenerator(random_state=1),
        scheduler=None if learns else ASHAScheduler(max_t=epochs, grace_period=1, reduction_factor=REDUCTION),
    )
    run = tune.RunConfig(
        name=name,
        storage_path=str(folder),
        checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        progress_reporter=None,
    )
    space = {**SPACE, "epochs": epochs}
    return tune.Tuner(train_network, param_space=space, tune_config=config, run_config=run).fit()


def best_so_far(grid: Any) -> list[float]:
    """The best accuracy after each epoch that any trial was trained, in the order in which they came."""
    frames = [result.metrics_dataframe for result in grid if result.metrics_dataframe is not None]
    rows = sorted((row.timestamp, row.time_total_s, row.accuracy) for frame in frames for row in frame.itertuples())
    best, found = 0.0, []
    for _, _, accuracy in rows:
        best = max(best, accuracy)
        found.append(best)
    return found


def compare(grids: dict[str, Any], path: Path) -> None:
    """Draw what the best network told wrongly by epochs spent, one line for each search."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, grid in grids.items():
        values = [1 - accuracy for accuracy in best_so_far(grid)]
        label = f"{name}, {len(grid)} trials"
        axes.step(range(1, len(values) + 1), values, where="post", linewidth=2, label=label)
    axes.set_xlabel("epochs that were trained, over all trials")
    axes.set_ylabel("share told wrongly by the best so far")
    axes.set_yscale("log")
    axes.set_title("Digits: what each search had found when")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def show(grids: dict[str, Any]) -> None:
    """Print both searches side by side."""
    print(f"\n{'':<34}" + "".join(f"{name:>24}" for name in grids))
    rows: dict[str, list[str]] = {"trials": [], "epochs": [], "best accuracy": []}
    best = {name: grid.get_best_result(scope="all") for name, grid in grids.items()}
    for name, grid in grids.items():
        rows["trials"].append(str(len(grid)))
        rows["epochs"].append(str(len(best_so_far(grid))))
        rows["best accuracy"].append(f"{best_so_far(grid)[-1]:.4f}")
        for parameter in SPACE:
            rows.setdefault(f"its {parameter}", []).append(f"{best[name].config[parameter]:.4g}")
    for title, cells in rows.items():
        print(f"{title:<34}" + "".join(f"{cell:>24}" for cell in cells))


def main() -> int:
    """Run both searches, compare them, draw all plots.

    Returns:
        130 after Ctrl-C, else 0.
    """
    parser = argparse.ArgumentParser(description="Tune a network by ASHA and by Optuna's TPE.")
    parser.add_argument("--folder", type=Path, default=Path("tune-demo"), help="where results go (tune-demo)")
    parser.add_argument("--trials", type=int, default=90, help="of ASHA; TPE has a sixth of these, to their end")
    parser.add_argument("--epochs", type=int, default=27, help="of the longest trials")
    options = parser.parse_args()
    sizes = {"asha": options.trials, "tpe": max(options.trials // 6, 1)}
    grids: dict[str, Any] = {}
    for name, trials in sizes.items():
        print(f"{name}: {trials} trials of up to {options.epochs} epochs")
        grid = search(name, options.folder, trials, options.epochs)
        if grid.num_terminated + grid.num_errors < trials:
            print("Interrupted: the same command goes on where this one was.")
            return 130
        grids[name] = grid
    show(grids)
    compare(grids, options.folder / "comparison.png")
    for name, grid in grids.items():
        for kind in ("curves", "history", "parallel", "importance", "rungs"):
            grid.plot(kind).savefig(options.folder / f"{name}-{kind}.png", dpi=120)
    print(f"\nPlots are in {options.folder}; remove that folder to begin anew.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
