"""get, put, wait, cancel and free: argument checks, and what reaches the session."""

from typing import Any

import pytest

import ray_async as ray
from tests.api.fake_session import FakeSession, Ref, RefGenerator


def test_get(session: FakeSession) -> None:
    one: Any = ray.put(1)
    assert ray.get(one) == 1
    assert ray.get([one, ray.put(2)], timeout=3) == [1, 2]
    assert ray.get([]) == []
    generator: Any = RefGenerator(iter(()))
    assert ray.get(generator) is generator
    assert session.calls == [("get", 1, None), ("get", 2, 3)]


@pytest.mark.parametrize("bad", [3, "x", (Ref(),), {Ref()}, [1], [Ref(), 1], [RefGenerator(iter(()))], None])
def test_get_refuses(session: FakeSession, bad: Any) -> None:
    with pytest.raises(ValueError, match="Invalid type of object refs"):
        ray.get(bad)


def test_get_refuses_negative_timeout(session: FakeSession) -> None:
    with pytest.raises(ValueError, match="timeout"):
        ray.get(ray.put(1), timeout=-1)


def test_timeouts_are_numbers(session: FakeSession) -> None:
    timeout: Any = "1"
    with pytest.raises(TypeError, match="number of seconds, but is '1'"):
        ray.get(ray.put(1), timeout=timeout)
    with pytest.raises(TypeError, match="number of seconds, but is '1'"):
        ray.wait([ray.put(1)], timeout=timeout)


def test_put(session: FakeSession) -> None:
    assert ray.put(1) is not ray.put(1)
    with pytest.raises(TypeError, match="not allowed"):
        ray.put(ray.put(1))
    with pytest.raises(ValueError, match="_owner"):
        ray.put(1, _owner=object())


def test_wait(session: FakeSession) -> None:
    refs: list[Any] = [ray.put(1), ray.put(2), RefGenerator(iter(()))]
    assert ray.wait(refs) == (refs[:1], refs[1:])
    assert ray.wait(refs, num_returns=3, timeout=0, fetch_local=False) == (refs, [])
    assert ray.wait([]) == ([], [])
    assert session.calls == [("wait", 1, None, True), ("wait", 3, 0, False)]


@pytest.mark.parametrize("bad", [Ref(), 1, (Ref(),), [1], [Ref(), None]])
def test_wait_refuses_types(session: FakeSession, bad: Any) -> None:
    with pytest.raises(TypeError, match="expected a list"):
        ray.wait(bad)


def test_wait_refuses_values(session: FakeSession) -> None:
    ref = ray.put(1)
    with pytest.raises(ValueError, match="twice"):
        ray.wait([ref, ref])
    for count in (0, -1, 2):
        with pytest.raises(ValueError, match="num"):
            ray.wait([ref], num_returns=count)
    with pytest.raises(ValueError, match="timeout"):
        ray.wait([ref], timeout=-1)


def test_cancel(session: FakeSession) -> None:
    ref = ray.put(1)
    ray.cancel(ref, force=True, recursive=False)
    assert session.calls == [("cancel", ref, True, False)]
    with pytest.raises(TypeError, match="object refs"):
        ray.cancel(1)  # type: ignore[arg-type]


def test_free(session: FakeSession) -> None:
    ref = ray.put(1)
    ray.internal.free(ref)
    ray.internal.free([])
    assert session.calls == [("free", [ref])]
    for bad in (1, [1]):
        with pytest.raises(TypeError, match="free"):
            ray.internal.free(bad)  # type: ignore[arg-type]
