"""Random bytes wherever the node reads: it goes on, and so do well-behaved processes."""

import collections
import contextlib
import json
import mmap
import os
import random
import signal
import socket
import struct
from typing import Any

import pytest

import ray_async as ray
from ray_async._core.constants import EventKind
from ray_async._core.own_slot import OwnSlot
from ray_async.engine.current import get_session
from ray_async.transport.channel import connect_unix
from tests.faults.session import SEED, node_pid, session_dir, state_of, statistics, zygote_pid
from tests.resources import wait_until as poll_until


@ray.remote
def double(x):
    return 2 * x


@ray.remote
class Counter:
    def __init__(self):
        self.n = 0

    def add(self):
        self.n += 1
        return self.n


def assert_healthy():
    assert ray.get([double.remote(i) for i in range(50)], timeout=60) == [2 * i for i in range(50)]
    counter = Counter.remote()
    assert ray.get([counter.add.remote() for _ in range(5)], timeout=60) == [1, 2, 3, 4, 5]


def send(data):
    """Send bytes to the control socket and read until the node hangs up or has nothing to say."""
    path = session_dir() / "node.sock"
    poll_until(path.exists)  # the node listens soon
    with connect_unix(str(path)) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while sock.recv(1 << 16):
                pass


def test_random_bytes_on_the_control_socket(start):
    start()
    choice = random.Random(SEED)
    pid = node_pid()
    for _ in range(150):
        send(choice.randbytes(choice.choice([0, 1, 3, 4, 5, 100, 70_000])))
        length = choice.choice([0, 1, 4, 1000, 1 << 27, (1 << 32) - 1])
        send(struct.pack("<I", length) + choice.randbytes(choice.randrange(2000)))
    for body in (b"[]", b"null", b"{}", b'{"op": 1}', b'{"op": []}', b'"' + b"[" * 100_000, b"[" * 100_000, b"\xff{}"):
        send(struct.pack("<I", len(body)) + body)
    assert_healthy()
    assert node_pid() == pid


OPERATIONS = [
    "attach",
    "name_actor",
    "get_actor",
    "kill_actor",
    "actor_failed",
    "actor_leaves",
    "lease_accelerators",
    "list_named_actors",
    "nodes",
    "cluster_resources",
    "available_resources",
    "timeline",
    "statistics",
    "pending_demands",
    "pg_create",
    "pg_remove",
    "pg_get",
    "pg_table",
    "pg_ready",
    "add_node",
    "remove_node",
    "actors",
    "hello",
    "listen",
    "actor_found",
    "cancel_scope",
    "environment_failed",
    "nothing",
]
FIELDS = [
    "slot",
    "pid",
    "actor",
    "name",
    "namespace",
    "meta",
    "error",
    "reason",
    "record",
    "force",
    "scope",
    "env_key",
    "job",
    "placement_group_id",
    "promise",
    "holder",
    "resources",
    "labels",
    "node_id",
    "bundles",
    "strategy",
    "no_restart",
    "sys_path",
    "cwd",
    "all_namespaces",
    "value",
    "limit",
]


def test_requests_with_random_fields(start):
    start()
    choice = random.Random(SEED + 1)
    values: list[Any] = [
        None,
        True,
        -1,
        0,
        1,
        64,
        1 << 20,
        1 << 63,
        1 << 70,
        1.5,
        "",
        "x",
        "00",
        [],
        [1],
        {},
        {"CPU": 1e-9},
        [{"CPU": -1}],
    ]
    values += [{"CPU": "many"}, float(1 << 200), [[[]]], [{"a": {}}], "é" * 300]
    pid = node_pid()
    for _ in range(40):
        frames = b""
        for _ in range(25):
            message = {field: choice.choice(values) for field in choice.sample(FIELDS, 8)}
            message.update(op=choice.choice(OPERATIONS), id=choice.choice(values))
            body = json.dumps(message).encode()
            frames += struct.pack("<I", len(body)) + body
        send(frames)
    assert_healthy()
    assert node_pid() == pid


def test_random_datagrams_at_waiters(start):
    start()
    assert_healthy()
    choice = random.Random(SEED + 2)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    folder = os.open(session_dir() / "waiters", os.O_RDONLY)
    try:
        names = [name for name in os.listdir(folder) if name.startswith("w")]
        assert names, "the node has one at least"
        sock.setblocking(False)
        for _ in range(3000):
            with contextlib.suppress(BlockingIOError):
                sock.sendto(
                    choice.randbytes(choice.randrange(1, 200)), f"/proc/self/fd/{folder}/{choice.choice(names)}"
                )
    finally:
        os.close(folder)
        sock.close()
    assert_healthy()


def test_random_bytes_from_the_zygote(start, wait_until):
    start()
    assert_healthy()
    harmless = struct.pack("<I", 9) + b'{"x": 12}'
    for data in (b"\xff" * 64, harmless, struct.pack("<I", 13) + b'{"forked": 7}'):
        zygote = zygote_pid()
        # The zygote's own end of its socket, borrowed.
        pidfd = os.pidfd_open(zygote)
        try:
            found = [int(fd) for fd in os.listdir(f"/proc/{zygote}/fd")]
            sockets = [fd for fd in found if _is_socket(f"/proc/{zygote}/fd/{fd}")]
            ends = []
            for fd in sockets:
                number = _pidfd_getfd(pidfd, fd)
                ends.append(socket.socket(fileno=number))
            for end in ends:
                with contextlib.suppress(OSError):
                    end.send(data)
                end.close()
        finally:
            os.close(pidfd)
        if data is not harmless:
            wait_until(lambda zygote=zygote: zygote_pid() != zygote)
        assert_healthy()
    zygote = zygote_pid()
    assert state_of(node_pid()) not in ("", "Z")
    assert state_of(zygote) not in ("", "Z")


def _is_socket(descriptor):
    try:
        return os.readlink(descriptor).startswith("socket:")
    except FileNotFoundError:  # of a pipe to a worker that was being forked
        return False


def _pidfd_getfd(pidfd, fd):
    import ctypes

    number = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, fd, 0)
    if number < 0:
        pytest.skip("this kernel lends no descriptors")
    return number


class Memory:
    """The session's arena as plain bytes, and where its parts begin."""

    SUPER = struct.Struct("<QII16sQQQQQQQQ")

    def __enter__(self):
        arena = get_session().arena
        self.map = mmap.mmap(arena.fd, 0)  # all of the file; behind it lie places on disk
        facts = self.SUPER.unpack_from(self.map, 0)
        self.procs, self.waiters, self.classes, self.events, self.chunks, self.data = facts[-6:]
        return self

    def __exit__(self, *_):
        self.map.close()

    def unread(self):
        """How many events the node has not taken yet."""
        head, tail = struct.unpack_from("<Q56xQ", self.map, self.events + 128)
        return tail - head


UNKNOWN_KINDS = [0, 10, 16, 17, 24, 255, 65535]


def test_random_events(start, wait_until):
    """Each event reaches its handler, whatever its argument and its neighbours, and none makes one fail."""
    start()
    assert_healthy()
    choice = random.Random(SEED + 3)
    pid, log = node_pid(), session_dir() / "node.log"
    announce = OwnSlot(get_session().arena).announce
    before = collections.Counter(statistics()["events"])
    sent: collections.Counter[str] = collections.Counter()
    with Memory() as memory:
        used = get_session().arena.used
        for _ in range(25):
            for _ in range(100):
                kind = choice.choice([*EventKind, *UNKNOWN_KINDS])
                place = memory.data + choice.randrange(0, used, 64)
                argument = choice.choice([0, 1, 2, 3, choice.randrange(5000), choice.randrange(1 << 32), place, place])
                announce(kind, argument)
                sent[kind.name.lower() if isinstance(kind, EventKind) else "unknown"] += 1
            wait_until(lambda: state_of(pid) in ("", "Z") or memory.unread() == 0)
    assert state_of(pid) not in ("", "Z"), log.read_text()[-3000:]
    assert node_pid() == pid
    handled = collections.Counter(statistics()["events"]) - before
    unknown = sent.pop("unknown")
    assert unknown and set(sent) == {kind.name.lower() for kind in EventKind}
    assert not sent - handled, "an event did not reach its handler"
    text = log.read_text()
    assert "Traceback" not in text, text[-3000:]
    assert text.count("event of an unknown kind") == len(UNKNOWN_KINDS)


def announce_from_child(announce, events):
    """Announce from a process that may crash: it writes into the damaged structures."""
    child = os.fork()
    if child == 0:
        try:
            for kind, argument in events:
                announce(kind, argument)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize("part", ["classes", "records", "events", "everything"])
def test_random_memory(start, part, wait_until):
    """Damage in the structures that the node reads: it must not crash, though the session's own work may be lost."""
    start()
    assert_healthy()
    choice = random.Random(SEED + 4)
    pid, folder = node_pid(), session_dir()
    announce = OwnSlot(get_session().arena).announce
    with Memory() as memory:
        used = get_session().arena.used
        ranges = {
            "classes": (memory.classes, memory.classes + 64 * 8),
            "events": (memory.events, memory.events + 4096),
            "records": (memory.data, memory.data + used),
            "everything": (memory.waiters, memory.data + used),
        }
        low, high = ranges[part]
        for _ in range(40):
            for _ in range(30):
                at = choice.randrange(low, high, 8)
                memory.map[at : at + 8] = choice.choice(
                    [choice.randbytes(8), b"\0" * 8, struct.pack("<Q", choice.randrange(high))]
                )
            events = []
            for _ in range(40):
                place = memory.data + choice.randrange(0, used, 64)
                argument = choice.choice([choice.randrange(8), place])
                events.append((choice.choice(list(EventKind)), argument))
            announce_from_child(announce, events)
            if state_of(pid) in ("", "Z"):
                break
        # The driver's own memory is damaged as well; what counts is that the node answers on its socket.
        with connect_unix(str(folder / "node.sock")) as sock:
            sock.settimeout(60)
            body = b'{"op": "nodes", "id": 1}'
            for _ in range(5):  # events are taken between requests
                sock.sendall(struct.pack("<I", len(body)) + body)
                assert sock.recv(1 << 16), (folder / "node.log").read_text()[-3000:]
        assert state_of(pid) not in ("", "Z"), (folder / "node.log").read_text()[-3000:]
    os.kill(pid, signal.SIGTERM)
