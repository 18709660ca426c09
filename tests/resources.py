"""What a process holds of the system, before and after a test: processes, threads, descriptors, shared memory, files.

Processes are recognised by an environment variable that they inherit, so that a worker which outlived its node process
and was adopted by init still counts. Without /proc only threads and files are compared.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ("TMPDIR_VARIABLE", "Resources", "becomes_true", "leaks", "session_is_live", "wait_until")

TMPDIR_VARIABLE = "RAY_ASYNC_TMPDIR"
PROC = Path("/proc")
SHARED_MEMORY = Path("/dev/shm")
# Opened once by the interpreter or a library, whenever it is first needed, and kept for the life of the process.
KEPT_DESCRIPTORS = ("/dev/null", "/dev/urandom", "/dev/random", "/dev/tty", "/dev/pts/")
# Threads of a loop's default executor end when the loop is closed, which pytest-asyncio does after the last fixture.
KEPT_THREADS = ("asyncio_",)
# Directories that the first session makes and all later ones share.
KEPT_FOLDERS = ("ray-async", "nodes")
# Parents of the first process and of the kernel's threads, which are no test's.
KERNEL = (0, 2)


@dataclass(frozen=True)
class Resources:
    """One look at everything a test could leave behind; each part maps an identity to words for a person."""

    processes: dict[int, str]
    threads: dict[int, str]
    descriptors: dict[tuple[int, str], str]
    shared_memory: dict[str, str]
    files: dict[str, str]
    native: dict[str, int]

    @classmethod
    def now(cls) -> "Resources":
        return cls(
            _processes(), _threads(), _descriptors(), _entries(SHARED_MEMORY, "ray_async"), _session_files(), _native()
        )

    def beyond(self, before: "Resources") -> list[str]:
        """Say what is here that was not there before, one line each."""
        lines = [
            f"{kind}: {words}"
            for kind, after, earlier in (
                ("process", self.processes, before.processes),
                ("thread", self.threads, before.threads),
                ("descriptor", self.descriptors, before.descriptors),
                ("shared memory", self.shared_memory, before.shared_memory),
                ("file", self.files, before.files),
            )
            for identity, words in after.items()
            if identity not in earlier
        ]
        for name, count in self.native.items():
            if count > before.native.get(name, 0):  # fewer: what an earlier test's failure held has gone
                lines.append(f"native object: {name}, {before.native.get(name, 0)} before and {count} after")
        return lines


def wait_until(predicate: Callable[[], object], timeout: float = 30.0) -> None:
    """Poll until `predicate()` is true; fail after `timeout` seconds."""
    if not becomes_true(predicate, timeout):
        raise AssertionError(f"{predicate!r} did not become true within {timeout} s")


def becomes_true(predicate: Callable[[], object], timeout: float = 30.0) -> bool:
    """Poll until `predicate()` is true; return False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.0005
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return True


def leaks(before: Resources, timeout: float = 10.0) -> list[str]:
    """What is left of a test once garbage is collected and ends have had `timeout` seconds to take effect."""
    if not Resources.now().beyond(before):
        return []
    gc.collect()
    becomes_true(lambda: not Resources.now().beyond(before), timeout)
    return Resources.now().beyond(before)


def session_is_live() -> bool:
    """Whether this process has a ray_async session, without importing the package."""
    package = sys.modules.get("ray_async")
    is_initialized = getattr(package, "is_initialized", None)
    return bool(is_initialized is not None and is_initialized())


# Processes seen before that are no test's, by pid, with the inode of /proc/PID: another process has another one.
_STRANGERS: dict[int, int] = {}


def _processes() -> dict[int, str]:
    marker = os.environ.get(TMPDIR_VARIABLE)
    if marker is None or not PROC.is_dir():
        return {}
    wanted = f"{TMPDIR_VARIABLE}={marker}".encode()
    found = {}
    for name in os.listdir(PROC):
        if not name.isdigit() or (pid := int(name)) == os.getpid():
            continue
        try:
            inode = os.stat(f"/proc/{name}").st_ino
            if _STRANGERS.get(pid) == inode:
                continue
            state, parent, *_ = _read(f"/proc/{name}/stat").decode(errors="replace").rpartition(")")[2].split()
            if int(parent) in KERNEL:
                _STRANGERS[pid] = inode
                continue
            environment = _read(f"/proc/{name}/environ")
            # A zombie has no environment any more; it is ours when it is our child.
            if int(parent) != os.getpid() and wanted not in environment.split(b"\0"):
                if environment:  # for a moment at its start a process shows none
                    _STRANGERS[pid] = inode
                continue
            command = _read(f"/proc/{name}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # It ended while we looked, or belongs to another user.
        found[pid] = f"pid {name} (state {state}, parent {parent}) {command[:160]}"
    return found


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _threads() -> dict[int, str]:
    return {id(thread): repr(thread) for thread in threading.enumerate() if not thread.name.startswith(KEPT_THREADS)}


def _descriptors() -> dict[tuple[int, str], str]:
    folder = PROC / "self" / "fd"
    if not folder.is_dir():
        return {}
    found = {}
    for name in os.listdir(folder):
        try:
            target = os.readlink(folder / name)
        except FileNotFoundError:
            continue  # The descriptor of the listing itself.
        # pytest exchanges the standard streams while it captures.
        if int(name) > 2 and not target.startswith(KEPT_DESCRIPTORS):
            found[int(name), target] = f"{name} -> {target}"
    return found


def _entries(folder: Path, prefix: str) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {name: str(folder / name) for name in os.listdir(folder) if name.startswith(prefix)}


def _session_files() -> dict[str, str]:
    folder = os.environ.get(TMPDIR_VARIABLE)
    # The root itself stays, as does the folder of the registry of nodes: what counts is what lies in them.
    return {str(path): str(path) for path in Path(folder).rglob("*") if path.name not in KEPT_FOLDERS} if folder else {}


def _native() -> dict[str, int]:
    """Counts of native objects; only debug builds of the core have them."""
    live_objects = getattr(sys.modules.get("ray_async._core"), "live_objects", None)
    return dict(live_objects()) if live_objects is not None else {}
