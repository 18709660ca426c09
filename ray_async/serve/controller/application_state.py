"""An application, as the controller has it: what is wanted of it, what ran last, and its deployments."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ray_async.serve.application import BuiltApplication
from ray_async.serve.controller.application_scaler import ApplicationScaler
from ray_async.serve.controller.deployment_state import DeploymentState
from ray_async.serve.controller.reconcile import ReplicaState
from ray_async.serve.controller.records import ApplicationRecord
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
        self.prefix: str | None = None  # that leads to it: not yet, while an application that it succeeds has it
        self.successor: str | None = None  # the application that gets its prefix once it runs
        self._failure: str | None = None
        self._ran: BuiltApplication | None = None
        self._scaler = ApplicationScaler(built.name)

    @classmethod
    def recovered(cls, record: ApplicationRecord, controller: Controller) -> ApplicationState:
        """An application that an earlier controller has written down."""
        state, name = cls(record.built), record.built.name
        state._ran, state._failure, state.deployed_at = record.ran, record.failure, record.deployed_at
        state.deleting, state.prefix, state.successor = record.deleting, record.prefix, record.successor
        for known, records in ((state.deployments, record.deployments), (state.retired, record.retired)):
            known.update({one.spec.name: DeploymentState.recovered(controller, name, one) for one in records})
        for deployment in state.deployments.values():
            deployment.scaler.external = record.built.external_scaler
        return state

    def record(self) -> ApplicationRecord:
        """What a new controller must know of it."""
        return ApplicationRecord(
            self.built,
            self._ran,
            self._failure,
            self.deployed_at,
            self.deleting,
            self.prefix,
            self.successor,
            tuple(state.record() for state in self.deployments.values()),
            tuple(state.record() for state in self.retired.values()),
        )

    @property
    def error(self) -> str | None:
        """Why the last deploy failed, if it did."""
        errors = (state.failures.error for state in self.deployments.values())
        return self._failure or next((error for error in errors if error is not None), None)

    @property
    def is_there(self) -> bool:
        """Whether it is for callers: it runs, or did, or is about to."""
        return not self.deleting and (self._failure is None or self._ran is not None)

    @property
    def reachable(self) -> dict[str, DeploymentState]:
        """The deployments that may be called: also of an application that goes, by requests that it has still."""
        if not self.is_there and not self.deleting:
            return {}
        return {key: one for key, one in {**self.retired, **self.deployments}.items() if not one.deleting}

    @property
    def status(self) -> ApplicationStatus:
        """What it is doing."""
        if self.deleting:
            return ApplicationStatus.DELETING
        if self.error is not None:
            return ApplicationStatus.DEPLOY_FAILED
        if any(state.failures.unwell for state in self.deployments.values()):
            return ApplicationStatus.UNHEALTHY
        return ApplicationStatus.RUNNING if self.stable else ApplicationStatus.DEPLOYING

    @property
    def stable(self) -> bool:
        """Whether all replicas are as they shall be."""
        return all(state.stable for state in self.deployments.values())

    def deploy(self, built: BuiltApplication, controller: Controller) -> None:
        """Want something else from now on; one that was about to go stays."""
        self.built, self.deployed_at, self._failure, self.successor = built, time.time(), None, None
        if self.deleting:
            self.deleting, self._ran = False, None
        self._retire({spec.name for spec in built.deployments})
        for spec in built.deployments:
            serves_http = spec.name == built.ingress and built.route_prefix is not None
            known = self.deployments.get(spec.name) or self.retired.pop(spec.name, None)
            if known is None:
                known = DeploymentState(controller, built.name, spec, serves_http)
                known.scaler.external = built.external_scaler
            else:
                known.scaler.external = built.external_scaler
                known.change(spec, serves_http)
            known.failures.waits_for_resources = built.wait_for_resources
            self.deployments[spec.name] = known

    def scale(self, controller: Controller) -> None:
        """Let a policy of the whole application say how many replicas there shall be, if it has one."""
        states = [one for one in self.deployments.values() if one.spec.options.autoscaling_config is not None]
        scalers = [one.scaler for one in states if not (self.deleting or one.deleting or one.abandoned)]
        self._scaler.look(self.built.autoscaling_policy, self.built.deployments[0].path, scalers, controller.spawn)

    def _retire(self, wanted: set[str]) -> None:
        """Put aside what is not wanted any more; it goes on until what is wanted runs."""
        for name in [name for name in self.deployments if name not in wanted]:
            self.retired[name] = self.deployments.pop(name)

    def settle(self) -> bool:
        """Take a failed deploy back, note that one runs, or let more of what is not wanted go.

        Returns:
            Whether callers must be told.
        """
        if self.deleting:
            return self._let_go()
        if self._failure is None and self.error is not None:
            self._roll_back()
            return True
        if not self.stable:
            return False
        if self._failure is None:
            self._ran = self.built
        for one in self.deployments.values():
            one.failures.proven = one.failures.proven or not one.abandoned
        retired = [one for one in self.retired.values() if not one.deleting]
        if not retired or self._has_stopping():
            return False
        for one in retired:
            one.deleting = True
        return True

    def _has_stopping(self) -> bool:
        """Whether replicas end still, which may call what only the version before has."""
        replicas = (replica for one in self.deployments.values() for replica in one.replicas.values())
        return any(replica.state is ReplicaState.STOPPING for replica in replicas)

    def _let_go(self) -> bool:
        """End one deployment after the other, callers before what they call, so that their last requests find it."""
        names = [spec.name for spec in reversed(self.built.deployments)]
        for stage in (*([self.deployments[name]] for name in names), list(self.retired.values())):
            told = [one for one in stage if not one.deleting]
            for one in told:
                one.deleting = True
            if told or any(one.lives for one in stage):
                return bool(told)
        return False

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
            known.scaler.external = built.external_scaler
            known.roll_back(spec, serves_http)
            self.deployments[spec.name] = known
