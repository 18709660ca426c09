"""Errors of an actor: dead, unreachable, unknown, overloaded."""

from __future__ import annotations

from ray_async.frozen import Record

from .base import RayError
from .task import RayTaskError

__all__ = (
    "ActorAlreadyExistsError",
    "ActorDiedError",
    "ActorDiedErrorContext",
    "ActorHandleNotFoundError",
    "ActorPlacementGroupRemoved",
    "ActorUnavailableError",
    "ActorUnschedulableError",
    "AsyncioActorExit",
    "PendingCallsLimitExceeded",
    "RayActorError",
)


class RayActorError(RayError):
    """The actor is dead or cannot be reached.

    Args:
        actor_id: hex id of the actor.
        error_msg: what happened.
        actor_init_failed: True where `__init__` of the actor raised.
        preempted: True where the actor's node was taken away.

    Attributes:
        call_began: False where the call that failed is known not to have begun: it can be made again, elsewhere.
    """

    BASE_ERROR_MSG = "The actor failed before it finished this call."
    call_began: bool = True

    def __init__(
        self,
        actor_id: str | None = None,
        error_msg: str = BASE_ERROR_MSG,
        actor_init_failed: bool = False,
        preempted: bool = False,
    ) -> None:
        super().__init__(actor_id, error_msg, actor_init_failed, preempted)
        self.actor_id = actor_id
        self.error_msg = error_msg
        self._actor_init_failed = actor_init_failed
        self._preempted = preempted

    def __str__(self) -> str:
        return self.error_msg

    @property
    def actor_init_failed(self) -> bool:
        """True where `__init__` of the actor raised."""
        return self._actor_init_failed

    @property
    def preempted(self) -> bool:
        """True where the actor died because its node was taken away."""
        return self._preempted


class ActorDiedErrorContext(Record):
    """What is known about the death of an actor's process."""

    actor_id: bytes | str
    error_message: str
    class_name: str = ""
    name: str = ""
    ray_namespace: str = ""
    pid: int = 0
    node_ip_address: str = ""
    never_started: bool = False
    preempted: bool = False

    @property
    def actor_hex(self) -> str:
        """The actor's id as hex text."""
        return self.actor_id if isinstance(self.actor_id, str) else self.actor_id.hex()

    def describe(self) -> str:
        """The facts one a line, then the reason."""
        facts = {
            "class_name": self.class_name,
            "actor_id": self.actor_hex,
            "pid": self.pid,
            "name": self.name,
            "namespace": self.ray_namespace,
            "ip": self.node_ip_address,
        }
        lines = [f"\t{key}: {value}" for key, value in facts.items() if value]
        lines.append(self.error_message)
        if self.never_started:
            lines.append("It never ran: it was cancelled before it started.")
        return "\n".join(lines)


class ActorDiedError(RayActorError):
    """The actor is dead for good: killed, crashed with no restarts left, or its creation failed.

    Args:
        cause: the `RayTaskError` that `__init__` ended with, or the facts about the death of the process.
    """

    BASE_ERROR_MSG = "The actor died before it finished this call."

    def __init__(self, cause: RayTaskError | ActorDiedErrorContext | None = None) -> None:
        if cause is None:
            super().__init__(None, self.BASE_ERROR_MSG)
        elif isinstance(cause, RayTaskError):
            text = f"The actor died because of an error raised in its creation task, {cause}"
            super().__init__(cause._actor_id, text, actor_init_failed=True)
        else:
            super().__init__(cause.actor_hex, f"{self.BASE_ERROR_MSG}\n{cause.describe()}", preempted=cause.preempted)

    @staticmethod
    def from_task_error(task_error: RayTaskError) -> ActorDiedError:
        """The death of an actor whose `__init__` failed with `task_error`."""
        return ActorDiedError(task_error)


class ActorUnavailableError(RayActorError):
    """The actor cannot be reached for the moment; the call may or may not have run.

    Args:
        error_message: what happened.
        actor_id: id of the actor, as bytes or hex.
    """

    def __init__(self, error_message: str, actor_id: bytes | str | None) -> None:
        actor_hex = actor_id.hex() if isinstance(actor_id, bytes) else actor_id
        super().__init__(
            actor_hex,
            f"The actor {actor_hex} is unavailable: {error_message} The call may or may not have run on it.",
        )


class ActorUnschedulableError(RayError):
    """No node can ever run the actor.

    Args:
        error_message: the reason.
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The actor cannot be scheduled: {self.error_message}"


class ActorPlacementGroupRemoved(RayError):
    """The placement group of the actor was removed."""

    def __str__(self) -> str:
        return super().__str__() or "The placement group of this actor was removed."


class AsyncioActorExit(RayError):
    """Ends an async actor from inside: `exit_actor` raises it in the method that calls it."""


class PendingCallsLimitExceeded(RayError):
    """The handle has `max_pending_calls` calls outstanding; raised by `.remote()` itself."""


class ActorAlreadyExistsError(ValueError, RayError):
    """The namespace has a live actor of that name.

    Args:
        error_message: names the actor and the namespace.
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message


class ActorHandleNotFoundError(ValueError, RayError):
    """The handle belongs to another session, or its actor is unknown here.

    Args:
        error_message: names the actor.
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message
