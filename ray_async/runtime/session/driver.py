"""A driver's session: starting a node and attaching to one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, cast

from ray_async import exceptions as errors
from ray_async._core.arena import Arena
from ray_async._core.constants import ProcessKind
from ray_async.engine.init_options import InitOptions
from ray_async.engine.worker_imports import worker_imports
from ray_async.runtime.logs.log_setup import apply_log_setup, context_marks, log_setup
from ray_async.runtime.session.core_session import CoreSession
from ray_async.runtime.start import cleanup, node_control
from ray_async.runtime.start.node_config import node_config
from ray_async.runtime.start.node_control import NodeEntry
from ray_async.runtime.start.node_launch import NodeLaunch
from ray_async.runtime.start.store_memory import make_store, remove_store
from ray_async.transport.channel import Channel, connect_unix

if TYPE_CHECKING:
    from ray_async.runtime.messages.job_description import JobDescription
    from ray_async.runtime.messages.session_description import NodeConfig, SessionDescription, WorkerRequest
    from ray_async.spec.class_description import ClassDescription

__all__ = ("DriverSession", "connect_driver")

_logger = logging.getLogger("ray_async")

_NODE_END_S = 5
_PROCESS_END_S = 60
_ATTACH_TIMEOUT_S = 30


def connect_driver(options: InitOptions, launch: NodeLaunch | None) -> DriverSession:
    """Attach to a node, or start one.

    Args:
        options: of `init`.
        launch: the process that becomes the node, where one may have to be started.

    Raises:
        ConnectionError: the address names no running node.
        ValueError: settings of a node are given, and one runs already; or one that cannot be.
    """
    setup = log_setup(options)
    apply_log_setup(setup)
    session = _connect_driver(options, launch)
    if "root" in setup:
        apply_log_setup(setup, lambda: context_marks(session.context()))
    _logger.info("%s node %s", "started" if session.owns_node else "attached to", session.description["node_id"])
    return session


def _connect_driver(options: InitOptions, launch: NodeLaunch | None) -> DriverSession:
    address = options.address
    if address != "local":
        found = node_control.find_node(address)
        if found is not None:
            if launch is not None:
                launch.kill()
            options.check_attaching()
            return _attach(found, options)
    if launch is None:
        raise ConnectionError(
            f"Could not find a running node at {address!r}. Start one with `ray_async start --head`, "
            "or call init() without an address."
        )
    return _start(options, launch)


def job_config(options: InitOptions, number: int) -> JobDescription:
    """What workers must know of a driver's job."""
    config = options.job_config
    setup = log_setup(options)
    directory = _working_directory()
    own = (*getattr(config, "code_search_path", ()), *getattr(config, "_py_driver_sys_path", ()))
    path = [*own, *(directory if entry == "" else entry for entry in sys.path if entry or directory)]
    namespace = options.namespace or getattr(config, "ray_namespace", None) or os.urandom(16).hex()
    return {
        "id": number,
        "namespace": namespace,
        "sys_path": path,
        "cwd": directory,
        "default_actor_lifetime": getattr(config, "default_actor_lifetime", None) or "non_detached",
        # Workers are as they are set up by default, where nothing else is asked for.
        "logging": {} if setup == log_setup(InitOptions()) else setup,
        "imports": list(worker_imports),
    }


def _working_directory() -> str:
    """This process's directory; empty where it was deleted: workers then stay in the node's, which is the same one."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _start(options: InitOptions, launch: NodeLaunch) -> DriverSession:
    config = node_config(options)
    try:
        return _become_driver(options, config, launch)
    except BaseException:
        remove_store(config)
        shutil.rmtree(config["session_dir"], ignore_errors=True)
        raise


def _become_driver(options: InitOptions, config: NodeConfig, launch: NodeLaunch) -> DriverSession:
    arena = make_store(config)
    slot = arena.join(ProcessKind.DRIVER, -1, 1)
    job = job_config(options, 1)
    environment = _job_environment(options, config["session_dir"])
    prestart: list[WorkerRequest] = []
    if config["prestart_worker"] and config["resources"].get("CPU", 0) >= 1 and not environment:
        prestart.append(
            {
                "slot": arena.reserve(ProcessKind.WORKER),
                "env_key": "1:",
                "job": job,
                "runtime_env": {},
                "node_id": config["node_id"],
            }
        )
    config.update(
        {
            "job": job,
            "driver_pid": os.getpid(),
            "driver_slot": slot,
            "marker": launch.marker,
            "prestart": prestart,
        }
    )
    ours, theirs = socket.socketpair()
    listen_ours, listen_theirs = socket.socketpair()
    with theirs, listen_theirs:
        launch.configure(config, [arena.fd, theirs.fileno(), listen_theirs.fileno()])
    entry = node_control.node_entry(launch.pid, config["address"], config["session_dir"], public=False)
    if entry is not None:
        node_control.register_node(entry)
    description: NodeConfig = {**config, "runtime_env": environment}
    session = DriverSession(arena, description, options, Channel(ours), listen_ours, launch)
    session.watch_node(launch.pid)
    return session


def _job_environment(options: InitOptions, session_dir: str) -> dict[str, Any]:
    given = dict(options.runtime_env or {})
    if options.job_config is not None and getattr(options.job_config, "runtime_env", None):
        given = {**options.job_config.runtime_env, **given}
    if not given:
        return {}
    from ray_async.runtime_env.packaging import package_env
    from ray_async.runtime_env.runtime_env import RuntimeEnv
    from ray_async.serialization.pickling import dumps

    return dict(package_env(RuntimeEnv(**given), session_dir, dumps=dumps))


def _attach(found: NodeEntry, options: InitOptions) -> DriverSession:
    channel = Channel(_connect(found))
    job = job_config(options, 0)
    answer = channel.request("attach", pid=os.getpid(), **{k: v for k, v in job.items() if k != "id"})
    if "error" in answer:
        raise ConnectionError(f"the node at {found.address} refused: {answer['error']}")
    # The arena's descriptor is opened by way of the node's own, which only the same user may do.
    fd = os.open(f"/proc/{answer['node_pid']}/fd/{answer['arena_fd']}", os.O_RDWR | os.O_CLOEXEC)
    arena = Arena.attach(fd, answer["directory"])
    arena.join(ProcessKind.DRIVER, answer["slot"], answer["job"]["id"])
    listener = connect_unix(found.socket)
    description = cast("SessionDescription", answer)
    description["runtime_env"] = _job_environment(options, description["session_dir"])
    session = DriverSession(arena, description, options, channel, listener, None)
    session.watch_node(answer["node_pid"])
    return session


def _connect(found: NodeEntry) -> socket.socket:
    """Connect to a node, which may be known before it listens.

    Raises:
        ConnectionError: it ended, or does not listen in time.
    """
    deadline = time.monotonic() + _ATTACH_TIMEOUT_S
    while True:
        try:
            return connect_unix(found.socket)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if node_control.process_start_time(found.pid) != found.start_time or time.monotonic() > deadline:
                raise ConnectionError(f"the node at {found.address} does not answer") from error
        time.sleep(0.01)


class DriverSession(CoreSession):
    """The session of a driver.

    Args:
        arena: the session's shared memory, joined.
        description: what the node was given, or says.
        options: of ``init``.
        channel: control connection.
        listener: the connection on which workers' output arrives.
        launch: the node process, if this driver started it.
    """

    is_driver = True

    def __init__(
        self,
        arena: Arena,
        description: SessionDescription,
        options: InitOptions,
        channel: Channel,
        listener: socket.socket,
        launch: NodeLaunch | None,
    ) -> None:
        super().__init__(arena, description, channel)
        self._listener = listener
        self._launch = launch
        self._closed = False
        self._leased_first = False
        self._options = options
        from ray_async.runtime.logs.driver_output import Output

        plain = options.logging_config is not None  # its records say by themselves where they come from
        self._output = Output(listener, self.job_number, options.log_to_driver, description["node_ip"], plain)

    @property
    def owns_node(self) -> bool:
        """Whether this driver started the node."""
        return self._launch is not None

    def _class_added(self, class_id: int, description: ClassDescription) -> None:
        """The first plain class goes to the worker that was forked with the node, without waiting for the node."""
        from ray_async._core import submission

        if description.is_plain and self.description.get("prestart") and not self._leased_first:
            self._leased_first = True
            submission.lease_first(self.arena, self.description["prestart"][0]["slot"], class_id)

    def watch_node(self, pid: int) -> None:
        """Notice the end of the node process in every wait."""
        with contextlib.suppress(OSError, AttributeError):
            self.arena.node_fd = os.pidfd_open(pid)
        self._output.start(self.arena.node_fd, self.arena.note_node_death)

    def node_died(self) -> BaseException:
        """The error for those who wait when the node is gone; says what its log says."""
        text = "the node process of this session has died: its tasks, actors and objects are lost"
        if self._launch is not None and self._launch.poll() is not None:
            text += f" (exit status {self._launch.returncode})"
        with contextlib.suppress(OSError):
            with open(os.path.join(self.description["session_dir"], "node.log"), "rb") as log:
                words = log.read()[-2000:].decode("utf-8", "replace").strip()
            if words:
                text += f". Its last words:\n{words}"
        return errors.NodeDiedError(f"{text}\nWhat to try: shutdown(), then init() for a new session.")

    def close(self, wait_for_processes: bool = False) -> None:
        """Leave the session; end the node if this driver started it."""
        if self._closed:
            return
        self._closed = True
        fd = self.arena.node_fd
        slot = self.arena.slot
        # First nothing here touches the shared counts any more: at "shutdown" the node takes them back.
        self.leave_arena()
        ending: list[int] = []
        if wait_for_processes:
            ending = (self.link.ask_within(_NODE_END_S, "leave", slot=slot) or {}).get("pids", [])
        else:
            with contextlib.suppress(OSError, ConnectionError):
                self.link.channel().send("shutdown", slot=slot)
        try:
            if self._launch is not None:
                self._end_node(self._launch)
            cleanup.await_ends(ending, _PROCESS_END_S)
        finally:
            self._output.stop()
            self.link.close()
            if fd >= 0:
                self.arena.node_fd = -1
                os.close(fd)

    def _end_node(self, launch: NodeLaunch) -> None:
        """Wait for the node to end; it kills its workers first."""
        launch.end_early()
        try:
            launch.wait(_NODE_END_S)
        finally:  # a second Ctrl-C says that nobody wants to wait
            launch.kill()
            if launch.returncode != 0:  # it could not clean up
                cleanup.end_processes(launch.marker)
            cleanup.remove_files(self.description, launch.pid)
