"""Statuses as numbers, as Ray gives them, and what the controller does; for the page of metrics."""

from __future__ import annotations

from collections.abc import Mapping

from ray_async.serve.status_values import ApplicationStatus, DeploymentStatus, ProxyStatus
from ray_async.serve.telemetry.counts import Counts

__all__ = ("StatusCounts",)

# 0 stands for what is not there.
_APPLICATION = {
    ApplicationStatus.DEPLOY_FAILED: 1,
    ApplicationStatus.UNHEALTHY: 2,
    ApplicationStatus.DELETING: 4,
    ApplicationStatus.DEPLOYING: 5,
    ApplicationStatus.RUNNING: 6,
}
_DEPLOYMENT = {
    DeploymentStatus.DEPLOY_FAILED: 1,
    DeploymentStatus.UNHEALTHY: 2,
    DeploymentStatus.UPDATING: 3,
    DeploymentStatus.HEALTHY: 6,
}
_PROXY = {ProxyStatus.HEALTHY: 2}


class StatusCounts:
    """Notes statuses, and how long the controller takes.

    Args:
        counts: The controller's numbers.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._noted: dict[tuple[str, tuple[str, ...]], int] = {}
        self._loops = 0

    def note(
        self,
        applications: Mapping[tuple[str, ...], ApplicationStatus],
        deployments: Mapping[tuple[str, ...], DeploymentStatus],
        proxies: Mapping[tuple[str, ...], ProxyStatus],
    ) -> None:
        """Note the statuses of all that there is, by the labels of its series."""
        found = {("serve_application_status", labels): _APPLICATION[one] for labels, one in applications.items()}
        found |= {("serve_deployment_status", labels): _DEPLOYMENT[one] for labels, one in deployments.items()}
        found |= {("serve_proxy_status", labels): _PROXY[one] for labels, one in proxies.items()}
        for key in found.keys() | self._noted.keys():
            value = found.get(key, 0)
            if self._noted.get(key) != value:
                self._counts.set(*key, value)
        self._noted = found

    def looked(self, seconds: float) -> None:
        """Note that the controller has looked at everything, and how long that took."""
        self._loops += 1
        self._counts.set("serve_controller_control_loop_duration_s", (), seconds)
        self._counts.set("serve_controller_num_control_loops", (), self._loops)
