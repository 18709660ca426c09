import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ray_async.serialization import registry as serializers
from ray_async.util.check_serialize import inspect_serializability
from ray_async.util.serialization import deregister_serializer, register_serializer

LOCK = threading.Lock()


class Holder:
    def __init__(self) -> None:
        self.settings = {"inner": [1, LOCK]}


class Slotted:
    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = LOCK


def closure() -> Any:
    lock = LOCK
    return lambda: lock


def local_class() -> type:
    lock = LOCK

    class Local:
        def method(self) -> Any:
            return lock

    return Local


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (LOCK, "thing"),
        (closure(), "thing.lock"),
        (local_class(), "thing.method.lock"),
        (Holder(), "thing.settings['inner'][1]"),
        (Slotted(), "thing.lock"),
        ([1, {"a": LOCK}], "thing[1]['a']"),
    ],
)
def test_the_innermost_part_is_named(obj: Any, path: str) -> None:
    report = io.StringIO()
    ok, failures = inspect_serializability(obj, name="thing", print_file=report)
    assert not ok
    (failure,) = failures
    assert failure.obj is LOCK
    assert failure.path == path
    assert path in report.getvalue()


def test_depth_bounds_the_search() -> None:
    _, failures = inspect_serializability([[[[LOCK]]]], name="nest", depth=2, print_file=io.StringIO())
    assert [failure.path for failure in failures] == ["nest[0][0]"]


def test_what_can_be_pickled_has_no_failures(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect_serializability({"a": 1}, name="good") == (True, set())
    assert "good: can be pickled" in capsys.readouterr().out


def test_a_cycle_ends() -> None:
    loop: list[Any] = [LOCK]
    loop.append(loop)
    assert not inspect_serializability(loop, print_file=io.StringIO())[0]


@pytest.fixture
def registered() -> Iterator[type]:
    register_serializer(Slotted, serializer=lambda _: "open", deserializer=lambda _: Slotted())
    yield Slotted
    deregister_serializer(Slotted)


def test_a_registered_serializer_counts(registered: type) -> None:
    assert inspect_serializability(registered(), print_file=io.StringIO())[0]
    function, (data,) = serializers.reduce_registered(registered())
    assert data == "open"
    assert isinstance(function(data), Slotted)


def test_deregistering_twice_is_no_error(registered: type) -> None:
    deregister_serializer(registered)
    deregister_serializer(registered)
    assert serializers.reduce_registered(registered()) is NotImplemented


@pytest.mark.parametrize("arguments", [("x", str, str), (Slotted, 1, str), (Slotted, str, None)])
def test_bad_registrations(arguments: tuple[Any, Any, Any]) -> None:
    cls, serializer, deserializer = arguments
    with pytest.raises(TypeError):
        register_serializer(cls, serializer=serializer, deserializer=deserializer)
    assert Slotted not in serializers.registry
