"""What handlers raise, as callers two stages away get it."""

import threading
from typing import Any

import httpx
import pytest

from ray_async import serve
from ray_async.exceptions import RayTaskError
from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from tests.serve.controller import replica_pids


class KeywordOnly(Exception):
    """An error with arguments that must be named."""

    def __init__(self, *, reason: str, code: int = 3) -> None:
        super().__init__(f"{reason} ({code})")
        self.reason, self.code = reason, code


class TwoRequired(Exception):
    """An error with two arguments, and one text."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left}-{right}")
        self.left, self.right = left, right


class Locked(Exception):
    """An error with something that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def error_of(kind: str) -> BaseException:
    found: dict[str, BaseException] = {
        "keyword": KeywordOnly(reason="why", code=7),
        "two": TwoRequired("a", "b"),
        "lock": Locked("has a lock"),
        "group": ExceptionGroup("all", [KeywordOnly(reason="in a group"), ValueError("plain")]),
        "full": BackPressureError("Child", 4, 429, 2.0),
        "gone": DeploymentUnavailableError("not there"),
        "cancelled": RequestCancelledError("an-id"),
    }
    return found[kind]


@serve.deployment
class Child:
    async def __call__(self, kind: str) -> None:
        if kind == "from":
            try:
                raise KeyError("first")
            except KeyError as error:
                raise TwoRequired("second", "text") from error
        raise error_of(kind)


@serve.deployment
class Parent:
    def __init__(self, child: Any) -> None:
        self.child = child

    async def __call__(self, request: Any) -> Any:
        kind = request if isinstance(request, str) else request.query_params["kind"]
        return await self.child.remote(kind)


def raised(handle: Any, kind: str) -> Any:
    with pytest.raises(Exception) as info:
        handle.remote(kind).result(timeout_s=60)
    return info.value


def test_two_stages(http: httpx.Client) -> None:
    handle = serve.run(Parent.bind(Parent.options(name="Middle").bind(Child.bind())))
    pids = replica_pids()
    error = raised(handle, "keyword")
    assert isinstance(error, KeywordOnly) and (error.reason, error.code) == ("why", 7)
    error = raised(handle, "two")
    assert isinstance(error, TwoRequired) and (error.left, error.right) == ("a", "b")
    error = raised(handle, "lock")
    assert isinstance(error, RayTaskError)
    assert "Locked" in str(error) and "has a lock" in str(error) and "error_of" in str(error)
    error = raised(handle, "group")
    assert isinstance(error, ExceptionGroup) and isinstance(error.exceptions[0], KeywordOnly)
    assert [type(one) for one in error.exceptions[1:]] == [ValueError]
    error = raised(handle, "from")
    assert isinstance(error, TwoRequired) and "first" in str(error) and "second-text" in str(error)
    error = raised(handle, "full")
    assert isinstance(error, BackPressureError)
    assert (error.deployment, error.limit, error.status_code, error.retry_after_s) == ("Child", 4, 429, 2.0)
    error = raised(handle, "gone")
    assert isinstance(error, DeploymentUnavailableError) and "not there" in str(error)
    error = raised(handle, "cancelled")
    assert isinstance(error, RequestCancelledError) and "was cancelled" in str(error)
    statuses = {"keyword": 500, "two": 500, "lock": 500, "group": 500, "from": 500, "full": 429, "gone": 503}
    assert {kind: http.get("/", params={"kind": kind}).status_code for kind in statuses} == statuses
    assert replica_pids() == pids
