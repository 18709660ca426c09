"""History: all results of an experiment's trials, read back from its journal."""

from __future__ import annotations

import os
from typing import Any

from ray_async.tune.execution import messages as m
from ray_async.tune.execution.report_result import filled
from ray_async.tune.journal.journal import read_journal

__all__ = ("History",)


class History:
    """Results of all trials of an experiment.

    Args:
        folder: The experiment's directory.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._rows: dict[str, dict[int, dict[str, Any]]] | None = None
        self._read = -1

    def rows(self, trial_id: str, last_iteration: int | None = None) -> list[dict[str, Any]]:
        """Results of a trial: each iteration once, as the last start that came to it has reported it.

        Args:
            trial_id: The trial.
            last_iteration: Reports beyond this came after the trial's end.
        """
        found = self._all().get(trial_id, {})
        return [row for n, row in sorted(found.items()) if last_iteration is None or n <= last_iteration]

    def _all(self) -> dict[str, dict[int, dict[str, Any]]]:
        size = os.path.getsize(os.path.join(self._folder, "journal.bin")) if os.path.isdir(self._folder) else 0
        if self._rows is None or size != self._read:
            self._rows, self._read = self._load(), size
        return self._rows

    def _load(self) -> dict[str, dict[int, dict[str, Any]]]:
        rows: dict[str, dict[int, dict[str, Any]]] = {}
        configs: dict[str, dict[str, Any]] = {}
        tags: dict[str, str] = {}
        for record in read_journal(self._folder):
            if record[0] == "trial":
                configs[record[1]] = record[2]
            elif record[0] == "config":
                configs[record[1]], tags[record[1]] = record[2], record[3]
            elif record[0] == "messages":
                facts = m.RunnerFacts(*record[1])
                for message in record[2]:
                    if message[0] != m.REPORT:
                        continue
                    report = m.TrialReport(*message)
                    mine = rows.setdefault(report.trial_id, {})
                    # A later start takes the place of all that an earlier one had reported from here on.
                    if report.since_restore[0] == 1:
                        for n in [n for n in mine if n >= report.iteration]:
                            del mine[n]
                    config = configs.get(report.trial_id, {})
                    mine[report.iteration] = filled(report, facts, config, tags.get(report.trial_id, ""))
        return rows
