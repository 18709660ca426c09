"""Result grid: the outcomes of all trials of a search."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, overload

from ray_async.air.result import Result
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.metric import check_mode, flatten, lookup, number, rank
from ray_async.tune.results.history import History
from ray_async.tune.results.scoring import best_of
from ray_async.tune.storage.remote_storage import RemoteStorage

__all__ = ("ResultGrid", "trial_result")


def trial_result(trial: Trial, history: History | None, storage: RemoteStorage | None = None) -> Result:
    """The outcome of a trial.

    Args:
        trial: The trial.
        history: Gives what it has reported.
        storage: Where the experiment is kept; None: in its local directory.
    """
    last = trial.last_result
    # One that has reported nothing has a config all the same.
    metrics = last if "config" in last else {"config": trial.config, "trial_id": trial.trial_id, **last}
    rows = None
    if history is not None:
        end = last.get("training_iteration")
        rows = lambda: history.rows(trial.trial_id, end)  # noqa: E731
    kept = []
    if trial.latest is not None:
        kept = [(record.checkpoint, record.metrics) for record in trial.checkpoints.records]
    path = trial.path or ""
    if storage is not None:
        kept = [(storage.checkpoint(checkpoint), held) for checkpoint, held in kept]
        path = storage.remote_path(path)
    return Result(
        metrics,
        checkpoint=kept[-1][0] if kept else None,
        error=trial.error,
        path=path,
        rows=rows,
        best_checkpoints=kept,
        filesystem=storage.filesystem if storage is not None else None,
    )


class ResultGrid:
    """Outcomes of all trials of a search, in the order in which these were made.

    Args:
        experiment_analysis: The trials, or an `ExperimentAnalysis` that has them and knows all the rest.
        experiment_path: The experiment's directory.
        metric: The metric that was optimised.
        mode: ``"min"`` or ``"max"``.
        storage: Where the experiment is kept; None: in that directory.
    """

    def __init__(
        self,
        experiment_analysis: Any,
        experiment_path: str | None = None,
        metric: str | None = None,
        mode: str | None = None,
        storage: RemoteStorage | None = None,
    ) -> None:
        known = experiment_analysis
        trials: list[Trial] = known if isinstance(known, list) else known.trials
        self._trials = trials
        self._path: str = experiment_path or str(getattr(known, "experiment_path", ""))
        self._metric = metric or getattr(known, "default_metric", None)
        self._mode = mode or getattr(known, "default_mode", None)
        self._storage = storage
        self._history = History(self._path)
        # Made when somebody looks at them.
        self._results: dict[int, Result] = {}

    @property
    def experiment_path(self) -> str:
        """The experiment's directory, on its file system."""
        return self._path if self._storage is None else self._storage.path

    @property
    def filesystem(self) -> Any:
        """The file system of pyarrow on which the directory lies."""
        if self._storage is not None:
            return self._storage.filesystem
        import pyarrow.fs

        return pyarrow.fs.LocalFileSystem()

    def get_best_result(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> Result:
        """The result of the trial whose metric is best.

        Args:
            metric: The metric's name; that of the search by default.
            mode: ``"min"`` or ``"max"``; that of the search by default.
            scope: What is compared: ``"last"``, ``"all"`` (each trial's best), ``"avg"``, ``"last-5-avg"`` or
                ``"last-10-avg"``.
            filter_nan_and_inf: Whether trials whose value is NaN, or infinitely bad, are left out.

        Raises:
            ValueError: No metric or mode is known.
            RuntimeError: No trial has the metric.
        """
        if len(self._trials) == 1:
            return self[0]
        metric, mode = metric or self._metric, mode or self._mode
        if metric is None or mode is None:
            missing = "metric" if metric is None else "mode"
            raise ValueError(f"there are several trials: give a {missing}, here or in TuneConfig")
        best = best_of(self._trials, metric, mode, scope, filter_nan_and_inf)
        if best is None:
            raise RuntimeError(
                f"No best trial found for the metric {metric!r}: no trial has reported a number for it. "
                f"{self.num_errors} of {len(self)} trials failed."
            )
        return self[self._trials.index(best)]

    def get_dataframe(self, filter_metric: str | None = None, filter_mode: str | None = None) -> Any:
        """The last results as a frame of pandas, a row for each trial.

        Args:
            filter_metric: A metric by which each trial's best result is taken instead.
            filter_mode: ``"min"`` or ``"max"``.
        """
        import pandas

        rows = []
        for result in self:
            row = dict(result.metrics)
            if filter_metric is not None:
                check_mode(filter_mode, optional=False)
                row = _best_row(result, filter_metric, filter_mode or "max") or row
            flat = {name: value for name, value in flatten(row).items() if not name.startswith("config/")}
            flat.pop("config", None)
            flat["logdir"] = os.path.basename(result.path)
            flat.update(flatten(result.config or {}, "config/"))
            rows.append(flat)
        return pandas.DataFrame(rows)

    def plot(
        self,
        kind: str = "history",
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> Any:
        """A picture of the search, as a figure of matplotlib.

        Args:
            kind: ``"history"`` (each trial's metric and the best so far), ``"curves"`` (learning curves),
                ``"parallel"`` (parameters and metric, a line for each trial), ``"importance"`` (of the parameters),
                ``"rungs"`` (how many trials have come how far).
            metric: The metric's name; that of the search by default.
            mode: ``"min"`` or ``"max"``; that of the search by default.
            time_attr: What curves run over.

        Returns:
            The figure; a notebook shows it, and ``savefig`` writes it to a file.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: Another kind, or no metric or mode is known.

        Example:
            >>> grid.plot("curves").savefig("curves.png")  # doctest: +SKIP
        """
        from ray_async.tune.plots.kinds import plot
        from ray_async.tune.plots.search_data import SearchData

        data = SearchData(self._trials, self._history, metric or self._metric, mode or self._mode, time_attr)
        return plot(kind, data)

    def __len__(self) -> int:
        return len(self._trials)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...

    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self._trials))[index]]
        place = range(len(self._trials))[index]
        found = self._results.get(place)
        if found is None:
            found = self._results[place] = trial_result(self._trials[place], self._history, self._storage)
        return found

    def __iter__(self) -> Iterator[Result]:
        return (self[place] for place in range(len(self._trials)))

    @property
    def errors(self) -> list[BaseException]:
        """The failures of the trials that failed."""
        return [trial.error for trial in self._trials if trial.status == Trial.ERROR and trial.error is not None]

    @property
    def num_errors(self) -> int:
        """How many trials failed."""
        return sum(trial.status == Trial.ERROR for trial in self._trials)

    @property
    def num_terminated(self) -> int:
        """How many trials ended well."""
        return sum(trial.status == Trial.TERMINATED for trial in self._trials)

    def __repr__(self) -> str:
        inner = ",\n  ".join(repr(result).replace("\n", "\n  ") for result in self)
        return f"ResultGrid<[\n  {inner}\n]>"


def _best_row(result: Result, metric: str, mode: str) -> dict[str, Any] | None:
    rows = [dict(row) for row in result._rows()] if result._rows is not None else []
    best: dict[str, Any] | None = None
    best_rank = (False, 0.0)
    for row in rows:
        value = number(lookup(row, metric))
        if value is None:
            continue
        own = rank(value if mode == "max" else -value)
        if best is None or own > best_rank:
            best, best_rank = row, own
    return best
