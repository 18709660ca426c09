"""Values that a replica sees of a call by gRPC: its context, and the messages that its client streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from ray_async.exceptions import RayTaskError
from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError

__all__ = ("CallOutcome", "Metadata", "RayServegRPCContext", "gRPCInputStream")

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass
class RayServegRPCContext:
    """A call's context; a method that has a parameter ``grpc_context`` gets it, and says by it how the call ends.

    Args:
        metadata: What the client has sent along.
        client: The client's address.
    """

    metadata: Metadata = ()
    client: str = ""
    _code: Any = None
    _details: str = ""
    _trailing: list[tuple[str, str | bytes]] = field(default_factory=list)

    def invocation_metadata(self) -> Metadata:
        """Pairs of keys and values that the client has sent along."""
        return self.metadata

    def peer(self) -> str:
        """The client's address, as gRPC writes it."""
        return self.client

    def code(self) -> Any:
        """The status that was set; None: gRPC's own, by whether the method raises."""
        return self._code

    def set_code(self, code: Any) -> None:
        """Set the status.

        Args:
            code: A member of ``grpc.StatusCode``.
        """
        self._code = code

    def details(self) -> str:
        """The text of the status that was set."""
        return self._details

    def set_details(self, details: str) -> None:
        """Set the text of the status."""
        self._details = details

    def trailing_metadata(self) -> Metadata:
        """What was set to be sent at the end."""
        return tuple(self._trailing)

    def set_trailing_metadata(self, metadata: Any) -> None:
        """Set what is sent at the end.

        Args:
            metadata: Pairs of keys and values.
        """
        self._trailing = [(key, value) for key, value in metadata]


@dataclass(frozen=True)
class CallOutcome:
    """How a call has ended.

    Args:
        context: The call's context, as the method has left it.
        status: The name of its status, where the method has set none; empty where it has not failed.
        text: Why it has failed.
    """

    context: RayServegRPCContext
    status: str = ""
    text: str = ""

    @property
    def name(self) -> str:
        """The name of its status: as the method has set it, or by how it has ended."""
        code = self.context.code()
        return self.status or "OK" if code is None else str(getattr(code, "name", code))

    @classmethod
    def of_error(cls, context: RayServegRPCContext, error: Exception) -> CallOutcome:
        """What an error comes to."""
        cause = error.cause if isinstance(error, RayTaskError) else error
        return cls(context, _status_of(error), f"{type(cause).__name__}: {cause}")


def _status_of(error: Exception) -> str:
    if isinstance(error, BackPressureError):
        return "RESOURCE_EXHAUSTED"
    if isinstance(error, DeploymentUnavailableError):
        return "UNAVAILABLE"
    if isinstance(error, RequestCancelledError):
        return "CANCELLED"
    return "INTERNAL"


class gRPCInputStream:  # Ray's name
    """The messages that a client streams; iterated over by ``async for``, once.

    Args:
        actor: The actor that has the connection.
        number: The stream's number there.
    """

    def __init__(self, actor: Any, number: int) -> None:
        self._actor = actor
        self._number = number

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        found = await self._actor.receive_message.remote(self._number)
        if not found:
            raise StopAsyncIteration
        return found[0]
