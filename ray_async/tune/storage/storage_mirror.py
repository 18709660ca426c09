"""Storage mirror: copies what a search writes into its local directory to its storage, now and then and at the end."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ray_async.air.config import SyncConfig
from ray_async.tune.execution import effects as e
from ray_async.tune.storage.remote_storage import RemoteStorage

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("StorageMirror",)

_logger = logging.getLogger("ray_async.tune")
# Files that Tune itself writes for a trial; others are the user's artifacts.
_OWN = ("params.json", "params.pkl", "result.json", "progress.csv", "error.txt", "error.pkl", "stdout", "stderr")
# Seconds from one copy of the journal to the next, at most.
JOURNAL_SECONDS = 10.0


class StorageMirror:
    """Copies a search's directory.

    Args:
        storage: The experiment's storage.
        sync: How often, and whether the user's files too.
    """

    def __init__(self, storage: RemoteStorage, sync: SyncConfig) -> None:
        self._storage = storage
        self._sync = sync
        # Size and time of the last change, of each file when it was copied.
        self._copied: dict[str, tuple[int, int]] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="tune-storage", daemon=True)

    def start(self) -> None:
        """Begin: what is there already is copied at once, so that a wrong storage is known before the first trial.

        Raises:
            OSError: It cannot be written to.
        """
        self._copy()
        self._thread.start()

    def take(self, effect: e.Effect) -> None:
        """Note what happens: a checkpoint that is not kept goes from the storage too.

        Args:
            effect: What happens.
        """
        if isinstance(effect, e.CheckpointRemoved):
            path = effect.record.checkpoint.path
            threading.Thread(target=self._storage.remove, args=(path,), name="tune-storage-remove").start()

    def _run(self) -> None:
        period = min(self._sync.sync_period, JOURNAL_SECONDS)
        while not self._ended.wait(period):
            try:
                self._copy()
            except OSError as error:
                _logger.warning("what the search has written was not copied to %s: %s", self._storage.path, error)

    def _copy(self) -> None:
        """Copy what has changed; checkpoints are copied by their trials."""
        with self._lock:
            root = Path(self._storage.local)
            for file in sorted(root.rglob("*")):
                relative = file.relative_to(root)
                if any(part.startswith(("checkpoint_", ".")) or part.endswith(".part") for part in relative.parts):
                    continue
                if len(relative.parts) > 1 and not self._sync.sync_artifacts and not _is_own(file.name):
                    continue
                if not file.is_file():
                    continue
                known = file.stat()
                mark = known.st_size, known.st_mtime_ns
                if self._copied.get(str(relative)) != mark:
                    self._storage.upload(str(file))
                    self._copied[str(relative)] = mark

    def close(self, trials: list[Trial]) -> None:
        """End: copy all that is left.

        Args:
            trials: The trials, whose results say from now on where they lie on the storage.

        Raises:
            OSError: The copy failed: all lies in the local directory still.
        """
        self._ended.set()
        self._thread.join()
        try:
            self._copy()
        except OSError as error:
            error.add_note(f"the results lie in {self._storage.local}, and not in the storage")
            raise
        _logger.debug("%d trials lie in %s", len(trials), self._storage.path)


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith("events.out.tfevents") or os.path.splitext(name)[1] == ".log"
