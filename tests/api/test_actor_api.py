"""Actor classes, handles and methods against a session that runs them at once."""

import gc
import re
import weakref
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest

import ray_async as ray
from ray_async.actor import ActorClassInheritanceException, exit_actor
from ray_async.exceptions import ActorAlreadyExistsError
from ray_async.ids import ActorID
from tests.api.fake_session import JOB, Core, FakeSession, RefGenerator, round_trip


class Base:
    def inherited(self) -> str:
        return "inherited"


class Counter(Base):
    """Counts."""

    step = 1

    def __init__(self, start: int, *, factor: int = 1) -> None:
        self.n = start * factor

    def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    @ray.method(num_returns=2)
    def pair(self) -> tuple[int, int]:
        return self.n, self.n + 1

    def stream(self) -> Iterator[int]:
        yield self.n

    def _hidden(self) -> int:
        return self.n

    @classmethod
    def kind(cls, x: int) -> str:
        return f"{cls.__name__}{x}"

    @staticmethod
    def double(x: int) -> int:
        return 2 * x


@pytest.fixture
def counter(session: FakeSession) -> Any:
    return ray.remote(Counter).remote(5)


def test_methods(counter: Any) -> None:
    assert ray.get(counter.add.remote()) == 6
    assert ray.get(counter.add.remote(by=2)) == 8
    assert ray.get(counter.pair.remote()) == [8, 9]
    assert ray.get(counter.inherited.remote()) == "inherited"
    assert ray.get(counter._hidden.remote()) == 8
    assert ray.get(counter.kind.remote(1)) == "Counter1"
    assert ray.get(counter.double.remote(2)) == 4
    assert isinstance(counter.stream.remote(), RefGenerator)


def test_one_template_per_method(session: FakeSession, counter: Any) -> None:
    for _ in range(3):
        counter.add.remote()
    assert len(session.method_options) == 1


def test_methods_of_every_actor(counter: Any) -> None:
    assert ray.get(counter.__ray_ready__.remote()) is True
    assert ray.get(counter.__ray_call__.remote(lambda self, x: self.n * x, 2)) == 10
    assert ray.get(counter.__ray_call__.remote(lambda self, fn: fn, fn=3)) == 3
    with pytest.raises(TypeError, match="cannot be called directly"):
        counter.__ray_ready__()


@pytest.mark.parametrize(
    "call", [lambda c: c.add.remote(1, 2), lambda c: c.double.remote(), lambda c: c.add.remote(y=1)]
)
def test_bad_arguments_of_methods(counter: Any, call: Any) -> None:
    with pytest.raises(TypeError, match=re.escape("Counter.")):
        call(counter)


def test_bad_arguments_of_the_constructor(session: FakeSession) -> None:
    cls = ray.remote(Counter)
    for args, kwargs in (((), {}), ((1, 2), {}), ((1,), {"x": 1})):
        with pytest.raises(TypeError, match=re.escape("Counter.__init__()")):
            cls.remote(*args, **kwargs)
    assert session.actor_options == []


def test_unknown_method(counter: Any) -> None:
    with pytest.raises(AttributeError, match="'Counter' object has no attribute 'absent'"):
        _ = counter.absent
    assert not hasattr(counter, "__len__")


def test_handle(counter: Any) -> None:
    assert repr(counter) == f"Actor(Counter, {counter._actor_id.hex()})"
    assert {"add", "pair", "inherited"} <= set(dir(counter))
    copy = round_trip(counter)
    assert copy == counter and hash(copy) == hash(counter) and copy is not counter
    assert copy != ray.remote(Counter).remote(1)
    assert copy.pair._descriptor.options.num_returns == 2
    assert round_trip(counter.add)._core.actor_id == counter._actor_id


def test_temporary_handle(session: FakeSession) -> None:
    assert ray.get(ray.remote(Counter).remote(1).add.remote()) == 2


def test_handle_is_freed_without_the_collector(session: FakeSession) -> None:
    handle: Any = ray.remote(Counter).remote(1)
    watch = weakref.ref(handle)
    handle.add.remote()
    handle.add.options(name="x").remote()
    core = weakref.ref(handle._ray_core)
    session.named.clear()
    gc.disable()
    try:
        del handle
        assert watch() is None
        assert core() is None
    finally:
        gc.enable()


def test_method_options(session: FakeSession, counter: Any) -> None:
    left, right = counter.add.options(num_returns=1, name="n"), counter.pair.options(num_returns=1)
    assert ray.get(left.remote()) == 6
    assert ray.get(right.remote()) == (6, 7)
    assert (session.method_options[0].name, session.method_options[1].num_returns) == ("n", 1)
    first, second = counter.pair._remote(num_returns=2)
    assert ray.get([first, second]) == [6, 7]
    with pytest.raises(ValueError, match="Invalid option keyword num_cpus"):
        counter.add.options(num_cpus=1)
    with pytest.raises(ValueError, match="can only be used with generator"):
        counter.add.options(num_returns="streaming")


def test_method_decorator_misuse() -> None:
    decorator: Any = ray.method
    for args, kwargs in (((), {}), ((1,), {}), ((), {"num_cpus": 1}), ((), {"name": "x"})):
        with pytest.raises(AssertionError, match="num_returns"):
            decorator(*args, **kwargs)
    with pytest.raises(ValueError, match="num_returns must be >= 0"):
        decorator(num_returns=-1)(Counter.add)
    with pytest.raises(ValueError, match="can only be used with generator"):
        decorator(num_returns="streaming")(Counter.add)
    decorator(num_returns="streaming")(Counter.stream)


def test_concurrency_groups(session: FakeSession) -> None:
    class Grouped:
        @ray.method(concurrency_group="io")
        def read(self) -> int:
            return 1

    with pytest.raises(AssertionError, match="concurrency group 'io'"):
        ray.remote(Grouped)
    handle: Any = ray.remote(concurrency_groups={"io": 2, "cpu": 1})(Grouped).remote()
    assert session.actor_options[0].concurrency_groups == {"io": 2, "cpu": 1}
    handle.read.remote()
    handle.read.options(concurrency_group="cpu").remote()
    assert [options.concurrency_group for options in session.method_options] == ["io", "cpu"]
    with pytest.raises(ValueError, match="no concurrency group 'gpu'"):
        handle.read.options(concurrency_group="gpu")


def test_async_actor(session: FakeSession) -> None:
    class Async:
        async def f(self) -> int:
            return 1

        def g(self) -> int:
            return 2

    handle: Any = ray.remote(Async).remote()
    assert session.actor_options[0].is_async
    assert session.actor_options[0].max_concurrency == 1000
    assert ray.get([handle.f.remote(), handle.g.remote()]) == [1, 2]


def test_class_options(session: FakeSession) -> None:
    cls = ray.remote(num_cpus=2, max_restarts=1)(Counter)
    cls.options(name="x", namespace="n", max_restarts=-1).remote(1)
    cls._remote(args=[1], kwargs={"factor": 2}, num_gpus=1)
    first, second = session.actor_options
    assert (first.name, first.namespace, first.max_restarts, first.resources) == ("x", "n", -1, {"CPU": 2.0})
    assert second.resources == {"CPU": 2.0, "GPU": 1.0}
    with pytest.raises(ValueError, match="concurrency_groups"):
        cls.options(concurrency_groups={})


def test_get_if_exists(session: FakeSession) -> None:
    cls = ray.remote(Counter).options(name="one", get_if_exists=True)
    assert cls.remote(1) == cls.remote(2)
    assert len(session.actor_options) == 1


def test_get_if_exists_when_another_is_first(session: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = ray.remote(Counter)
    other = cls.remote(1)

    def taken(*args: Any) -> Core:
        session.named[None, "one"] = other._ray_core, other._ray_meta  # type: ignore[assignment]
        raise ActorAlreadyExistsError("one")

    monkeypatch.setattr(session, "create_actor", taken)
    assert cls.options(name="one", get_if_exists=True).remote(1) == other


def test_named(session: FakeSession) -> None:
    handle = ray.remote(Counter).options(name="c").remote(1)
    assert ray.get_actor("c") == handle
    with pytest.raises(ValueError, match="no actor"):
        ray.get_actor("other")
    for bad in (None, "", "   "):
        with pytest.raises(ValueError, match="non-empty"):
            ray.get_actor(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="namespace"):
        ray.get_actor("c", namespace="")
    with pytest.raises(TypeError, match="namespace"):
        ray.get_actor("c", namespace=1)  # type: ignore[arg-type]


def test_direct_use_of_the_class() -> None:
    cls: Any = ray.remote(Counter)
    with pytest.raises(TypeError, match="cannot be instantiated directly"):
        cls()
    with pytest.raises(
        ActorClassInheritanceException, match="Inheriting from actor classes is not currently supported"
    ):

        class Derived(cls):  # type: ignore[misc]
            pass

    assert cls.bind(1).get_args() == (1,)
    assert (cls.__name__, cls.__doc__, cls.step) == ("Counter", "Counts.", 1)
    assert cls.__ray_metadata__.class_name == "Counter"


def test_direct_use_of_a_method(counter: Any) -> None:
    with pytest.raises(TypeError, match=re.escape("'object.add.remote()'")):
        counter.add(1)
    assert counter.add.bind(1).get_method_name() == "add"


def test_class_pickles(session: FakeSession) -> None:
    @ray.remote(num_cpus=3)
    class Local:
        def f(self) -> Any:
            return Local

    copy = cloudpickle.loads(cloudpickle.dumps(Local))
    copy.remote()
    assert session.actor_options[0].resources == {"CPU": 3.0}


def test_kill(session: FakeSession, counter: Any) -> None:
    ray.kill(counter, no_restart=False)
    assert session.calls == [("kill", counter._actor_id, False)]
    with pytest.raises(ValueError, match="actors only"):
        ray.kill("not a handle")  # type: ignore[arg-type]


def test_exit_actor(session: FakeSession) -> None:
    with pytest.raises(TypeError, match="non-actor worker"):
        exit_actor()
    session.now = session.now._replace(actor_id=ActorID.of(JOB))
    with pytest.raises(SystemExit):
        exit_actor()
    assert session.calls == [("actor_exit",)]


def test_a_bundle_index_needs_a_placement_group(session: FakeSession) -> None:
    with pytest.raises(ValueError, match="bundle index must be -1"):
        ray.remote(Counter).options(placement_group_bundle_index=0).remote(5)
