"""Settings of telemetry that hold for all of Serve, in a file which the controller writes when Serve starts."""

from __future__ import annotations

import json
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = ("METRICS_FOLDER", "TelemetrySettings")

METRICS_FOLDER = "metrics"  # in Serve's folder
_FILE = "telemetry.json"


@dataclass(frozen=True)
class TelemetrySettings:
    """What all processes of Serve are told.

    Args:
        metrics: Whether they count.
        logging: How they log, where their deployment says nothing.
        tracing: How they trace.
    """

    metrics: bool = False
    logging: ServeLoggingConfig = field(default_factory=ServeLoggingConfig)
    tracing: TracingConfig | None = None

    def write(self, folder: Path) -> None:
        """Put them into Serve's folder."""
        new = folder / f"{_FILE}.new"
        new.write_text(json.dumps(asdict(self)))
        new.replace(folder / _FILE)

    @classmethod
    def read(cls, folder: Path) -> TelemetrySettings:
        """Those of Serve's folder; the defaults where none are written."""
        try:
            known: dict[str, Any] = json.loads((folder / _FILE).read_text())
        except FileNotFoundError:
            return cls()
        tracing = known["tracing"]
        return cls(
            known["metrics"],
            ServeLoggingConfig(**known["logging"]),
            None if tracing is None else TracingConfig(**tracing),
        )

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove them, and all numbers."""
        (folder / _FILE).unlink(missing_ok=True)
        for path in (folder / METRICS_FOLDER).glob("*"):
            path.unlink(missing_ok=True)
