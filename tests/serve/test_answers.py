"""What becomes of the values that handlers return."""

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pydantic
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from ray_async import serve


@dataclasses.dataclass
class Point:
    x: int


class Model(pydantic.BaseModel):
    name: str


@serve.deployment(max_ongoing_requests=50)
class Values:
    async def __call__(self, request: Request) -> Any:
        what = request.query_params["what"]
        values: dict[str, Any] = {
            "str": "ä",
            "bytes": b"\xff",
            "bytearray": bytearray(b"x"),
            "none": None,
            "dict": {"a": [1, 2.5, True, None]},
            "tuple": ({"a": 1}, 201),
            "set": {1},
            "nan": [float("nan"), 1.0],
            "date": datetime.date(2024, 1, 2),
            "dataclass": Point(3),
            "pydantic": [Model(name="m")],
            "array": {"a": np.arange(3)},
            "scalar": np.float32(0.5),
            "response": JSONResponse({"a": 1}, status_code=202),
            "object": object(),
        }
        if what == "teapot":
            raise HTTPException(418, "short and stout")
        return values[what]


@pytest.mark.parametrize(
    ("what", "status", "kind", "body"),
    [
        ("str", 200, "text/plain; charset=utf-8", "ä".encode()),
        ("bytes", 200, "text/plain", b"\xff"),
        ("bytearray", 200, "text/plain", b"x"),
        ("none", 200, "text/plain", b""),
        ("dict", 200, "application/json", b'{"a":[1,2.5,true,null]}'),
        ("tuple", 200, "application/json", b'[{"a":1},201]'),
        ("set", 200, "application/json", b"[1]"),
        ("nan", 200, "application/json", b"[null,1.0]"),
        ("date", 200, "application/json", b'"2024-01-02"'),
        ("dataclass", 200, "application/json", b'{"x":3}'),
        ("pydantic", 200, "application/json", b'[{"name":"m"}]'),
        ("array", 200, "application/json", b'{"a":[0,1,2]}'),
        ("scalar", 200, "application/json", b"0.5"),
        ("response", 202, "application/json", b'{"a":1}'),
        ("object", 500, "text/plain; charset=utf-8", b"Internal Server Error"),
        ("teapot", 418, "text/plain; charset=utf-8", b"short and stout"),
    ],
)
def test_answers(values: httpx.Client, what: str, status: int, kind: str, body: bytes) -> None:
    answer = values.get("/", params={"what": what})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (status, kind, body)
    assert answer.headers["content-length"] == str(len(body))


@pytest.fixture(scope="module")
def values(session: None) -> Iterator[httpx.Client]:
    serve.run(Values.bind(), name="values")
    with httpx.Client(base_url=f"http://{serve.status().http_address}", timeout=30) as client:
        yield client
    serve.delete("values")


@serve.deployment
class Nothing:
    def __call__(self) -> str:
        return "sync"


@serve.deployment
class NothingAsync:
    async def __call__(self) -> str:
        return "async"


@serve.deployment
def nothing() -> Iterator[str]:
    yield "str"
    yield "eam"


@pytest.mark.parametrize(("handler", "text"), [(Nothing, "sync"), (NothingAsync, "async"), (nothing, "stream")])
def test_a_handler_without_parameters_gets_no_request(values: httpx.Client, handler: Any, text: str) -> None:
    serve.run(handler.bind(), name="nothing", route_prefix="/nothing")
    assert values.post("/nothing", content=b"body").text == text
    assert values.get("/nothing").text == text
    serve.delete("nothing")
