"""The controller's part of telemetry: it writes the settings, and adds up what ended processes have counted."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

from ray_async.serve.board import Board
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.telemetry.counts import Counts
from ray_async.serve.telemetry.existing import Existing
from ray_async.serve.telemetry.folding import fold
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.settings import METRICS_FOLDER, TelemetrySettings
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = ("Upkeep",)

logger = logging.getLogger("ray_async.serve")
_PERIOD = 2.0  # seconds between two looks at what has ended


class Upkeep:
    """Keeps the files of telemetry in Serve's folder.

    Args:
        folder: Serve's folder.
        board: The board, whose table tells what exists.
    """

    def __init__(self, folder: Path, board: Board) -> None:
        self._folder = folder
        self._board = board
        self._settings = TelemetrySettings.read(folder)
        self._task: asyncio.Task[None] | None = None
        self.counts: Counts | None = None  # of the controller, if somebody wants them

    def begin(self, metrics: bool) -> None:
        """Write down whether to count, and look after the counts from now on.

        Raises:
            RayServeException: prometheus_client is not installed.
        """
        if metrics and importlib.util.find_spec("prometheus_client") is None:
            raise RayServeException("metrics need prometheus_client, which is not installed: pip install it")
        self._settings = replace(self._settings, metrics=metrics)
        self._settings.write(self._folder)
        if metrics and self._task is None:
            (self._folder / METRICS_FOLDER).mkdir(exist_ok=True)
            self._task = asyncio.get_running_loop().create_task(self._run())
            self.counts = Counts.of_process(self._folder)

    def configure(self, logging: ServeLoggingConfig | None, tracing: TracingConfig | None) -> str:
        """Say how replicas that start from now on log and trace.

        Returns:
            A warning: what was ignored since tracing is set up already.
        """
        ignored = tracing is not None and self._settings.tracing not in (None, tracing)
        self._settings = replace(
            self._settings,
            logging=logging or self._settings.logging,
            tracing=self._settings.tracing or tracing,
        )
        self._settings.write(self._folder)
        return "Tracing is set up already: ignored is tracing_config." if ignored else ""

    def writes_access(self, config: ServeLoggingConfig | None) -> bool:
        """Whether a deployment's requests have access lines."""
        return (config or self._settings.logging).writes_access

    def end(self) -> None:
        """Remove the files."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.counts is not None:
            self.counts.close()
            self.counts = None
        TelemetrySettings.remove(self._folder)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            try:
                await asyncio.to_thread(self._fold)
            except OSError:  # of the disk; the numbers are where they were
                logger.exception("Serve's metrics could not be added up")

    def _fold(self) -> None:
        fold(self._folder / METRICS_FOLDER, Existing(self._board.table()).has)
