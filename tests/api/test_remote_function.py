"""Remote functions against a session that runs them at once."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import cloudpickle
import pytest

import ray_async as ray
from ray_async.engine.current import current_session
from tests.api.fake_session import FakeSession, Ref, RefGenerator


def add(a: int, b: int = 0, *, c: int = 0) -> int:
    """Add."""
    return a + b + c


def value(ref: Any) -> Any:
    return ray.get(ref)


def test_calls(session: FakeSession) -> None:
    remote = ray.remote(add)
    assert value(remote.remote(1)) == 1
    assert value(remote.remote(1, 2)) == 3
    assert value(remote.remote(1, b=2, c=3)) == 6


def test_one_template_per_session(session: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = ray.remote(add)
    remote.remote(1)
    remote.remote(2)
    assert len(session.task_options) == 1
    other = FakeSession()
    monkeypatch.setattr(current_session, "session", other)
    assert value(remote.remote(3)) == 3
    assert (len(session.task_options), len(other.task_options)) == (1, 1)


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"a": 1})])
def test_bad_arguments(session: FakeSession, args: tuple[int, ...], kwargs: dict[str, int]) -> None:
    remote: Any = ray.remote(add)
    for _ in range(2):  # before and after the template is there
        with pytest.raises(TypeError, match=re.escape("add()")):
            remote.remote(*args, **kwargs)
        remote.remote(1)


def test_keyword_only_argument_is_required_although_the_count_fits(session: FakeSession) -> None:
    def f(a: int, *, b: int) -> int:
        return a + b

    remote: Any = ray.remote(f)
    assert value(remote.remote(1, b=2)) == 3
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'b'"):
        remote.remote(1)


def test_options(session: FakeSession) -> None:
    remote = ray.remote(num_cpus=2, name="x")(add)
    changed = remote.options(num_cpus=1, max_retries=0)
    changed.remote(1)
    remote.remote(1)
    first, second = session.task_options
    assert (first.resources, first.name, first.max_retries) == ({"CPU": 1.0}, "x", 0)
    assert (second.resources, second.max_retries) == ({"CPU": 2.0}, 3)
    with pytest.raises(ValueError, match="max_calls"):
        remote.options(max_calls=1)
    with pytest.raises(ValueError, match="Invalid option keyword cpus"):
        remote.options(cpus=1)  # type: ignore[call-overload]


def test_num_returns(session: FakeSession) -> None:
    def pair() -> tuple[int, int]:
        return 1, 2

    remote = ray.remote(pair)
    left, right = remote.options(num_returns=2).remote()
    assert value([left, right]) == [1, 2]
    assert remote.options(num_returns=0).remote() is None
    assert isinstance(remote._remote(num_returns=2), list)


def test_generators_stream(session: FakeSession) -> None:
    @ray.remote
    def count(n: int) -> Iterator[int]:
        yield from range(n)

    refs: Any = count.remote(3)
    assert isinstance(refs, RefGenerator)
    assert [value(ref) for ref in refs] == [0, 1, 2]
    assert session.task_options[0].num_returns == "streaming"


def test_async_functions_are_allowed(session: FakeSession) -> None:
    @ray.remote
    async def f(x: int) -> int:
        return x + 1

    @ray.remote
    async def g() -> AsyncIterator[int]:
        yield 1

    assert value(f.remote(1)) == 2
    assert f._descriptor.is_async and not f._descriptor.is_generator
    assert g._descriptor.is_async and g._descriptor.is_generator


def test_explicit_call(session: FakeSession) -> None:
    remote = ray.remote(add)
    assert value(remote._remote(args=[1], kwargs={"b": 2}, num_cpus=3)) == 3
    assert session.task_options[0].resources == {"CPU": 3.0}


def test_gpu_workers_are_not_reused() -> None:
    assert ray.remote(num_gpus=2)(add)._default_options == {"num_gpus": 2, "max_calls": 1}
    assert ray.remote(num_gpus=2, max_calls=5)(add)._default_options == {"num_gpus": 2, "max_calls": 5}
    assert ray.remote(num_gpus=0)(add)._default_options == {"num_gpus": 0}


def test_fraction_of_whole_devices_is_refused_by_the_call(session: FakeSession) -> None:
    remote = ray.remote(num_gpus=1.5)(add)
    with pytest.raises(ValueError, match="whole numbers"):
        remote.remote(1)


def test_direct_call_and_bind() -> None:
    remote = ray.remote(add)
    with pytest.raises(TypeError, match=re.escape("add.remote()")):
        remote()  # type: ignore[operator]
    assert remote.bind(1, b=2).get_args() == (1,)


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1,), {}), ((add,), {"num_cpus": 1})])
def test_decorator_misuse(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    decorator: Any = ray.remote
    with pytest.raises(AssertionError, match="num_returns"):
        decorator(*args, **kwargs)


def test_targets_that_are_neither_function_nor_class() -> None:
    decorator: Any = ray.remote
    targets: list[Any] = [len, "".join]
    for target in targets:
        with pytest.raises(TypeError, match="either a function or a class"):
            decorator(target)


def test_keeps_name_and_documentation() -> None:
    remote: Any = ray.remote(add)
    assert (remote.__name__, remote.__doc__) == ("add", "Add.")
    assert remote.remote.__wrapped__ is add
    assert remote._function is add


def test_invocation_decorator(session: FakeSession) -> None:
    def reverse(invoke: Callable[..., Any]) -> Callable[..., Any]:
        return lambda args, kwargs: (invoke(args[::-1], {"c": 5}), kwargs)

    def f(a: int, b: int, c: int = 0) -> tuple[int, int, int]:
        return a, b, c

    f.__ray_invocation_decorator__ = reverse
    remote: Any = ray.remote(f)
    ref, kwargs = remote.remote(1, 2, c=4)
    assert (value(ref), kwargs) == ((2, 1, 5), {"c": 4})


def test_an_invocation_decorator_may_be_given_what_the_function_does_not_take(session: FakeSession) -> None:
    def double(invoke: Callable[..., Any]) -> Callable[..., Any]:
        return lambda args, kwargs: (invoke([*args, *args], {}), kwargs)

    def f(a: int, b: int) -> int:
        return a + b

    f.__ray_invocation_decorator__ = double
    remote: Any = ray.remote(f)
    for _ in range(2):  # the first call of a session is another path
        ref, kwargs = remote.remote(1, why="not")
        assert (value(ref), kwargs) == (2, {"why": "not"})
        with pytest.raises(TypeError, match="takes 2 positional arguments"):
            remote.remote(1, 2)


def test_pickles_with_itself_in_its_globals(session: FakeSession) -> None:
    @ray.remote(num_cpus=2)
    def factorial(n: int = 1) -> Any:
        return n * value(factorial.remote(n - 1)) if n > 1 else 1

    copy = cloudpickle.loads(cloudpickle.dumps(factorial))
    assert copy._default_options == {"num_cpus": 2}
    assert value(copy.options(num_cpus=1).remote()) == 1


def test_errors_of_the_function_come_with_get(session: FakeSession) -> None:
    @ray.remote
    def fail() -> None:
        raise ValueError("no")

    ref = fail.remote()
    assert isinstance(ref, Ref)
    with pytest.raises(ValueError, match="no"):
        value(ref)


def test_without_a_reference_cycle() -> None:
    import gc
    import weakref

    remote = ray.remote(add)
    watch = weakref.ref(remote)
    gc.disable()
    try:
        del remote
        assert watch() is None
    finally:
        gc.enable()
