"""Ray's import path of datasources."""

from __future__ import annotations

from ray_async.data.sources.datasource import Datasource, ReadTask

__all__ = ("Datasource", "ReadTask")
