"""Metrics of users' code in replicas, which Serve marks with application, deployment, replica and route.

They are shown with Serve's own where `HTTPOptions.metrics` is on; elsewhere they stay in their process.
"""

from __future__ import annotations

from ray_async.serve.telemetry.user_metrics import ServeCounter as Counter
from ray_async.serve.telemetry.user_metrics import ServeGauge as Gauge
from ray_async.serve.telemetry.user_metrics import ServeHistogram as Histogram

__all__ = ("Counter", "Gauge", "Histogram")
