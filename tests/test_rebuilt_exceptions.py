"""Exceptions of all kinds on their way from a worker: type, fields and text stay."""

from __future__ import annotations

import asyncio
import builtins
import copyreg
import dataclasses
import io
import pickle
import threading
import types
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from ray_async.exceptions import RayTaskError, from_payload, to_payload
from ray_async.exceptions.lost_part import LostPart

#: Arguments for the builtin classes that want more than a text.
_ARGUMENTS: dict[type[BaseException], tuple[Any, ...]] = {
    UnicodeDecodeError: ("ascii", b"\xff", 0, 1, "text"),
    UnicodeEncodeError: ("ascii", "\xff", 0, 1, "text"),
    UnicodeTranslateError: ("x", 0, 1, "text"),
    BaseExceptionGroup: ("text", [KeyboardInterrupt("k"), MemoryError("m")]),
    ExceptionGroup: ("text", [MemoryError("m"), OSError(2, "gone", "/x")]),
    SystemExit: ("text",),
    StopIteration: ("text",),
    SyntaxError: ("text", ("file.py", 3, 2, "a line", 3, 5)),
}
BUILTINS = sorted(
    {cls for cls in vars(builtins).values() if isinstance(cls, type) and issubclass(cls, BaseException)},
    key=lambda cls: cls.__name__,
)
_FIELDS = (
    *("errno", "strerror", "filename", "filename2", "encoding", "object", "start", "end", "reason", "code", "value"),
    *("name", "path", "msg", "lineno", "offset", "text", "end_lineno", "end_offset", "message"),
)


def build(cls: type[BaseException]) -> BaseException:
    arguments = _ARGUMENTS.get(cls, ("text",))
    if issubclass(cls, OSError):
        arguments = (5, "text", "/one", None, "/two")
    return cls(*arguments)


def fail(error: BaseException) -> RayTaskError:
    try:
        raise error
    except BaseException as raised:
        return RayTaskError.from_exception(raised, function_name="f", proctitle="ray::f", pid=7, ip="10.0.0.1")


def arrived(error: BaseException) -> Any:
    """What a caller of a task that raised `error` gets."""
    failure = from_payload(to_payload(fail(error)))
    assert isinstance(failure, RayTaskError)
    dual = failure.as_instanceof_cause()
    assert isinstance(dual, RayTaskError)
    return dual


def leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for member in error.exceptions for leaf in leaves(member)]


@pytest.mark.parametrize("cls", BUILTINS, ids=lambda cls: cls.__name__)
def test_each_builtin_is_caught_as_what_it_is(cls: type[BaseException]) -> None:
    error = build(cls)
    caught: BaseException | None = None
    try:
        raise arrived(error)
    except cls as raised:
        caught = raised
    assert isinstance(caught, RayTaskError)
    assert "text" in str(caught)
    assert type(caught.cause) is type(error)
    for name in _FIELDS:
        if hasattr(error, name):
            assert getattr(caught, name) == getattr(error, name), name
            assert getattr(caught.cause, name) == getattr(error, name), name
    if not isinstance(error, BaseExceptionGroup):
        assert caught.cause.args == error.args


@pytest.mark.parametrize("cls", [cls for cls in BUILTINS if not issubclass(cls, BaseExceptionGroup)])
def test_each_builtin_in_a_group_is_caught_by_except_star(cls: type[BaseException]) -> None:
    dual = arrived(BaseExceptionGroup("group", [build(cls), BaseExceptionGroup("inner", [build(cls)])]))
    assert isinstance(dual, BaseExceptionGroup)
    caught, rest = dual.split(cls)
    assert rest is None and caught is not None
    assert [isinstance(error, cls) for error in leaves(caught)] == [True, True]


def test_a_group_with_base_exceptions_is_split_by_except_star() -> None:
    left: list[BaseException] = []
    right: list[BaseException] = []
    try:
        raise arrived(BaseExceptionGroup("two", [KeyboardInterrupt("k"), ValueError("v")]))
    except* KeyboardInterrupt as group:
        left += group.exceptions
    except* ValueError as group:
        right += group.exceptions
    assert [str(error).splitlines()[-1] for error in left] == ["KeyboardInterrupt: k"]
    assert [repr(error) for error in right] == ["ValueError('v')"]


class KeywordOnly(Exception):
    def __init__(self, text: str, *, request: object, response: object) -> None:
        super().__init__(text)
        self.request, self.response = request, response


class TakesMore(OSError):
    def __init__(self, path: str, code: int) -> None:
        super().__init__(code, "no such thing", path)
        self.path = path


class Greets(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"Hello {name}")
        self.name = name


class NeverCallsItsBase(OSError):
    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text


class Slotted(Exception):
    __slots__ = ("__hidden", "one")

    def __init__(self, *, one: int) -> None:
        self.one = one
        self.__hidden = -one

    @property
    def hidden(self) -> int:
        return self.__hidden


class OwnState(Exception):
    def __init__(self, *, one: int) -> None:
        self.one, self.lock = one, threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"one": self.one}

    def __setstate__(self, state: dict[str, Any]) -> None:  # type: ignore[override]
        self.one, self.lock = state["one"], threading.Lock()


class BadReduce(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)

    def __reduce__(self) -> tuple[Any, ...]:
        return BadReduce, (1,)


class OwnNew(ExceptionGroup[Exception]):
    def __new__(cls, errors: list[Exception], code: int) -> OwnNew:
        made = super().__new__(cls, "some", errors)
        made.code = code
        return made

    code: int

    def derive(self, errors: Any) -> Any:
        return OwnNew(errors, self.code)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int
    text: str = dataclasses.field(kw_only=True)


@dataclasses.dataclass
class Thawed(Exception):
    code: int
    text: str = dataclasses.field(kw_only=True)


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (KeywordOnly("t", request="GET", response=404), {"request": "GET", "response": 404}),
        (TakesMore("/x", 2), {"path": "/x", "errno": 2, "filename": "/x", "strerror": "no such thing"}),
        (Greets("Ann"), {"name": "Ann"}),
        (NeverCallsItsBase(3, "t"), {"code": 3, "text": "t"}),
        (Slotted(one=4), {"one": 4, "hidden": -4}),
        (OwnState(one=5), {"one": 5}),
        (BadReduce(1, 7), {}),
        (OwnNew([ValueError(8)], 9), {"code": 9, "message": "some"}),
        (Frozen(10, text="t"), {"code": 10, "text": "t"}),
        (Thawed(11, text="t"), {"code": 11, "text": "t"}),
        (urllib.error.HTTPError("u://", 404, "gone", {"a": "b"}, io.BytesIO()), {"code": 404, "hdrs": {"a": "b"}}),  # type: ignore[arg-type]
        (asyncio.IncompleteReadError(b"x", 3), {"partial": b"x", "expected": 3}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_no_constructor_is_needed(error: Exception, fields: Mapping[str, Any]) -> None:
    dual = arrived(error)
    assert isinstance(dual, type(error))
    assert type(dual.cause) is type(error)
    assert str(dual.cause) == str(error)
    for name, value in fields.items():
        assert getattr(dual, name) == value
        assert getattr(dual.cause, name) == value


def test_libraries_errors_keep_type_and_fields() -> None:
    httpx, aiohttp, attrs, pydantic = (pytest.importorskip(name) for name in ("httpx", "aiohttp", "attrs", "pydantic"))
    multidict, yarl = pytest.importorskip("multidict"), pytest.importorskip("yarl")
    request = httpx.Request("GET", "http://host/path")
    response = httpx.Response(404, request=request, content=b"gone")
    status = arrived(httpx.HTTPStatusError("bad", request=request, response=response))
    assert isinstance(status, httpx.HTTPStatusError)
    assert (status.response.status_code, status.response.content, status.request.method) == (404, b"gone", "GET")

    headers = multidict.CIMultiDictProxy(multidict.CIMultiDict({"Retry-After": "3"}))
    info = aiohttp.RequestInfo(yarl.URL("http://host/"), "GET", headers, yarl.URL("http://host/"))
    client = arrived(aiohttp.ClientResponseError(info, (), status=503, message="busy", headers=headers))
    assert isinstance(client, aiohttp.ClientResponseError)
    assert (client.status, client.message, client.headers["retry-after"]) == (503, "busy", "3")
    assert client.request_info.headers["RETRY-AFTER"] == "3"

    for slots in (False, True):
        cls = attrs.make_class(
            "Made", {"code": attrs.field(), "text": attrs.field(kw_only=True)}, (Exception,), slots=slots, frozen=True
        )
        made = arrived(cls(3, text="t"))
        assert (made.code, made.text) == (3, "t")

    model = pydantic.create_model("Model", number=(int, ...))
    with pytest.raises(pydantic.ValidationError) as caught:
        model(number="x")
    validation = arrived(caught.value)
    assert isinstance(validation, pydantic.ValidationError)
    assert validation.errors() == caught.value.errors()


class HasParts(Exception):
    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)
        self.lock, self.condition = threading.Lock(), threading.Condition()
        self.code = 14
        self.proxy = types.MappingProxyType({"a": 1})


def test_parts_that_cannot_be_pickled_are_replaced() -> None:
    """The shape of what gRPC's blocking client raises."""
    error = HasParts(threading.Lock(), "kept", (letter for letter in "ab"))
    dual = arrived(error)
    assert HasParts in type(dual).__mro__
    assert dual.code == 14
    assert dual.proxy == {"a": 1}
    assert type(dual.lock) is LostPart
    assert repr(dual.lock) == repr(error.lock)
    lock, kept, generator = dual.cause.args
    assert isinstance(lock, LostPart) and isinstance(generator, LostPart) and kept == "kept"
    assert isinstance(dual.condition, threading.Condition)


def test_an_error_that_holds_itself() -> None:
    error, child = ValueError("parent"), KeyError("child")
    error.__dict__.update(me=error, child=child)
    child.__dict__["parent"] = error
    cause = arrived(error).cause
    assert cause.me is cause and cause.child.parent is cause


def test_a_frozen_dual_takes_what_context_managers_assign() -> None:
    dual = arrived(Frozen(1, text="t"))
    dual.__traceback__ = None
    dual.__cause__ = ValueError("why")
    dual.add_note("note")
    dual.__notes__ = ["other"]
    assert dual.__notes__ == ["other"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        dual.code = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del dual.code


@pytest.fixture
def register() -> Iterator[Callable[[type, Any], None]]:
    """Registers reducers for pickle, for one test."""
    registered: list[type] = []

    def enter(cls: type, reducer: Any) -> None:
        copyreg.pickle(cls, reducer)
        registered.append(cls)

    yield enter
    for cls in registered:
        del copyreg.dispatch_table[cls]


def test_a_users_reducer_is_used_and_tblibs_is_not(register: Callable[[type, Any], None]) -> None:
    def reduce(error: BaseException) -> tuple[Any, ...]:
        return KeyError, ("registered",)

    register(Greets, reduce)
    assert arrived(Greets("x")).cause.args == ("registered",)
    reduce.__module__ = "tblib.pickling_support"
    assert type(arrived(Greets("x")).cause) is Greets
    register(SystemExit, reduce)
    assert arrived(SystemExit(3)).code == 3


def test_a_dual_comes_back_as_a_dual() -> None:
    dual = arrived(TakesMore("/x", 2))
    twin = from_payload(to_payload(dual))
    assert isinstance(twin, RayTaskError) and isinstance(twin, TakesMore)
    assert (twin.path, str(twin)) == ("/x", str(dual))


def test_raising_again_and_again_adds_nothing() -> None:
    payload = to_payload(fail(ValueError("x")))
    texts = set()
    for _ in range(3):
        error = from_payload(payload)
        assert isinstance(error, RayTaskError)
        again = error.as_instanceof_cause()
        payload = to_payload(again)
        texts.add(str(again))
        assert len(pickle.dumps(payload)) < 10_000
    assert len(texts) == 1
