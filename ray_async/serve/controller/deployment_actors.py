"""The actors of a deployment, as the controller has them: those of each version that has, or will have, replicas."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import ray_async as ray
from ray_async import cloudpickle
from ray_async.exceptions import ActorUnavailableError
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.room import has_process, wait_for_room
from ray_async.serve.deaths import DEATHS
from ray_async.serve.deployment_actors import DeploymentActorConfig, unique_name
from ray_async.serve.environment import merged_environment
from ray_async.serve.names import NAMESPACE
from ray_async.serve.placement import asked_resources

__all__ = ("DeploymentActors", "names_of")

logger = logging.getLogger("ray_async.serve")
_LOOK = 1.0  # seconds between two looks at whether an actor lives

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
Key = tuple[str, str]  # version, name


def names_of(app: str, spec: DeploymentSpec) -> set[str]:
    """The names of the actors that a deployment has."""
    return {unique_name(app, spec.name, spec.version, one.name) for one in spec.options.deployment_actors}


class DeploymentActors:
    """Keeps the actors of one deployment.

    Args:
        app: The application's name.
        spawn: Runs something beside.
        started: Told of a version whose actors all run.
        failed: Told of a version whose actor could not be started, and why.
        say: Told what the node lacks for one; returns whether to go on waiting.
        changed: Called when one runs, has died or has ended.
    """

    def __init__(
        self,
        app: str,
        spawn: Spawn,
        started: Callable[[str], None],
        failed: Callable[[str, Exception], None],
        say: Callable[[str], bool],
        changed: Callable[[], None],
    ) -> None:
        self._app = app
        self._spawn = spawn
        self._started = started
        self._failed = failed
        self._say = say
        self._changed = changed
        self._works: dict[Key, asyncio.Task[None]] = {}
        self._running: set[Key] = set()
        self._ending: set[Key] = set()

    def __bool__(self) -> bool:
        """Whether there are any, those that start or end among them."""
        return bool(self._works or self._ending)

    def are_ready(self, spec: DeploymentSpec) -> bool:
        """Whether all actors of a version run."""
        return all((spec.version, one.name) in self._running for one in spec.options.deployment_actors)

    def keep(self, wanted: Iterable[DeploymentSpec], may_start: bool) -> None:
        """Start what is wanted and not there, and end what is not wanted any more.

        Args:
            wanted: The deployment, in each version that has or will have replicas.
            may_start: Whether to start something now.
        """
        known = {(spec.version, one.name): (spec, one) for spec in wanted for one in spec.options.deployment_actors}
        for key, work in list(self._works.items()):
            if key not in known:
                work.cancel()
        for key, (spec, one) in known.items():
            if may_start and key not in self._works and key not in self._ending:
                self._works[key] = self._spawn(self._live(key, spec, one))

    async def _live(self, key: Key, spec: DeploymentSpec, config: DeploymentActorConfig) -> None:
        """The life of an actor: its start, as many looks as it lives, and its end."""
        name = unique_name(self._app, spec.name, spec.version, config.name)
        creation: asyncio.Future[Any] = asyncio.ensure_future(_creation(name, spec, config))
        is_over = True
        try:
            await self._wait_for_start(name, spec, config, creation)
            self._running.add(key)
            if self.are_ready(spec):
                self._started(spec.version)
            self._changed()
            await _wait_for_death(name)
            logger.warning("The actor %r of deployment %r has died.", config.name, spec.name)
            is_over = False
        except Exception as error:  # whatever the user's constructor raises
            self._failed(spec.version, error)
        finally:
            self._running.discard(key)
            del self._works[key]
            if is_over:  # beside: what ends must not be cancelled
                self._ending.add(key)
                self._spawn(self._end(key, name, creation))
            self._changed()

    async def _end(self, key: Key, name: str, creation: asyncio.Future[Any]) -> None:
        try:
            await asyncio.wait([creation])  # its failure was told to who waited for the start
            with contextlib.suppress(ValueError):  # it has ended by itself
                ray.kill(ray.get_actor(name, namespace=NAMESPACE))
        finally:
            self._ending.discard(key)
            self._changed()

    async def _wait_for_start(
        self, name: str, spec: DeploymentSpec, config: DeploymentActorConfig, creation: asyncio.Future[Any]
    ) -> None:
        start = asyncio.ensure_future(_start(name, creation))
        options = _options(spec, config)
        plain = {key: value for key, value in options.items() if key in ("num_cpus", "num_gpus", "resources", "memory")}
        what = f"The actor {config.name!r} of deployment {spec.name!r} cannot start: it asks for {plain}"
        try:
            await wait_for_room(asked_resources(plain), partial(has_process, name), start, self._say, what)
            await start
        finally:
            start.cancel()


async def _creation(name: str, spec: DeploymentSpec, config: DeploymentActorConfig) -> None:
    """Create an actor, if there is none of its name yet, in another process: user's classes are not loaded here."""
    with contextlib.suppress(ValueError):
        ray.get_actor(name, namespace=NAMESPACE)
        return
    options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
    create = ray.remote(num_cpus=0, max_calls=1)(_create)
    await create.remote(config.code, spec.path, _options(spec, config) | options)


def _options(spec: DeploymentSpec, config: DeploymentActorConfig) -> dict[str, Any]:
    given = dict(config.actor_options)
    own, shared = given.get("runtime_env") or {}, spec.options.ray_actor_options.get("runtime_env") or {}
    if own or shared:
        given["runtime_env"] = merged_environment(shared, own)
    return {"max_restarts": -1} | given


def _create(code: bytes, path: tuple[str, ...], options: Mapping[str, Any]) -> None:
    """Create an actor; run as a task."""
    job = list(sys.path)
    _see(path)
    target, args, kwargs = cloudpickle.loads(code)
    actor: Any = target if isinstance(target, ray.actor.ActorClass) else ray.remote(target)
    unseen = [entry for entry in path if entry not in job]
    if unseen:  # its process has the path of the job that the controller is of
        env = dict(options.get("runtime_env") or {})
        env.setdefault("worker_process_setup_hook", partial(_see, unseen))
        options = {**options, "runtime_env": env}
    actor.options(**options).remote(*args, **kwargs)


def _see(path: Iterable[str]) -> None:
    sys.path += [entry for entry in path if entry not in sys.path]


async def _start(name: str, creation: asyncio.Future[Any]) -> None:
    """Wait until an actor's constructor has returned; raises what it has raised."""
    await asyncio.shield(creation)
    actor: Any = ray.get_actor(name, namespace=NAMESPACE)
    await actor.__ray_ready__.remote()


async def _wait_for_death(name: str) -> None:
    """Wait until an actor is not restarted any more."""
    while True:
        try:
            actor: Any = ray.get_actor(name, namespace=NAMESPACE)
            await actor.__ray_ready__.remote()
        except ActorUnavailableError:  # it is restarted
            pass
        except (ValueError, *DEATHS):
            return
        await asyncio.sleep(_LOOK)
