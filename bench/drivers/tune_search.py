"""Searches that the benchmark of Tune measures, with ray_async, Ray, Optuna or joblib: prints what was seen as JSON.

python -m bench.drivers.tune_search ROW LIBRARY SIZE
"""

from __future__ import annotations

import atexit
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ("main",)

SLEEP_S = 0.1
CPUS = 16


def objective(config: dict[str, Any]) -> dict[str, float]:
    """Costs nothing."""
    return {"loss": (config["x"] - 0.3) ** 2 + config["y"]}


def sleeping(config: dict[str, Any]) -> dict[str, float]:
    """Takes a tenth of a second."""
    time.sleep(SLEEP_S)
    return objective(config)


def _reporting(package: str, count: int) -> Callable[[dict[str, Any]], None]:
    def train(config: dict[str, Any]) -> None:
        tune = import_module(f"{package}.tune")
        for step in range(count):
            tune.report({"loss": config["x"] + step, "accuracy": 0.5})

    return train


def _uneven(package: str) -> Callable[[dict[str, Any]], None]:
    def train(config: dict[str, Any]) -> None:
        tune = import_module(f"{package}.tune")
        slept = 0.0
        for _ in range(9):
            began = time.perf_counter()
            time.sleep(0.01 + 0.05 * config["x"])
            slept += time.perf_counter() - began
            tune.report({"loss": config["y"], "slept": slept})

    return train


@dataclass
class Span:
    """One start of a trial in a worker.

    Args:
        begin: When it began, in seconds since the epoch.
        end: When it reported for the last time.
        busy: Seconds that its function has slept: waiting for the scheduler's verdicts is not among them.
    """

    begin: float
    end: float
    busy: float

    def busy_until(self, until: float) -> float:
        """Seconds of the same before a time: evenly spread."""
        share = (min(self.end, until) - self.begin) / max(self.end - self.begin, 1e-9)
        return self.busy * max(share, 0.0)


def _spans(path: str) -> list[list[Span]]:
    """What each worker of a search has run, in order, by its journal."""
    from ray_async.tune.execution.messages import unpack
    from ray_async.tune.journal.journal import read_journal

    found: dict[int, dict[tuple[str, int], Span]] = {}
    for record in read_journal(path):
        for message in record[2] if record[0] == "messages" else ():
            if message[0] == "report":
                end, since = message[7], message[8][1]
                busy = float(unpack(message[4]).get("slept", since))
                found.setdefault(record[1][0], {})[message[1], message[2]] = Span(end - since, end, busy)
    return [sorted(spans.values(), key=lambda span: span.begin) for spans in found.values()]


class Session:
    """A session of one library, with results in a folder of its own.

    Args:
        package: ``ray_async`` or ``ray``.
        cpus: Logical CPUs.
    """

    def __init__(self, package: str, cpus: int = 2) -> None:
        self.ray: Any = import_module(package)
        self.tune: Any = import_module(f"{package}.tune")
        self.package = package
        self.folder = tempfile.mkdtemp(prefix="bench-tune-")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.ray.init(num_cpus=cpus, log_to_driver=False)
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.cpu = time.process_time()

    def settle(self) -> None:
        """Wait until the session has started: what it imports at first is there for the workers that are to come."""
        self.ray.get(self.ray.remote(lambda: 1).remote())
        time.sleep(2)

    def fit(self, trainable: Any, samples: int, **config: Any) -> tuple[float, Any]:
        """Run a search; seconds, and its results."""
        tune = self.tune
        tuner = tune.Tuner(
            trainable,
            param_space={"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, **config),
            run_config=tune.RunConfig(name="e", storage_path=self.folder, verbose=0),
        )
        began = time.perf_counter()
        grid = tuner.fit()
        return time.perf_counter() - began, grid


def trials(package: str, size: int, files: bool = False) -> dict[str, float]:
    """Trivial trials with random search."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "0" if files else "1"
    session = Session(package)
    seconds, grid = session.fit(objective, size)
    assert len(grid) == size and grid.num_errors == 0
    seen = {"rate": size / seconds, "driver_cpu_ms": (time.process_time() - session.cpu) / size * 1e3}
    seen["megabytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - session.before) / 1024
    if package == "ray_async":
        from ray_async.tune.journal.journal import read_journal

        path = os.path.join(session.folder, "e")
        messages = [m for record in read_journal(path) if record[0] == "messages" for m in record[2]]
        times = sorted(message[7] for message in messages if message[0] == "report")
        part = size // 10
        seen["slowing"] = (times[-1] - times[-part]) / (times[part + 100] - times[100])
        session.ray.shutdown()
        began = time.perf_counter()
        session.tune.Tuner.restore(path, objective).get_results()
        seen["restore_s"] = time.perf_counter() - began
    return seen


def with_files(package: str, size: int) -> dict[str, float]:
    """The same with files for each trial."""
    return trials(package, size, files=True)


def tpe(package: str, size: int) -> dict[str, float]:
    """Optuna's TPE: alone, or through the adapter."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if package == "optuna":
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
        began = time.perf_counter()
        study.optimize(lambda t: objective({n: t.suggest_float(n, 0, 1) for n in ("x", "y")})["loss"], n_trials=size)
        return {"rate": size / (time.perf_counter() - began)}
    session = Session(package)
    searcher = import_module(f"{package}.tune.search.optuna").OptunaSearch(seed=1)
    seconds, grid = session.fit(objective, size, search_alg=searcher)
    assert len(grid) == size
    return {"rate": size / seconds}


def reports(package: str, size: int, scheduler: Any = None) -> dict[str, float]:
    """Quick reports of two trials at a time."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    session = Session(package)
    seconds, grid = session.fit(_reporting(package, size // 2), 2, scheduler=scheduler)
    assert grid.num_errors == 0
    return {"rate": size / seconds}


def asha_reports(package: str, size: int) -> dict[str, float]:
    """The same, judged by ASHA, with rungs that none falls at."""
    asha = import_module(f"{package}.tune.schedulers").ASHAScheduler(max_t=size, grace_period=size // 2)
    return reports(package, size, asha)


def waiting(package: str, size: int) -> dict[str, float]:
    """Trials of a tenth of a second on sixteen logical CPUs."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    ideal = size * SLEEP_S / CPUS
    if package == "joblib":
        import joblib

        configs = [{"x": random.random(), "y": random.random()} for _ in range(size)]
        joblib.Parallel(CPUS)(joblib.delayed(sleeping)(config) for config in configs[:CPUS])
        began = time.perf_counter()
        joblib.Parallel(CPUS)(joblib.delayed(sleeping)(config) for config in configs)
        return {"overhead": (time.perf_counter() - began) / ideal - 1}
    session = Session(package, CPUS)
    session.settle()
    seconds, _ = session.fit(sleeping, size)
    return {"overhead": seconds / ideal - 1}


def idle(package: str, size: int) -> dict[str, float]:
    """ASHA with trials of uneven length: the share of the workers' time in which no trial's function runs.

    A worker's time begins with its first trial and ends when the last trial of the search begins: after that there is
    nothing that it could do. ``whole`` counts all seconds from ``fit`` to its return instead.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    asha = import_module(f"{package}.tune.schedulers").ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3)
    session = Session(package, CPUS)
    session.settle()
    seconds, _ = session.fit(_uneven(package), size, scheduler=asha)
    workers = _spans(os.path.join(session.folder, "e"))
    until = max(spans[-1].begin for spans in workers)
    busy = sum(span.busy_until(until) for spans in workers for span in spans)
    there = sum(until - spans[0].begin for spans in workers)
    whole = sum(span.busy for spans in workers for span in spans) / (CPUS * seconds)
    return {"idle": 1 - busy / there, "whole": 1 - whole}


def first(package: str, size: int) -> dict[str, float]:
    """From `fit` to the first report, in a session that has started."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    session = Session(package)
    session.settle()

    def train(config: dict[str, Any]) -> dict[str, float]:
        return {"at": time.time(), "loss": 0.0}

    began = time.time()
    _, grid = session.fit(train, size)
    return {"seconds": min(result.metrics["at"] for result in grid) - began}


ROWS: dict[str, Callable[[str, int], dict[str, float]]] = {
    "trials": trials,
    "files": with_files,
    "tpe": tpe,
    "reports": reports,
    "asha_reports": asha_reports,
    "waiting": waiting,
    "idle": idle,
    "first": first,
}


def main() -> None:
    """Run one row."""
    row, package, size = sys.argv[1:]
    print(json.dumps(ROWS[row](package, int(size))), flush=True)


if __name__ == "__main__":
    main()
