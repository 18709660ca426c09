"""Node processes of this machine: how they are found, started and stopped.

Each node has a file `nodes/<pid>.json` in an owner-only directory, see `runtime_root`. An entry whose process is
gone, or whose pid belongs to another process by now, is stale. Whoever finds it removes it, with the session's files.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ray_async.config import TMPDIR, Settings
from ray_async.frozen import Record
from ray_async.machine.address import LOOPBACK
from ray_async.runtime.start.standard_descriptors import fill_standard_descriptors

__all__ = (
    "COMPANION",
    "NodeEntry",
    "NodeStartError",
    "StopOutcome",
    "find_node",
    "find_nodes",
    "node_entry",
    "register_node",
    "runtime_root",
    "start_head",
    "stop_nodes",
    "unregister_node",
    "wait_for_end",
)


#: How the names of files end that stand for a node's companions, after their pids.
COMPANION = ".companion"


class NodeStartError(RuntimeError):
    """A node process did not get ready; the message has its reason or its last words."""


class NodeEntry(Record):
    """What is known of a running node.

    Attributes:
        address: what `init(address=...)` takes.
        session_dir: the session's directory.
        pid: the node process.
        start_time: when that process started, in clock ticks since boot, unlike a later one's with its pid.
        socket: the path of its control socket.
        public: whether ``init()`` without an address attaches to it; the node of a driver waits to be named.
    """

    address: str
    session_dir: str
    pid: int
    start_time: int
    socket: str
    public: bool = True


class StopOutcome(Record):
    """How many processes were running and how many of them ended."""

    found: int
    stopped: int


def runtime_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of sessions and of the address registry, made if need be; only this user can enter it.

    It is `ray-async` below `RAY_ASYNC_TMPDIR`, else below `RAY_TMPDIR`, else below the system's directory for temporary
    files; `ray-async-<uid>` where that one belongs to somebody else. These are no names of modules: a program that lies
    beside the directory still imports the package.

    Raises:
        PermissionError: both names belong to somebody else.
    """
    base = Path(Settings(environ=environ).get(TMPDIR) or tempfile.gettempdir())
    for name in ("ray-async", f"ray-async-{os.getuid()}"):
        root = base / name
        with contextlib.suppress(FileExistsError):
            root.mkdir(mode=0o700, parents=True)
        status = root.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            root.chmod(0o700)
            return root
    raise PermissionError(f"{base / 'ray-async'} belongs to another user; set RAY_ASYNC_TMPDIR to a directory of yours")


def process_start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def register_node(entry: NodeEntry, root: Path | None = None) -> None:
    """Make a running node known to other processes of this user."""
    directory = (root or runtime_root()) / "nodes"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=".new-")
    with open(descriptor, "w") as file:
        json.dump(entry.as_dict(), file)
    os.replace(name, directory / f"{entry.pid}.json")


def node_entry(pid: int, address: str, session_dir: str, public: bool) -> NodeEntry | None:
    """Describe a node process for the registry; None if it has ended.

    Args:
        pid: the process.
        address: what ``init(address=...)`` takes.
        session_dir: the session's directory.
        public: whether ``init()`` without an address attaches to it.
    """
    start_time = process_start_time(pid)
    path = os.path.join(session_dir, "node.sock")
    return None if start_time is None else NodeEntry(address, session_dir, pid, start_time, path, public)


def unregister_node(pid: int, root: Path | None = None) -> None:
    """Forget a node; an unknown one is no error."""
    ((root or runtime_root()) / "nodes" / f"{pid}.json").unlink(missing_ok=True)


def find_nodes(root: Path | None = None) -> list[NodeEntry]:
    """Return the running nodes, the one started last coming first; what killed ones have left is removed."""
    root = root or runtime_root()
    entries = []
    for path in (root / "nodes").glob("*.json"):
        entry = _read_entry(path)
        if entry is not None and process_start_time(entry.pid) == entry.start_time:
            entries.append(entry)
        else:
            path.unlink(missing_ok=True)
            if entry is not None and Path(entry.session_dir).is_relative_to(root) and _is_deserted(entry.socket):
                shutil.rmtree(entry.session_dir, ignore_errors=True)
    return sorted(entries, key=lambda entry: (entry.start_time, entry.pid), reverse=True)


def find_node(address: str | None = None, root: Path | None = None) -> NodeEntry | None:
    """Return a running node, or None if there is none.

    Args:
        address: the node's, or its session's directory; "auto" for the one started last, nodes that no driver owns
            coming first; None for the
            last of these alone.
        root: the directory of the registry.
    """
    found = find_nodes(root)
    if address not in (None, "auto"):
        host, _, port = address.rpartition(":")
        # Several nodes of a cluster may be on this machine: one of them is meant by its session's directory.
        exact = (entry for entry in found if address in (entry.address, entry.session_dir))
        # Ports are unique on a machine, whichever of its addresses goes before them.
        local = (e for e in found if host in (LOOPBACK, "localhost") and e.address.rpartition(":")[2] == port)
        return next(exact, None) or next(local, None)
    public = next((entry for entry in found if entry.public), None)
    return public or (found[0] if found and address == "auto" else None)


def start_head(config: Mapping[str, Any], root: Path | None = None, timeout_s: float = 60) -> NodeEntry:
    """Start a node process that outlives this one, and register it.

    The process is `python -m ray_async.runtime.node`. It reads `config`, one JSON object, from its stdin until the
    end, and writes one line of JSON to its stdout: {"address", "session_dir", "socket"} when it is ready, or
    {"error": text}.

    Args:
        config: the node's configuration.
        root: the directory of the registry.
        timeout_s: how long it may take to get ready, in seconds.

    Raises:
        NodeStartError: it ended, reported an error or took too long.
    """
    fill_standard_descriptors()
    root = root or runtime_root()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray_async.runtime.node"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            reply = _exchange(process, config, timeout_s)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if reply is None or "error" in reply:
            process.kill()
            status = process.wait()
            errors.seek(0)
            words = reply["error"] if reply else errors.read().decode("utf-8", "replace")[-4000:].strip()
            raise NodeStartError(f"the node did not start (exit status {status}): {words or 'it said nothing'}")
    start_time = process_start_time(process.pid)
    if start_time is None:
        raise NodeStartError("the node ended as soon as it was ready")
    entry = NodeEntry(reply["address"], reply["session_dir"], process.pid, start_time, reply["socket"])
    register_node(entry, root)
    # The process goes on without its parent: keep Popen's finalizer from warning about it.
    process.returncode = 0
    return entry


def wait_for_end(entry: NodeEntry, timeout_s: float | None = None) -> bool:
    """Wait until a node's process has ended; return whether it has.

    Args:
        entry: the node.
        timeout_s: seconds to wait; None waits as long as it takes.
    """
    with _pidfds([entry.pid]) as processes:
        if process_start_time(entry.pid) != entry.start_time:
            return True
        return _wait(processes.values(), timeout_s) == len(processes)


def stop_nodes(
    force: bool = False, grace_period_s: float = 16, root: Path | None = None, only: NodeEntry | None = None
) -> StopOutcome:
    """End all nodes of this user on this machine, with their workers.

    Args:
        force: kill them at once.
        grace_period_s: seconds that they have to end by themselves before they are killed.
        root: the directory of the registry.
        only: end this node only.
    """
    root = root or runtime_root()
    found = stopped = 0
    for entry in find_nodes(root):
        if only not in (None, entry):
            continue
        with _pidfds([entry.pid, *_descendants(entry.pid), *_companions(entry.session_dir)]) as processes:
            found += len(processes)
            if not force:
                _signal(processes.get(entry.pid), signal.SIGTERM)
                _wait(processes.values(), grace_period_s)
            for descriptor in processes.values():
                _signal(descriptor, signal.SIGKILL)
            stopped += _wait(processes.values(), 5)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(entry.pid, os.WNOHANG)  # where this process started it, it is to leave no zombie
        unregister_node(entry.pid, root)
        if Path(entry.session_dir).is_relative_to(root) and process_start_time(entry.pid) is None:
            shutil.rmtree(entry.session_dir, ignore_errors=True)
    return StopOutcome(found, stopped)


def _read_entry(path: Path) -> NodeEntry | None:
    try:
        return NodeEntry(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # written by another version, or removed meanwhile


def _is_deserted(path: str) -> bool:
    """Whether nobody listens at a socket: a node in another container that shares the directory has no pid here."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            return isinstance(error, ConnectionRefusedError)
    return False


def _exchange(process: subprocess.Popen[bytes], config: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps(dict(config)).encode())
    deadline, line = time.monotonic() + timeout_s, b""
    with process.stdout as output:
        while not line.endswith(b"\n"):
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise NodeStartError(f"the node was not ready within {timeout_s} s")
            data = os.read(output.fileno(), 65536)
            if not data:
                return None
            line += data
    reply: dict[str, Any] = json.loads(line)
    return reply


def _companions(session_dir: str) -> list[int]:
    """Processes that are no children of the node, and end by themselves when it has."""
    names = (path.name.removesuffix(COMPANION) for path in Path(session_dir).glob(f"*{COMPANION}"))
    return [int(name) for name in names if name.isdigit()]


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(name))
    found, queue = [], [pid]
    while queue:
        queue += children.get(queue[0], [])
        found += children.get(queue.pop(0), [])
    return found


@contextlib.contextmanager
def _pidfds(pids: list[int]) -> Iterator[dict[int, int]]:
    """Open a descriptor of each process, which stands for that process even if its pid is used again."""
    with contextlib.ExitStack() as stack:
        descriptors = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptors[pid] = os.pidfd_open(pid)
                stack.callback(os.close, descriptors[pid])
        yield descriptors


def _signal(descriptor: int | None, number: signal.Signals) -> None:
    if descriptor is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)


def _wait(descriptors: Iterable[int], timeout_s: float | None) -> int:
    """Wait until all processes have ended or the time is over; return how many have ended."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    running = set(descriptors)
    total = len(running)
    poll = select.poll()
    for descriptor in running:
        poll.register(descriptor, select.POLLIN)
    while running:
        ended = poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000)
        if not ended:
            break
        for descriptor, _ in ended:
            poll.unregister(descriptor)
            running.discard(descriptor)
    return total - len(running)
