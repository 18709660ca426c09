"""The handlers of the benchmark as plain ASGI applications, and their server: uvicorn with httptools on uvloop.

Run as a program it serves one application: `python -m bench.drivers.bare_apps APPLICATION PORT PROCESSES`. All
processes accept from one listening socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from typing import Any

from bench.drivers import serve_work

__all__ = ("balance", "echo", "pipeline", "stream")

TEXT, JSON = b"text/plain; charset=utf-8", b"application/json"
_one_at_a_time = asyncio.Semaphore(1)


async def _answer(send: Any, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers by a short text."""
    await _answer(send, b"hello", TEXT)


async def pipeline(scope: Any, receive: Any, send: Any) -> None:
    """Both stages, called as functions."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    result = serve_work.classify(serve_work.preprocess(json.loads(body)["text"]))
    await _answer(send, json.dumps(result).encode(), JSON)


async def balance(scope: Any, receive: Any, send: Any) -> None:
    """A model that takes one request at a time."""
    async with _one_at_a_time:
        await asyncio.sleep(serve_work.BALANCE_S)
    await _answer(send, b"done", TEXT)


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Many small chunks."""
    await serve_work.streamed(serve_work.chunks(serve_work.CHUNKS))(scope, receive, send)


def main(application: str, port: int, count: int) -> None:
    """Serve until a signal comes, which is for all of the process group."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", port), backlog=4096)
    for _ in range(count - 1):
        if os.fork() == 0:
            break
    config = uvicorn.Config(
        globals()[application],
        loop="uvloop",
        http="httptools",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
