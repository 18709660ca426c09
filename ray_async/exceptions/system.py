"""Errors of nodes, processes, environments and channels: nobody's code is at fault, or ours is."""

from __future__ import annotations

from typing import Any

from .base import RayError, restore_error

__all__ = (
    "AuthenticationError",
    "LocalRayletDiedError",
    "NodeDiedError",
    "OutOfMemoryError",
    "RayCgraphCapacityExceeded",
    "RayChannelError",
    "RayChannelTimeoutError",
    "RayDirectTransportError",
    "RaySystemError",
    "RpcError",
    "RuntimeEnvSetupError",
    "StreamingGeneratorReplayInconsistentError",
)


class RaySystemError(RayError):
    """Something failed inside ray_async, or there is no session to work with.

    Args:
        client_exc: the failure, as an exception or text.
        traceback_str: its traceback as text.
    """

    def __init__(self, client_exc: object, traceback_str: str | None = None) -> None:
        super().__init__(client_exc, traceback_str)
        self.client_exc = client_exc
        self.traceback_str = traceback_str

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_caused, (type(self), self.args, dict(self.__dict__), self.__cause__)

    def __str__(self) -> str:
        text = f"System error: {self.client_exc}"
        return f"{text}\ntraceback: {self.traceback_str}" if self.traceback_str else text


def restore_caused(
    cls: type[RaySystemError], args: tuple[object, ...], state: dict[str, object], cause: object
) -> RayError:
    """Build a system error with its cause, as far as that was sent (used by pickle)."""
    error = restore_error(cls, args, state)
    if isinstance(cause, BaseException):
        error.__cause__ = cause
    return error


class StreamingGeneratorReplayInconsistentError(RaySystemError):
    """A generator that ran again gave another number of items than before."""


class RayChannelError(RaySystemError):
    """A channel of a compiled graph is closed or broken."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """A channel of a compiled graph was not ready in time."""


class RayCgraphCapacityExceeded(RaySystemError):
    """A compiled graph has too many executions in flight or results not yet taken."""


class RayDirectTransportError(RaySystemError):
    """A tensor could not be moved between processes directly."""


class _MessageError(RayError):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class OutOfMemoryError(_MessageError):
    """The worker was killed because memory ran out.

    Args:
        message: limits, use, and who was killed.

    Attributes:
        call_began: False where the call of an actor that failed is known not to have begun.
    """

    call_began: bool = True


class NodeDiedError(_MessageError):
    """The node process, or the node that ran the task, is dead.

    Args:
        message: which node, and how it ended.
    """


class LocalRayletDiedError(RayError):
    """The node process of the task's own node died."""

    def __str__(self) -> str:
        return super().__str__() or "The node process of this task's node died."


class RpcError(_MessageError):
    """A message between processes was not delivered or not answered.

    Args:
        message: what failed.
        rpc_code: the transport's code, if any.
    """

    def __init__(self, message: str, rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code


class RuntimeEnvSetupError(RayError):
    """The `runtime_env` of a task or actor could not be made.

    Args:
        error_message: the reason.
    """

    def __init__(self, error_message: str | None = None) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        head = "Failed to set up the runtime environment."
        return f"{head}\n{self.error_message}" if self.error_message else head


class AuthenticationError(_MessageError):
    """The cluster did not accept the token, or there was none.

    Args:
        message: what was refused.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.__suppress_context__ = True

    def __str__(self) -> str:
        from ..config import AUTH_MODE, Settings

        mode = Settings().get(AUTH_MODE)
        note = "" if mode == "token" else f" RAY_AUTH_MODE is currently '{mode}' (not 'token')."
        return (
            f"{self.message}.{note} Put the cluster's token into RAY_AUTH_TOKEN, or into a file that "
            "RAY_AUTH_TOKEN_PATH names, on every machine that takes part."
        )
