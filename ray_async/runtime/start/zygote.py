"""The zygote: a warm interpreter that forks workers on request and reports how they ended.

It stays single-threaded and has no event loop. Requests and reports are JSON frames over a socket pair with the node; a
new worker's output pipes travel along as descriptors.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import select
import signal
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ray_async._core.arena import Arena
from ray_async._core.os_process import die_with_parent, set_subreaper, set_title
from ray_async.transport.frames import FrameReader, pack

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig, WorkerConfig, WorkerRequest

__all__ = ("ENTRY", "Zygote")

#: What every worker needs, imported before the first fork: pages that all workers share.
_FIRST_MODULES = (
    "cloudpickle",
    "faulthandler",
    "ray_async.runtime.worker.worker",
    "ray_async.runtime.worker.session",
    "ray_async.serialization.pickling",
    "ray_async.runtime.session.read_errors",
)
#: Imported once the first workers are on their way, so that later ones have them for nothing.
_WARM_MODULES = (
    "asyncio",
    "uvloop",
    "ray_async.runtime.worker.hosts.async_host",
    "ray_async.runtime.worker.hosts.actor_host",
    "ray_async.runtime.worker.exit_work",
    "ray_async.machine.event_loop",
    "ray_async.runtime.awaiting.loops",
    "ray_async.spec.actor_description",
)
#: Of what a driver may have loaded, the modules that bring BLAS along.
_WITH_THREAD_POOLS = ("numpy", "pandas")
#: Of a module that is preloaded: the names of modules that are imported once the first worker is on its way, of one of
#: those in turn: once another one is.
NEXT = "__preload_next__"
ENTRY = "from ray_async.runtime.start.node_entry import zygote_main; zygote_main()"
"""Program of an interpreter that becomes a zygote; it reads the configuration from its standard input."""


class Zygote:
    """Forks, reaps, reports.

    Args:
        arena: mapped by the node and the zygote alike; workers get it by the fork.
        sock: to the node.
        config: the node's configuration.
        node_pid: whose death ends us.
    """

    def __init__(self, arena: Arena, sock: socket.socket, config: NodeConfig, node_pid: int) -> None:
        self._arena = arena
        self._socket = sock
        self._config = config
        self._node_pid = node_pid
        self._reader = FrameReader()
        self._warm = [*_WARM_MODULES, *config.get("warm", [])]
        self._next: list[str] = []  # what all workers but the first ones are to have

    def run(self) -> None:
        """Serve until the node closes the socket or is gone."""
        die_with_parent(signal.SIGKILL)
        if os.getppid() != self._node_pid:
            return
        set_subreaper()
        set_title(b"ray::zygote")
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write_end)
        signal.signal(signal.SIGCHLD, _only_wake)
        for name in _FIRST_MODULES:
            __import__(name)
        self._preload(self._config.get("preload", []))
        gc.freeze()
        for request in self._config.get("prestart", []):
            self._fork(request)
            self._import_next()
        # Not select(): the number of a descriptor may be past what it can hold.
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(read_end, select.POLLIN)
        while True:
            timeout = 0 if self._warm else None
            ready = {fd for fd, _ in poll.poll(timeout)}
            if not ready and self._warm:
                self._import_one()
                continue
            if read_end in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(read_end, 4096)
                self._reap()
            if self._socket.fileno() in ready:
                try:
                    data = self._socket.recv(1 << 16)
                except ConnectionResetError:
                    data = b""  # the node was killed with answers of ours unread
                if not data:
                    return
                for asked in self._reader.feed(data):
                    self._fork(cast("WorkerRequest", asked))
                    self._import_next()

    def _preload(self, names: list[str]) -> None:
        """Import what the user wants all workers to have, as the driver would find it."""
        if not names:
            return
        from ray_async.runtime.worker.preloading import threads_beyond_import

        sys.path += [entry for entry in self._config.get("preload_path", ()) if entry not in sys.path]
        for name in names:
            zygote = os.getpid()
            try:
                with self._one_blas_thread():
                    __import__(name)
            except (Exception, SystemExit) as error:  # whatever code of the user's raises
                self._send({"warning": f"preloading: {name} cannot be imported: {error!r}"})
            if os.getpid() != zygote:
                os._exit(0)  # a child that the module has forked
            self._next += getattr(sys.modules.get(name), NEXT, ())
            threads = threads_beyond_import()
            if threads:
                started = f"{name} has started threads ({', '.join(threads)}) while it was imported"
                text = f"preloading: {started}. Forked processes do not have them: each worker imports it by itself."
                self._send({"warning": text})
                self._start_anew(without=name)
        self._note_thread_pools()

    def _start_anew(self, without: str) -> NoReturn:
        """Become a fresh zygote, which leaves a module to the workers: what it has started cannot be undone."""
        config = {
            **self._config,
            "preload": [name for name in self._config["preload"] if name != without],
            "preload_in_workers": [*self._config.get("preload_in_workers", ()), without],
            "arena_fd": self._arena.fd,
            "zygote_fd": self._socket.fileno(),
            "node_pid": self._node_pid,
        }
        stdin = os.memfd_create("ray_async_zygote", 0)
        os.write(stdin, json.dumps(config).encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        os.dup2(stdin, 0)
        os.close(stdin)
        for descriptor in (self._arena.fd, self._socket.fileno()):
            os.set_inheritable(descriptor, True)
        os.execv(sys.executable, [sys.executable, "-P", "-c", ENTRY])

    def _note_thread_pools(self) -> None:
        """Note for workers the native libraries with threads that they have from us."""
        from ray_async.runtime.worker.thread_pools import loaded_pools

        self._config["thread_pools"] = loaded_pools()
        if self._config["thread_pools"]:
            __import__("ctypes")

    def _import_next(self) -> None:
        """Import what has waited for the first worker, before there is another one: that is to have it."""
        if not self._next:
            return
        # Who says what comes next will want more than one worker: what each of them loads at first is had once, too.
        names, self._next = [*(name for name in self._warm if name in _WARM_MODULES), *self._next], []
        self._warm = [name for name in self._warm if name not in _WARM_MODULES]
        for name in names:
            with contextlib.suppress(ImportError), self._one_blas_thread():  # a worker that needs it will say so
                __import__(name)
            self._next += getattr(sys.modules.get(name), NEXT, ())
        gc.freeze()

    def _import_one(self) -> None:
        name = self._warm.pop(0)
        with contextlib.suppress(ImportError), self._one_blas_thread():  # a worker that needs it will say so
            __import__(name)
        if name in _WITH_THREAD_POOLS:
            self._note_thread_pools()
        if not self._warm:
            gc.collect()
            gc.freeze()

    @contextlib.contextmanager
    def _one_blas_thread(self) -> Iterator[None]:
        """Keep NumPy from starting its BLAS threads here: threads do not survive a fork."""
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            yield
        finally:
            if "OPENBLAS_NUM_THREADS" not in self._config["environ"]:
                os.environ.pop("OPENBLAS_NUM_THREADS", None)

    def _fork(self, request: WorkerRequest) -> None:
        zygote = os.getpid()
        fds: list[int] = []
        try:
            fds += os.pipe()
            fds += os.pipe()
            pid = os.fork()
        except OSError as error:
            for fd in fds:
                os.close(fd)
            self._send({"failed": request["slot"], "reason": str(error)})
            return
        out_read, out_write, err_read, err_write = fds
        if pid == 0:
            self._become_worker(request, zygote, out_write, err_write)
        os.close(out_write)
        os.close(err_write)
        self._send({"forked": request["slot"], "pid": pid}, [out_read, err_read])
        os.close(out_read)
        os.close(err_read)

    def _become_worker(self, request: WorkerRequest, zygote: int, out: int, err: int) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            die_with_parent(signal.SIGKILL)
            if os.getppid() != zygote:
                os._exit(1)  # it died before the kernel knew
            self._socket.close()
            os.dup2(out, 1)
            os.dup2(err, 2)
            for fd in (out, err):
                os.close(fd)
            _raise_oom_score(self._config["oom_score_adj"])
            if self._config["niceness"]:
                os.nice(self._config["niceness"])
            random.seed()
            config: WorkerConfig = {**self._config, **request, "arena_fd": self._arena.fd}
            if request.get("runtime_env"):
                from ray_async.runtime.worker.exec_worker import become_fresh
                from ray_async.runtime_env.worker_setup import needs_exec

                if needs_exec(request["runtime_env"]):
                    become_fresh({**config, "arena_fd": self._arena.fd})
            from ray_async.runtime.worker.worker import end_worker

            end_worker(self._arena, config)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            # Whatever happens, this copy of the zygote must not go on as a zygote.
            os._exit(1)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._send({"ended": pid, "status": status})

    def _send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        data = pack(message)
        try:
            if fds:
                sent = socket.send_fds(self._socket, [data], fds)
                data = data[sent:]
            self._socket.sendall(data)
        except OSError:
            # The node is gone; its end of the socket ends the loop.
            return


def _only_wake(number: int, frame: Any) -> None:
    """SIGCHLD: the byte that Python writes to the wake-up descriptor is all that is wanted."""


def _raise_oom_score(adjustment: int) -> None:
    """When memory runs out the kernel is to take a worker, not the driver or the node."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(adjustment))
