"""Spill folders of barriers: made when the first file is to be written, removed when none is read any more."""

from __future__ import annotations

import asyncio
import os
import shutil

from ray_async.data.executor.barrier import BarrierStage
from ray_async.data.executor.instructions import BarrierSpec, StageSpec
from ray_async.data.executor.stages import Stage
from ray_async.exceptions import OutOfDiskError

__all__ = ("SpillFolders",)


class SpillFolders:
    """The folders of one execution's barriers, by the indices of their stages."""

    def __init__(self) -> None:
        self._made: dict[int, str] = {}
        self._removals: set[asyncio.Future[None]] = set()

    def open(self, index: int, spec: StageSpec, stage: Stage) -> None:
        """Make the folder of a stage, if it writes files and has none.

        Raises:
            OutOfDiskError: It cannot be made.
        """
        if index in self._made or not isinstance(spec, BarrierSpec) or spec.spill is None:
            return
        if not isinstance(stage, BarrierStage) or not stage.writes_files:
            return
        folder = spec.spill.folder
        try:
            os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
            os.mkdir(folder, 0o700)
        except OSError as error:
            raise OutOfDiskError(f"there is no folder for rows that do not fit into memory: {error}") from error
        self._made[index] = folder

    def close(self, index: int, stage: Stage) -> None:
        """Remove the folder of a stage all of whose calls are over; in a thread, as it may take a second."""
        if index in self._made and isinstance(stage, BarrierStage) and stage.calls_over:
            self._remove(self._made.pop(index))

    def _remove(self, folder: str) -> None:
        loop = asyncio.get_running_loop()
        removal = loop.run_in_executor(None, shutil.rmtree, folder, True)
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def close_all(self) -> None:
        """Remove what is left; returns when all is gone."""
        while self._made:
            self._remove(self._made.popitem()[1])
        if self._removals:
            await asyncio.wait(self._removals)
