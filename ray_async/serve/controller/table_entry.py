"""The entry of a deployment in the table: handles and replicas follow it. Pure."""

from __future__ import annotations

from typing import Any

from ray_async.serve.application import DeploymentSpec

__all__ = ("table_entry",)


def table_entry(spec: DeploymentSpec) -> dict[str, Any]:
    """The part of a deployment's entry that its options give."""
    options = spec.options
    router, pressure = options.request_router_config, options.backpressure_config
    more: dict[str, Any] = {}
    if router is not None and router.is_custom:
        more["request_router"] = router.packed(spec.path)
    if pressure is not None:
        more["backpressure"] = [pressure.status_code, pressure.retry_after_s]
    return more | {
        "max_ongoing_requests": options.max_ongoing_requests,
        "max_queued_requests": options.max_queued_requests,
        "idempotent": options.idempotent,
        "is_scaled": options.autoscaling_config is not None,
    }
