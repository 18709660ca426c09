import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_async.runtime.start import node_control
from ray_async.runtime.start.node_control import (
    NodeEntry,
    NodeStartError,
    find_node,
    find_nodes,
    process_start_time,
    register_node,
    runtime_root,
    start_head,
    stop_nodes,
    unregister_node,
    wait_for_end,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return runtime_root({"RAY_ASYNC_TMPDIR": str(tmp_path)})


class Nodes:
    """Starts stand-ins of the node process: scripts that follow its protocol."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._monkeypatch = monkeypatch
        self._real = subprocess.Popen
        self.processes: list[Any] = []

    def start(self, script: str, **options: Any) -> NodeEntry:
        def popen(command: list[str], **settings: Any) -> Any:
            assert command == [sys.executable, "-m", "ray_async.runtime.node"]
            process = self._real([sys.executable, "-c", textwrap.dedent(script)], **settings)
            self.processes.append(process)
            return process

        with self._monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", popen)
            return start_head({"address": "127.0.0.1:6379", "num_cpus": 2}, self.root, **options)

    def reap(self) -> None:
        stop_nodes(force=True, root=self.root)
        for process in self.processes:
            try:
                os.kill(process.pid, signal.SIGKILL)
                os.waitpid(process.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue


@pytest.fixture
def nodes(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    nodes = Nodes(root, monkeypatch)
    yield nodes
    nodes.reap()


READY = """
    import json, os, signal, subprocess, sys
    config = json.load(sys.stdin)
    session = os.path.join({root!r}, "session")
    os.makedirs(session, exist_ok=True)
    child = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, {handler})
    print(json.dumps({{"address": config["address"], "session_dir": session, "socket": session + "/node"}}), flush=True)
    signal.pause()
"""


def ready(root: Path, handler: str = "lambda *_: (child.kill(), child.wait(), os._exit(0))") -> str:
    return READY.format(root=str(root), handler=handler)


def own_entry(root: Path, **changes: Any) -> NodeEntry:
    start_time = process_start_time(os.getpid())
    assert start_time is not None
    fields = {"address": "a:1", "session_dir": str(root / "s"), "pid": os.getpid(), "start_time": start_time}
    return NodeEntry(**{**fields, "socket": "", **changes})


def test_the_root_is_for_the_owner_only(tmp_path: Path) -> None:
    for variable in ("RAY_ASYNC_TMPDIR", "RAY_TMPDIR"):
        root = runtime_root({variable: str(tmp_path / variable)})
        assert root == tmp_path / variable / "ray-async"
        assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_name_that_is_taken_is_avoided(tmp_path: Path) -> None:
    (tmp_path / "ray-async").symlink_to("/")
    assert runtime_root({"RAY_ASYNC_TMPDIR": str(tmp_path)}).name == f"ray-async-{os.getuid()}"
    other = tmp_path / "other"
    other.mkdir()
    for name in ("ray-async", f"ray-async-{os.getuid()}"):
        (other / name).symlink_to("/")
    with pytest.raises(PermissionError, match="RAY_ASYNC_TMPDIR"):
        runtime_root({"RAY_ASYNC_TMPDIR": str(other)})


def test_entries_come_and_go(root: Path) -> None:
    entry = own_entry(root)
    assert find_nodes(root) == []
    register_node(entry, root)
    assert find_nodes(root) == [entry]
    assert [find_node(address, root) for address in (None, "auto", "a:1", "b:2")] == [entry, entry, entry, None]
    unregister_node(entry.pid, root)
    unregister_node(entry.pid, root)
    assert find_nodes(root) == []


def test_stale_and_foreign_entries_are_removed(root: Path) -> None:
    register_node(own_entry(root, start_time=1), root)
    (root / "nodes/12.json").write_text('{"address": "x"}')
    (root / "nodes/13.json").write_text("{")
    assert find_nodes(root) == []
    assert list((root / "nodes").iterdir()) == []


def make_session(directory: Path, bound: socket.socket) -> dict[str, str]:
    """Make a session's directory with the socket of its node."""
    directory.mkdir()
    bound.bind(str(directory / "node.sock"))
    return {"session_dir": str(directory), "socket": str(directory / "node.sock")}


def test_the_files_of_a_killed_node_are_removed(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        session = make_session(root / "session_1_dead", bound)
    register_node(own_entry(root, start_time=1, **session), root)
    assert find_nodes(root) == []
    assert [path.name for path in root.iterdir()] == ["nodes"]


def test_files_of_others_stay(root: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as elsewhere:
        sessions = (
            make_session(root / "session_1_container", listening),  # its node has a pid in another container
            make_session(tmp_path / "elsewhere", elsewhere),
        )
        listening.listen()
        for session in sessions:
            register_node(own_entry(root, start_time=1, **session), root)
            assert find_nodes(root) == []
            assert os.path.exists(session["socket"])


def test_a_node_starts_is_found_and_stops(nodes: Nodes) -> None:
    entry = nodes.start(ready(nodes.root))
    assert entry.address == "127.0.0.1:6379"
    assert find_nodes(nodes.root) == [entry]
    assert os.getsid(entry.pid) != os.getsid(0)
    assert not wait_for_end(entry, timeout_s=0)
    outcome = stop_nodes(grace_period_s=30, root=nodes.root)
    assert (outcome.found, outcome.stopped) == (2, 2)
    assert find_nodes(nodes.root) == []
    assert wait_for_end(entry, timeout_s=0)
    assert not Path(entry.session_dir).exists()


@pytest.mark.parametrize(("force", "grace"), [(True, 30), (False, 0.01)])
def test_a_node_that_does_not_end_is_killed_with_its_children(nodes: Nodes, force: bool, grace: float) -> None:
    entry = nodes.start(ready(nodes.root, handler="signal.SIG_IGN"))
    (child,) = node_control._descendants(entry.pid)
    outcome = stop_nodes(force=force, grace_period_s=grace, root=nodes.root)
    assert (outcome.found, outcome.stopped) == (2, 2)
    assert process_start_time(entry.pid) is None
    assert process_start_time(child) is None


def test_only_one_node_is_stopped_if_asked(nodes: Nodes) -> None:
    entry = nodes.start(ready(nodes.root))
    assert stop_nodes(root=nodes.root, only=own_entry(nodes.root)).found == 0
    assert find_nodes(nodes.root) == [entry]


def test_nothing_to_stop(root: Path) -> None:
    assert stop_nodes(root=root).found == 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('no room')", "no room"),
        ("import os; os._exit(3)", r"exit status 3.*said nothing"),
        ("""print('{"error": "bad resources"}', flush=True)""", "bad resources"),
    ],
)
def test_a_node_that_does_not_start_says_why(nodes: Nodes, script: str, message: str) -> None:
    with pytest.raises(NodeStartError, match=message):
        nodes.start(script)
    assert find_nodes(nodes.root) == []


def test_a_node_that_hangs_is_given_up(nodes: Nodes) -> None:
    with pytest.raises(NodeStartError, match="not ready within"):
        nodes.start("import signal; signal.pause()", timeout_s=0.1)
    assert process_start_time(nodes.processes[0].pid) is None


def test_a_late_look_at_a_process_that_is_gone(root: Path) -> None:
    assert wait_for_end(own_entry(root, start_time=1))
