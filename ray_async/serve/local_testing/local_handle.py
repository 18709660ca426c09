"""Handles of local deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.serve.context import RequestContext, current_request, new_request_id
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.handle.handle import DeploymentHandle
from ray_async.serve.handle.response import DeploymentResponse, DeploymentResponseGenerator
from ray_async.serve.local_testing.local_call import LocalCall

if TYPE_CHECKING:
    from ray_async.serve.local_testing.local_application import LocalDeployment

__all__ = ("LocalHandle",)


class LocalHandle(DeploymentHandle):
    """Calls a deployment that lives in this process; keeps it alive.

    Args:
        deployment: The deployment.
        method_name: The method to call.
        stream: Whether the method is a generator whose items are wanted as they come.
        multiplexed_model_id: The model that the calls ask for.
        idempotent: Whether the calls may run twice; nothing dies here that they would run again for.
    """

    def __init__(
        self,
        deployment: LocalDeployment,
        method_name: str = "__call__",
        stream: bool = False,
        multiplexed_model_id: str = "",
        idempotent: bool = False,
    ) -> None:
        context = deployment.context
        super().__init__(context.deployment, context.app_name, method_name, stream, multiplexed_model_id, idempotent)
        self._deployment = deployment

    @property
    def is_initialized(self) -> bool:
        """Whether the handle can be used: it can."""
        return True

    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str | None = None,
        idempotent: bool | None = None,
    ) -> LocalHandle:
        """Give a handle with other options."""
        return LocalHandle(
            self._deployment,
            self._method if method_name is None else method_name,
            self._is_stream if stream is None else stream,
            self._model_id if multiplexed_model_id is None else multiplexed_model_id,
            self._idempotent if idempotent is None else idempotent,
        )

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call the deployment.

        Raises:
            RayServeException: The application was deleted.
        """
        if self._deployment.closed:
            raise RayServeException(f"Application {self.app_name!r} was deleted.")
        outer = current_request.get()
        request_id, route = (new_request_id(), "") if outer is None else (outer.request_id, outer.route)
        request = RequestContext(request_id, route, self.app_name, self._model_id)
        if self._idempotent or (outer is not None and outer.idempotent):
            request.idempotent = True
        call: Any = LocalCall(self._deployment, request, self._method, (args, kwargs), self._is_stream)
        return DeploymentResponseGenerator(call) if self._is_stream else DeploymentResponse(call)

    def __reduce__(self) -> Any:
        raise RayServeException("A handle of local testing mode cannot be sent to other processes.")
