"""An application, as the controller has it: what is wanted of it, what ran last, and its deployments."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ray_async.serve.application import BuiltApplication
from ray_async.serve.controller.deployment_state import DeploymentState
from ray_async.serve.status_values import ApplicationStatus

if TYPE_CHECKING:
    from ray_async.serve.controller.actor import Controller

__all__ = ("ApplicationState",)

logger = logging.getLogger("ray_async.serve")


class ApplicationState:
    """One application. A deploy of which a part fails is taken back as a whole.

    Args:
        built: What was asked for.
    """

    def __init__(self, built: BuiltApplication) -> None:
        self.built = built
        self.deployed_at = time.time()
        self.deployments: dict[str, DeploymentState] = {}
        self.retired: dict[str, DeploymentState] = {}
        self.deleting = False
        self._failure: str | None = None
        self._ran: BuiltApplication | None = None

    @property
    def error(self) -> str | None:
        """Why the last deploy failed, if it did."""
        errors = (state.error for state in self.deployments.values())
        return self._failure or next((error for error in errors if error is not None), None)

    @property
    def is_there(self) -> bool:
        """Whether it is for callers: it runs, or did, or is about to."""
        return not self.deleting and (self._failure is None or self._ran is not None)

    @property
    def status(self) -> ApplicationStatus:
        """What it is doing."""
        if self.deleting:
            return ApplicationStatus.DELETING
        if self.error is not None:
            return ApplicationStatus.DEPLOY_FAILED
        return ApplicationStatus.RUNNING if self.stable else ApplicationStatus.DEPLOYING

    @property
    def stable(self) -> bool:
        """Whether all replicas are as they shall be."""
        return all(state.stable for state in self.deployments.values())

    def deploy(self, built: BuiltApplication, controller: Controller) -> None:
        """Want something else from now on."""
        self.built, self.deployed_at, self._failure = built, time.time(), None
        self._retire({spec.name for spec in built.deployments})
        for spec in built.deployments:
            serves_http = spec.name == built.ingress and built.route_prefix is not None
            known = self.deployments.get(spec.name) or self.retired.pop(spec.name, None)
            if known is None:
                known = DeploymentState(controller, built.name, spec, serves_http)
            else:
                known.change(spec, serves_http)
            known.waits_for_resources = built.wait_for_resources
            self.deployments[spec.name] = known

    def _retire(self, wanted: set[str]) -> None:
        """Put aside what is not wanted any more; it goes on until what is wanted runs."""
        for name in [name for name in self.deployments if name not in wanted]:
            self.retired[name] = self.deployments.pop(name)

    def settle(self) -> bool:
        """Take a failed deploy back, or note that one runs.

        Returns:
            Whether callers must be told.
        """
        if self.deleting:
            return False
        failed = self._failure is None and self.error is not None
        if failed:
            self._roll_back()
        elif self.stable:
            if self._failure is None:
                self._ran = self.built
            for deployment in self.retired.values():
                deployment.deleting = True
        return failed

    def _roll_back(self) -> None:
        self._failure = self.error
        logger.error("Deploying application %s failed: %s", self.built.name, self._failure)
        if self._ran is None:
            for deployment in self.deployments.values():
                deployment.roll_back(None, False)
            return
        self.built = built = self._ran
        self._retire({spec.name for spec in built.deployments})
        for spec in built.deployments:
            serves_http = spec.name == built.ingress and built.route_prefix is not None
            known = self.deployments.get(spec.name) or self.retired.pop(spec.name)
            known.roll_back(spec, serves_http)
            self.deployments[spec.name] = known
