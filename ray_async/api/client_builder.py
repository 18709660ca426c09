"""Connections by Ray's client builder: ``ray.client(address).namespace(...).env(...).connect()``."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ray_async.api.lifecycle import RayContext, init, shutdown

__all__ = ("ClientBuilder", "ClientContext", "client")


class ClientContext:
    """Facts about a connection that `ClientBuilder.connect` has made; as a context manager, it ends the connection.

    Args:
        context: What `init` has returned.
    """

    def __init__(self, context: RayContext) -> None:
        self.dashboard_url = context.dashboard_url
        self.python_version = context.python_version
        self.ray_version = context.ray_version
        self.ray_commit = context.ray_commit
        self.protocol_version = None

    def disconnect(self) -> None:
        """End the connection."""
        shutdown()

    def __enter__(self) -> ClientContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()


class ClientBuilder:
    """Settings of a connection; each method returns the builder.

    Args:
        address: As `init` takes it.
    """

    def __init__(self, address: str | None) -> None:
        self._options: dict[str, Any] = {"address": address}

    def env(self, env: Mapping[str, Any]) -> ClientBuilder:
        """Set the runtime environment of the job."""
        self._options["runtime_env"] = env
        return self

    def namespace(self, namespace: str) -> ClientBuilder:
        """Set the namespace of named actors."""
        self._options["namespace"] = namespace
        return self

    def connect(self) -> ClientContext:
        """Connect as `init` does, whose errors are raised."""
        return ClientContext(init(**self._options))


def client(address: str | None = None) -> ClientBuilder:
    """Give a builder for a connection; programs written for Ray use it, new ones call `init`.

    Args:
        address: As `init` takes it: None attaches to a node that runs and else starts one.

    Example:
        >>> with ray.client("local").namespace("service").connect():
        ...     ray.get(f.remote())
    """
    return ClientBuilder(address)
