"""Local testing mode: the same small programs in this process and on the engine, with the same answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from ray_async import serve
from ray_async.exceptions import RayTaskError
from ray_async.serve.exceptions import RayServeException, RequestCancelledError
from ray_async.serve.local_testing.local_application import shutdown_local

Deploy = Callable[..., Any]


@pytest.fixture(params=["local", "engine"])
def deploy(request: pytest.FixtureRequest, session: None) -> Iterator[Deploy]:
    """`serve.run` of an application without HTTP, in this process or on the engine."""
    is_local = request.param == "local"

    def run(target: Any, name: str = "default") -> Any:
        return serve.run(target, name=name, route_prefix=None, _local_testing_mode=is_local)

    yield run
    shutdown_local()
    for name in () if is_local else serve.status().applications:
        serve.delete(name)


@serve.deployment
class Adder:
    def __init__(self, increment: int = 1) -> None:
        self.increment = increment

    def reconfigure(self, config: dict[str, int]) -> None:
        self.increment = config["increment"]

    def add(self, number: int) -> int:
        return number + self.increment

    async def add_soon(self, number: int) -> int:
        await asyncio.sleep(0)
        return number + self.increment

    async def __call__(self, number: int) -> int:
        return number + self.increment

    def count(self, end: int) -> Iterator[int]:
        yield from range(end)

    async def count_soon(self, end: int) -> AsyncIterator[int]:
        for number in range(end):
            yield number
            if number == 2:
                raise KeyError("three")

    def fail(self) -> None:
        raise KeyError("no")

    def where(self) -> tuple[str, str]:
        context = serve.get_replica_context()
        assert context.servable_object is self
        return context.app_name, context.deployment


@serve.deployment
class Chain:
    def __init__(self, *steps: Any, named: dict[str, Any] | None = None) -> None:
        self.steps = steps
        self.named = named or {}
        # A sync constructor may wait for answers.
        self.greeting = steps[0].remote(0).result() if steps else None

    async def __call__(self, number: int) -> int:
        for step in self.steps:
            number = await step.remote(number)
        return number

    async def without_waiting(self, number: int) -> int:
        response: Any = number
        for step in self.steps:
            response = step.remote(response)
        result: int = await response
        return result

    def in_a_thread(self, number: int) -> int:
        for step in self.steps:
            number = step.add.remote(number).result()
        return number

    async def stream(self, end: int) -> list[int]:
        return [number async for number in self.steps[0].options(stream=True).count.remote(end)]

    async def by_name(self, number: int) -> int:
        found = serve.get_deployment_handle("Adder")
        result: int = await found.add.remote(number) + await self.named["x"].add.remote(number)
        return result

    def first(self) -> int | None:
        return self.greeting


def test_sync_and_async_methods(deploy: Deploy) -> None:
    handle = deploy(Adder.bind(2))
    assert (handle.app_name, handle.deployment_name) == ("default", "Adder")
    assert handle.remote(1).result() == handle.add.remote(1).result() == handle.add_soon.remote(1).result() == 3
    assert handle.options(method_name="add").remote(5).result() == 7
    assert handle.where.remote().result() == ("default", "Adder")


def test_functions(deploy: Deploy) -> None:
    @serve.deployment
    def square(number: int) -> int:
        return number * number

    assert deploy(square.bind()).remote(3).result() == 9


def test_composition(deploy: Deploy) -> None:
    adder = Adder.bind(1)
    ten = Adder.options(name="Ten", user_config={"increment": 10}).bind()
    handle = deploy(Chain.bind(adder, adder, ten, named={"x": adder}))
    assert handle.remote(0).result() == handle.without_waiting.remote(0).result() == 12
    assert handle.in_a_thread.remote(0).result() == 12
    assert handle.stream.remote(3).result() == [0, 1, 2]
    assert handle.by_name.remote(1).result() == 4
    assert handle.first.remote().result() == 1


async def test_from_a_loop(deploy: Deploy) -> None:
    handle = await asyncio.to_thread(deploy, Chain.bind(Adder.bind()))
    assert await asyncio.gather(*(handle.remote(number) for number in range(5))) == [1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="await it"):
        handle.remote(1).result()


def test_streams(deploy: Deploy) -> None:
    handle = deploy(Adder.bind()).options(stream=True)
    assert list(handle.count.remote(100)) == list(range(100))
    found = []
    with pytest.raises(KeyError, match="three"):
        found.extend(handle.count_soon.remote(10))
        for number in handle.count_soon.remote(10):
            found.append(number)
    stream = handle.count.remote(10**9)
    assert next(stream) == 0
    stream.cancel()
    with pytest.raises(RequestCancelledError):
        list(stream)


def test_errors(deploy: Deploy) -> None:
    handle = deploy(Adder.bind())
    with pytest.raises(KeyError, match="no") as caught:
        handle.fail.remote().result()
    assert isinstance(caught.value, RayTaskError)
    with pytest.raises(RayServeException, match="Available methods"):
        handle.missing.remote().result()
    with pytest.raises(TypeError, match="stream=True"):
        handle.count.remote(3).result()
    with pytest.raises(TypeError, match="did not return a generator"):
        list(handle.options(stream=True).add.remote(3))


def test_a_constructor_that_raises(deploy: Deploy) -> None:
    @serve.deployment
    class Broken:
        def __init__(self) -> None:
            raise ValueError("not today")

    with pytest.raises((ValueError, RuntimeError), match="not today"):
        deploy(Broken.bind(), name="other")


def test_a_user_config_needs_reconfigure(deploy: Deploy) -> None:
    @serve.deployment(user_config=1)
    class Stubborn: ...

    with pytest.raises((RayServeException, RuntimeError), match="no method `reconfigure`"):
        deploy(Stubborn.bind(), name="other")


@serve.deployment
class Held:
    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def hold(self) -> None:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def wait_for(self, what: str) -> bool:
        result: bool = await getattr(self, what).wait()
        return result


@serve.deployment
class Outer:
    def __init__(self, held: Any) -> None:
        self.held = held

    async def hold(self) -> None:
        await self.held.hold.remote()

    async def wait_for(self, what: str) -> bool:
        result: bool = await self.held.wait_for.remote(what)
        return result


def test_a_cancel_goes_down_all_stages(deploy: Deploy) -> None:
    handle = deploy(Outer.bind(Held.bind()))
    response = handle.hold.remote()
    assert handle.wait_for.remote("entered").result(timeout_s=30)
    with pytest.raises(TimeoutError):
        response.result(timeout_s=0.01)
    response.cancel()
    assert handle.wait_for.remote("cancelled").result(timeout_s=30)
    with pytest.raises(RequestCancelledError):
        response.result()
    assert response.cancelled()


@serve.deployment
class Models:
    @serve.multiplexed(max_num_models_per_replica=1)
    async def get_model(self, model_id: str) -> str:
        return model_id.upper()

    async def __call__(self) -> str:
        model: str = await self.get_model(serve.get_multiplexed_model_id())
        return model

    @serve.batch(max_batch_size=3, batch_wait_timeout_s=10)
    async def together(self, numbers: list[int]) -> list[int]:
        return [sum(numbers)] * len(numbers)


def test_models_and_batches(deploy: Deploy) -> None:
    handle = deploy(Models.options(max_ongoing_requests=10).bind())
    for model in ("a", "b", "a"):
        assert handle.options(multiplexed_model_id=model).remote().result() == model.upper()
    responses = [handle.together.remote(number) for number in (1, 2, 3)]
    assert [response.result() for response in responses] == [6, 6, 6]


def test_handles_by_name_and_deletion(deploy: Deploy) -> None:
    handle = deploy(Adder.bind(1), name="other")
    assert serve.get_app_handle("other").remote(1).result() == 2
    assert serve.get_deployment_handle("Adder", "other").remote(1).result() == 2
    again = deploy(Adder.bind(5), name="other")
    assert serve.get_app_handle("other").remote(1).result() == again.remote(1).result() == 6
    serve.delete("other")
    with pytest.raises(RayServeException):
        handle.remote(1).result()
