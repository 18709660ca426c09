"""Ray's import path of datasinks."""

from __future__ import annotations

from ray_async.data.sinks.datasink import Datasink, WriteResult

__all__ = ("Datasink", "WriteResult")
