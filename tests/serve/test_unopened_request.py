"""Requests of plain deployments: Starlette's as soon as somebody looks at them, and not imported before."""

import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request

from ray_async.serve.ingress.plain_request import PlainRequest
from ray_async.serve.ingress.unopened_request import UnopenedRequest

SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/models",
    "headers": [(b"host", b"x")],
    "query_string": b"name=small",
}


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b'{"text": "hello"}'}


def request() -> Any:
    return UnopenedRequest(dict(SCOPE), receive)


LOOKS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "isinstance": (lambda it: isinstance(it, Request), True),
    "isinstance of a base": (lambda it: isinstance(it, HTTPConnection), True),
    "class": (lambda it: it.__class__, PlainRequest),
    "attribute": (lambda it: it.query_params["name"], "small"),
    "item": (lambda it: it["path"], "/models"),
    "length": (len, len(SCOPE)),
    "truth": (bool, True),
    "in": (lambda it: ("path" in it, "body" in it), (True, False)),
    "iteration": (list, list(SCOPE)),
    "unpacking": (lambda it: dict(**it), SCOPE),
    "text": (lambda it: repr(it).startswith("<ray_async.serve.ingress.plain_request.PlainRequest"), True),
    "method of Mapping's": (lambda it: it.get("nothing", 5), 5),
    "what is not there": (lambda it: hasattr(it, "nothing"), False),
    "new attribute": (lambda it: setattr(it, "mine", 5), None),
}


@pytest.mark.parametrize("name", LOOKS)
def test_the_first_look_makes_it_starlettes(name: str) -> None:
    look, right = LOOKS[name]
    looked_at = request()
    weak = weakref.ref(looked_at)
    assert type(looked_at).__name__ == "UnopenedRequest"
    assert look(looked_at) == right
    assert type(looked_at).__name__ == "PlainRequest"
    assert isinstance(looked_at, Request)
    assert weak() is looked_at


def test_comparing_is_no_look() -> None:
    one, two = request(), request()
    assert one == one
    assert one != two
    assert {one: 1, two: 2}[one] == 1
    assert isinstance(one, Mapping)
    number = hash(one)
    assert one.url.path == "/models"
    assert hash(one) == number


async def test_its_body_is_read() -> None:
    assert await request().json() == {"text": "hello"}
    assert await request().body() == b'{"text": "hello"}'


def test_what_is_set_stays() -> None:
    it = request()
    it.scope = {**SCOPE, "path": "/other"}
    it.mine = 5
    assert (it.url.path, it.mine) == ("/other", 5)


PROGRAM = """
import asyncio, sys
from ray_async.serve.ingress.plain_app import PlainApp
from ray_async.serve.ingress.reply import Reply
from ray_async.serve.replica.runner import Runner

seen = []
async def handler(request):
    seen.append(request)
    return "hello" if request["path"] == "/look" else "never"
async def blind(request):
    return "hello"
async def send(message):
    sent.append(message)
sent = []
async def main():
    for handle, path, loaded in ((blind, "/", False), (handler, "/look", True), (blind, "/", True)):
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await PlainApp(Runner(handle, 5))(scope, None, Reply(send, "one"))
        assert sent[-1]["body"] == b"hello", sent
        assert ("starlette.requests" in sys.modules) is loaded, path
asyncio.run(main())
print(type(seen[0]).__name__)
"""


def test_requests_that_nobody_looks_at_do_without_starlette() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout == "PlainRequest\n"
    assert found.stderr == ""
