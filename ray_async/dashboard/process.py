"""The process of the dashboard: it serves until it is asked to end, or its node ends."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import secrets
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from ray_async.dashboard.access import Access
from ray_async.dashboard.application import make_application
from ray_async.dashboard.launch import FILE, LOCK
from ray_async.transport.channel import connect_unix

__all__ = ("main",)

_NODE_START_S = 30.0
_PAUSE_S = 0.01


def main() -> None:
    """Run with a config as JSON on stdin; the answer is a line of JSON on stdout: the address, or an error."""
    config = json.load(sys.stdin)
    # As many browsers and idle connections as the system allows.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536) if most > 0 else 65536, most))
    try:
        listening = _bind(config["host"], config["port"])
    except OSError as error:
        _say({"error": f"the dashboard cannot listen at {config['host']}:{config['port']}: {error.strerror or error}"})
        raise SystemExit(1) from error
    lock = os.open(Path(config["session_dir"], LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        _say({"error": f"the node at {config['address']} has a dashboard already"})
        raise SystemExit(1) from error
    if os.fork():  # who has started this one has no child to look after: it ends with the node
        os._exit(0)
    try:
        asyncio.run(_serve(config, listening))
    except OSError as error:  # the node has ended, and its folder with it
        _say({"error": f"the dashboard cannot reach the node at {config['address']}: {error}"})
        raise


def _bind(host: str, port: int | None) -> socket.socket:
    """Listen at a port: the one that was asked for, or the first that is free from Ray's own on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [port] if port is not None else [*range(8265, 8285), 0]:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, candidate))
            listening.listen(1024)
        except OSError:
            listening.close()
            if candidate == port:
                raise
            continue
        return listening
    raise OSError("no port is free")


async def _serve(config: dict[str, Any], listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    host = f"[{config['host']}]" if ":" in config["host"] else config["host"]
    names = {host, "127.0.0.1", "localhost", *config.get("names", ())}
    folder = Path(config["session_dir"])
    token = _kept_token(folder) or secrets.token_urlsafe(32)
    access = Access(token, frozenset(f"{name}:{port}".lower() for name in names), f"ray-async-{port}")
    runner = web.AppRunner(
        make_application(access, config["address"], config["session_dir"]), access_log=None, handler_cancellation=True
    )
    await runner.setup()
    await web.SockSite(runner, listening).start()
    ended, node = await _end_of(config["session_dir"])
    entry = {"url": f"http://{host}:{port}", "token": token, "pid": os.getpid()}
    _write(folder / FILE, entry)
    _say({**entry, "code": access.new_code()})
    try:
        await ended.wait()
    finally:
        # Streams to browsers end with the process; nobody's answer is worth waiting for.
        await asyncio.wait_for(runner.cleanup(), 2)
        node.close()


async def _end_of(session_dir: str) -> tuple[asyncio.Event, socket.socket]:
    """An event that is set once the node has ended, or this process is asked to end; and a connection to the node."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    node = await _connect(os.path.join(session_dir, "node.sock"))
    loop.add_reader(node, ended.set)  # nothing comes over it but its end
    return ended, node


async def _connect(path: str) -> socket.socket:
    """Connect to the node, which may still be on its way up."""
    deadline = time.monotonic() + _NODE_START_S
    while True:
        try:
            return connect_unix(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)


def _kept_token(folder: Path) -> str | None:
    """The token of a dashboard that was here before: who has it stays in."""
    try:
        token: str = json.loads((folder / FILE).read_text())["token"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    (folder / FILE).unlink()  # nobody is to look for it where it was
    return token


def _write(path: Path, value: dict[str, Any]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".dashboard-")  # which its owner alone can read
    with open(descriptor, "w") as file:
        json.dump(value, file)
    os.replace(name, path)


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)
