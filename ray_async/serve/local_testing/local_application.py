"""Local applications: deployments whose objects live in this process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import Coroutine
from typing import Any

from ray_async.serve.application import Application, take_apart
from ray_async.serve.context import ReplicaContext, local_context
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.handle.client import LoopThread, own_loop
from ray_async.serve.local_testing.local_handle import LocalHandle
from ray_async.serve.replica.runner import Runner, maybe_async

__all__ = ("LocalDeployment", "delete_local", "get_local", "run_local", "shutdown_local")

_PATIENCE = 5.0  # seconds for what runs when a deployment ends


class LocalDeployment:
    """A user's object with a loop of its own; lives as long as handles refer to it.

    Args:
        app: The application's name.
        name: The deployment's name.
        node: What was bound.
        args: The constructor's arguments.
        kwargs: Its keyword arguments.

    Raises:
        Exception: The constructor's own.
    """

    def __init__(self, app: str, name: str, node: Application, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        thread = LoopThread()
        self.loop = thread.loop
        options = node.options
        self.context = ReplicaContext(app, name, f"local-{name}", None)
        try:
            target = self._finish(self._construct(node.func_or_class, args, kwargs))
            self.runner = Runner(target, options.max_ongoing_requests)
            if options.user_config is not None:
                self._finish(self._configure(target, options.user_config))
        except BaseException:
            thread.stop()
            raise
        self._end = weakref.finalize(self, _end, thread, self.runner)

    @property
    def closed(self) -> bool:
        """Whether the application was deleted."""
        return not self._end.alive

    def close(self) -> None:
        """End what runs, and let go of the user's object."""
        self._end()

    def _finish(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def _construct(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not inspect.isclass(target):
            return target
        instance = target.__new__(target)
        self.context = ReplicaContext(self.context.app_name, self.context.deployment, self.context.replica_id, instance)
        local_context.set(self.context)
        await maybe_async(type(instance).__init__, instance, *args, **kwargs)
        return instance

    async def _configure(self, target: Any, user_config: Any) -> None:
        local_context.set(self.context)
        if inspect.isfunction(target) or not hasattr(target, "reconfigure"):
            raise RayServeException(
                f"Deployment {self.context.deployment!r} has a user_config, but no method `reconfigure` that takes it."
            )
        await maybe_async(target.reconfigure, user_config)


class LocalApplication:
    """Deployments of one application, as long as somebody has a handle.

    Args:
        ingress: The deployment that takes its requests.
        deployments: All by name.
    """

    def __init__(self, ingress: LocalDeployment, deployments: dict[str, LocalDeployment]) -> None:
        self.ingress = weakref.ref(ingress)
        self.deployments = weakref.WeakValueDictionary(deployments)

    def close(self) -> None:
        """End all deployments."""
        for deployment in list(self.deployments.values()):
            deployment.close()


_applications: dict[str, LocalApplication] = {}


def run_local(target: Application, name: str) -> LocalHandle:
    """Construct an application in this process; one of the same name ends.

    Args:
        target: What ``bind`` gives.
        name: The application's name.

    Returns:
        The handle of the deployment that takes its requests; the application lives as long as it does.
    """
    deployments: dict[str, LocalDeployment] = {}

    def found(unique: str, node: Application, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LocalHandle:
        deployments[unique] = LocalDeployment(name, unique, node, args, kwargs)
        return LocalHandle(deployments[unique])

    try:
        handle: LocalHandle = take_apart(target, found)
    except BaseException:
        for deployment in deployments.values():
            deployment.close()
        raise
    delete_local(name)
    _applications[name] = LocalApplication(deployments[handle.deployment_name], deployments)
    return handle


def get_local(app: str, deployment: str | None = None) -> LocalHandle | None:
    """A handle of a local deployment, or of the one that takes the application's requests; None if there is none."""
    application = _applications.get(app)
    if application is None:
        return None
    found = application.ingress() if deployment is None else application.deployments.get(deployment)
    return None if found is None or found.closed else LocalHandle(found)


def delete_local(name: str) -> bool:
    """End a local application, if there is one of that name."""
    application = _applications.pop(name, None)
    if application is not None:
        application.close()
    return application is not None


def shutdown_local() -> None:
    """End all local applications."""
    for name in list(_applications):
        delete_local(name)


def _end(thread: LoopThread, runner: Runner) -> None:
    """End a deployment: what runs is cancelled, and an async ``__del__`` is awaited."""
    ended = asyncio.run_coroutine_threadsafe(_let_go(runner.target), thread.loop)
    runner.close()
    if own_loop() is None:
        with contextlib.suppress(TimeoutError):
            ended.result(_PATIENCE)
        thread.stop()
    else:  # a loop must not wait for another one
        ended.add_done_callback(lambda _: thread.stop())


async def _let_go(target: Any) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)
    finalizer = None if inspect.isfunction(target) else getattr(type(target), "__del__", None)
    if finalizer is not None and inspect.iscoroutinefunction(finalizer):
        await finalizer(target)
        # Python would call it once more when the object goes, and nobody would await it.
        cls = type(target)
        target.__class__ = type(cls.__name__, (cls,), {"__del__": lambda _: None, "__slots__": ()})
