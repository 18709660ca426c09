"""The replica's actor, as others see it: what it can be asked. It knows nothing of what it takes to answer.

Who creates and calls replicas loads this module alone; the server, and all else, is loaded where a replica is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NoReturn

import ray_async as ray

if TYPE_CHECKING:
    from ray_async.serve.application import DeploymentSpec
    from ray_async.serve.gang import GangContext
    from ray_async.serve.ingress.body import RestOfBody

__all__ = ("UNREAD", "UNREAD_LISTS", "About", "ReplicaActor")

About = tuple[str, str, str, str, bool]  # method, request id, model id, route, whether it may run twice

UNREAD = 64  # items of a stream that its caller has not read, at which the stream pauses
UNREAD_LISTS = 16  # lists of a response's messages, likewise; each holds what `Incoming` puts together


def _elsewhere() -> NoReturn:
    """What an object that `ReplicaActor.__new__` makes does by itself."""
    raise NotImplementedError


class ReplicaActor:
    """A replica, which the actor's process makes.

    Args:
        folder: Serve's folder.
        app: The application's name.
        spec: The deployment.
        replica_id: The replica's own id.
        place: Its slot on the board.
        gang: What it knows of its gang; None where it is in none.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> ReplicaActor:
        """A replica: with all that it needs, which is imported where a replica is made."""
        from ray_async.serve.replica.actor import ReplicaHost

        return object.__new__(ReplicaHost)

    def __init__(
        self,
        folder: str,
        app: str,
        spec: DeploymentSpec,
        replica_id: str,
        place: int,
        gang: GangContext | None = None,
    ) -> None:
        _elsewhere()

    async def start(self, listener: str | None, http: dict[str, Any]) -> None:
        """Construct the user's object and take requests; once, also if another controller asks again.

        Args:
            listener: The path by which the listening socket is had; None for a replica that serves no HTTP yet.
            http: The HTTP options.
        """
        _elsewhere()

    async def construct(self) -> None:
        """Construct the user's object, once; requests are taken after `start`."""
        _elsewhere()

    async def join(self, gang: GangContext) -> None:
        """Know the gang, of which another replica has been replaced."""
        _elsewhere()

    async def update(self, spec: DeploymentSpec) -> None:
        """Take over options that need no new replica."""
        _elsewhere()

    async def live(self) -> None:
        """Run as long as the process does, or until another controller asks: the call's failure is its death."""
        _elsewhere()

    async def autoscaling_stats(self) -> dict[str, float]:
        """What the user's `record_autoscaling_stats` gives for the policy; nothing where there is none."""
        _elsewhere()

    async def ping(self) -> None:
        """Show that the loop is not blocked."""
        _elsewhere()

    async def check_health(self) -> None:
        """Run the user's check, which raises when the replica is not well."""
        _elsewhere()

    async def call(self, about: About, *args: Any, **kwargs: Any) -> Any:
        """Run a request that gives one value; `REFUSED` when all slots are taken."""
        _elsewhere()

    @ray.method(_generator_backpressure_num_objects=UNREAD)
    async def stream(self, about: About, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Run a request that gives items: the first says whether it was taken."""
        yield _elsewhere()

    async def receive_body(self, number: int) -> dict[str, Any]:
        """The next part of a body that comes here, for another replica that runs its request."""
        _elsewhere()

    @ray.method(_generator_backpressure_num_objects=UNREAD_LISTS)
    async def http(
        self, about: About, scope: dict[str, Any], body: bytes, rest: RestOfBody | None
    ) -> AsyncIterator[Any]:
        """Run an HTTP request that another replica has taken; gives the messages of its response, in lists."""
        yield _elsewhere()

    @ray.method(_generator_backpressure_num_objects=UNREAD)
    async def grpc(self, about: About, received: Any, context: Any, stream: bool) -> AsyncIterator[Any]:
        """Run a call by gRPC; gives its messages, and its outcome at last.

        Args:
            about: The call.
            received: The client's message, or its messages.
            context: What the method sees of the call.
            stream: Whether the method gives several messages.
        """
        yield _elsewhere()

    async def drain(self, timeout_s: float) -> None:
        """Take no more requests, finish those that are there, and let the user's object clean up; once.

        Args:
            timeout_s: Seconds after which the requests that are left are given up.
        """
        _elsewhere()
