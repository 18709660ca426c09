"""Handles of deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.serve.context import RequestContext, current_request, new_request_id
from ray_async.serve.handle.client import Client, get_client, own_loop
from ray_async.serve.handle.response import Call, DeploymentResponse, DeploymentResponseGenerator

if TYPE_CHECKING:
    from ray_async.serve.handle.router import Router

__all__ = ("DeploymentHandle",)


class DeploymentHandle:
    """Calls a deployment's replicas; made by `serve.run` and passed to constructors in place of bound applications.

    ``handle.remote(...)`` calls ``__call__``, ``handle.method.remote(...)`` a method. Handles can be sent anywhere in
    the session.

    Args:
        deployment_name: The deployment.
        app_name: Its application.
        method_name: The method to call.
        stream: Whether the method is a generator whose items are wanted as they come.
        multiplexed_model_id: The model that the calls ask for.
        idempotent: Whether the calls may run twice, where a replica dies with them.
    """

    def __init__(
        self,
        deployment_name: str,
        app_name: str,
        method_name: str = "__call__",
        stream: bool = False,
        multiplexed_model_id: str = "",
        idempotent: bool = False,
    ) -> None:
        self.deployment_name = deployment_name
        self.app_name = app_name
        self._method = method_name
        self._is_stream = stream
        self._model_id = multiplexed_model_id
        self._idempotent = idempotent
        self._client: Client | None = None
        self._router: Router | None = None  # of the loop that has called last

    @property
    def is_initialized(self) -> bool:
        """Whether the handle was used here."""
        return self._client is not None

    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str | None = None,
        idempotent: bool | None = None,
    ) -> DeploymentHandle:
        """Give a handle with other options.

        Args:
            method_name: The method that ``remote`` calls.
            stream: Whether it is a generator whose items are wanted as they come.
            multiplexed_model_id: The model that the calls ask for.
            idempotent: Whether the calls may run twice: one with which its replica dies is sent to another, and so
                are the calls that it makes in turn.

        Example:
            >>> async for token in handle.options(stream=True).generate.remote("once"):
            ...     print(token)
        """
        new = DeploymentHandle(
            self.deployment_name,
            self.app_name,
            self._method if method_name is None else method_name,
            self._is_stream if stream is None else stream,
            self._model_id if multiplexed_model_id is None else multiplexed_model_id,
            self._idempotent if idempotent is None else idempotent,
        )
        new._client, new._router = self._client, self._router
        return new

    def __getattr__(self, name: str) -> DeploymentHandle:
        if name.startswith(("__", "_repr_", "_ipython_")):  # those that interpreters look for
            raise AttributeError(name)
        method = self.options(method_name=name)
        self.__dict__[name] = method  # a method's handle is made once
        return method

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call the deployment.

        Args:
            args: Arguments; a response among them stands for its value.
            kwargs: Keyword arguments, likewise.

        Returns:
            A `DeploymentResponse`, or a `DeploymentResponseGenerator` with ``stream=True``.

        Raises:
            RayServeException: Serve is not running.
        """
        client = self._client
        if client is None:
            client = self._client = get_client()
        outer = current_request.get()
        if outer is None:
            request = RequestContext(new_request_id(), "", self.app_name, self._model_id)
        else:
            request = RequestContext(outer.request_id, outer.route, self.app_name, self._model_id)
        if self._idempotent or (outer is not None and outer.idempotent):
            request.idempotent = True
        loop = own_loop()
        target = client.thread_loop() if loop is None else loop
        router = self._router
        if router is None or router.loop is not target:
            router = self._router = client.router(self.app_name, self.deployment_name, target)
        call = Call(router, client, request, self._method, args, kwargs, self._is_stream)
        if loop is None:
            target.call_soon_threadsafe(call.start)
        else:
            call.start()
        return DeploymentResponseGenerator(call) if self._is_stream else DeploymentResponse(call)

    def __reduce__(self) -> Any:
        return DeploymentHandle, (
            self.deployment_name,
            self.app_name,
            self._method,
            self._is_stream,
            self._model_id,
            self._idempotent,
        )

    def __eq__(self, other: object) -> bool:
        """Whether both call the same method of the same deployment in the same way."""
        if not isinstance(other, DeploymentHandle):
            return NotImplemented
        return bool(self.__reduce__() == other.__reduce__())

    def __hash__(self) -> int:
        return hash(self.__reduce__())

    def __repr__(self) -> str:
        return f"DeploymentHandle(deployment={self.deployment_name!r}, app={self.app_name!r})"
