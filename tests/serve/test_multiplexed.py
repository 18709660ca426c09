"""`serve.multiplexed`: models that are loaded on demand."""

import asyncio
import os
from collections import Counter
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from ray_async import serve
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.multiplexing.models import Models


class Model:
    """Notes when it goes."""

    def __init__(self, name: str, gone: list[str]) -> None:
        self.name = name
        self.gone = gone

    def __del__(self) -> None:
        self.gone.append(self.name)


class AsyncModel(Model):
    async def __del__(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.gone.append(self.name)


class Holder:
    """Loads models, which take until the gate is open."""

    def __init__(self, kind: type[Model] = Model) -> None:
        self.kind = kind
        self.loads: list[str] = []
        self.gone: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @serve.multiplexed(max_num_models_per_replica=2)
    async def get(self, model_id: str) -> Model:
        self.loads.append(model_id)
        assert serve.get_multiplexed_model_id() == model_id
        await self.gate.wait()
        if model_id == "bad":
            raise KeyError(model_id)
        if model_id == "cancels":
            raise asyncio.CancelledError
        return self.kind(model_id, self.gone)


@pytest.mark.parametrize("kind", [Model, AsyncModel])
async def test_the_least_recently_used_goes(kind: type[Model]) -> None:
    holder = Holder(kind)
    for model_id in ("a", "b", "a", "c", "b"):
        assert (await holder.get(model_id)).name == model_id
    assert holder.loads == ["a", "b", "c", "b"]
    assert holder.gone == ["b", "a"]
    await asyncio.sleep(0)  # the loop lets go of the last load
    (models,) = [value for value in vars(holder).values() if isinstance(value, Models)]
    await models.close()
    assert holder.gone == ["b", "a", "c", "b"]
    assert models.model_ids == []


async def test_a_model_in_use_goes_when_it_is_not_used_any_more() -> None:
    holder = Holder()
    used = await holder.get("a")
    await holder.get("b")
    await holder.get("c")
    assert holder.gone == []
    del used
    assert holder.gone == ["a"]


async def test_a_model_is_loaded_once_for_all_that_ask() -> None:
    holder = Holder()
    holder.gate.clear()
    asks = [asyncio.create_task(holder.get("a")) for _ in range(5)]
    while not holder.loads:
        await asyncio.sleep(0)
    asks[0].cancel()
    await asyncio.wait(asks[:1])
    holder.gate.set()
    assert len({id(model) for model in await asyncio.gather(*asks[1:])}) == 1
    assert holder.loads == ["a"]


async def test_a_load_that_nobody_waits_for_is_cancelled() -> None:
    holder = Holder()
    holder.gate.clear()
    ask = asyncio.create_task(holder.get("a"))
    while not holder.loads:
        await asyncio.sleep(0)
    ask.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ask
    holder.gate.set()
    assert (await holder.get("a")).name == "a"
    assert holder.loads == ["a", "a"]


async def test_loads_wait_for_a_place() -> None:
    holder = Holder()
    holder.gate.clear()
    asks = [asyncio.create_task(holder.get(model_id)) for model_id in "abcd"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert holder.loads == ["a", "b"]
    holder.gate.set()
    assert [model.name for model in await asyncio.gather(*asks)] == ["a", "b", "c", "d"]


async def test_a_load_that_fails_is_tried_again() -> None:
    holder = Holder()
    for _ in range(3):
        with pytest.raises(KeyError, match="bad"):
            await holder.get("bad")
        with pytest.raises(RayServeException, match="was cancelled"):
            await holder.get("cancels")
    assert (await holder.get(model_id="a")).name == "a"
    assert holder.loads == ["bad", "cancels"] * 3 + ["a"]


async def test_bad_use() -> None:
    async def good(model_id: str) -> None: ...
    async def two(model_id: str, other: str) -> None: ...
    def sync(model_id: str) -> None: ...

    for function, options, error in (
        (good, {"max_num_models_per_replica": 0}, ValueError),
        (good, {"max_num_models_per_replica": -2}, ValueError),
        (good, {"max_num_models_per_replica": "3"}, TypeError),
        (two, {}, TypeError),
        (sync, {}, TypeError),
    ):
        decorate: Any = serve.multiplexed
        with pytest.raises(error):
            decorate(**options)(function)
    get = serve.multiplexed(max_num_models_per_replica=-1)(good)
    assert await get("a") is None
    with pytest.raises(TypeError, match="string"):
        await get(3)
    with pytest.raises(ValueError, match="empty"):
        await get("")


@serve.deployment(num_replicas=2, max_ongoing_requests=100)
class Multiplexed:
    def __init__(self) -> None:
        self.gone: list[str] = []

    @serve.multiplexed(max_num_models_per_replica=2)
    async def get_model(self, model_id: str) -> tuple[str, int]:
        return model_id, os.getpid()

    async def __call__(self, request: Request | None = None) -> tuple[str, int]:
        model_id, pid = await self.get_model(serve.get_multiplexed_model_id())
        assert pid == os.getpid()
        return model_id, pid


async def test_requests_go_to_replicas_that_have_the_model(http: httpx.Client) -> None:
    handle = await asyncio.to_thread(serve.run, Multiplexed.bind())
    first = {name: await handle.options(multiplexed_model_id=name).remote() for name in "abcd"}
    assert all(first[name][0] == name for name in "abcd")
    # Models that nobody has had gone where the fewest were: two to each replica, so that none had to go.
    assert sorted(Counter(pid for _, pid in first.values()).values()) == [2, 2]
    for _ in range(5):
        for name in "dbca":
            assert await handle.options(multiplexed_model_id=name).remote() == first[name]
    async with httpx.AsyncClient(base_url=http.base_url) as client:
        for name in "abcd" * 3:
            answer = await client.get("/", headers={"serve_multiplexed_model_id": name})
            assert tuple(answer.json()) == first[name]


def test_models_are_unloaded_at_the_end(http: httpx.Client, tmp_path: Any) -> None:
    class Traced:
        def __init__(self, path: str) -> None:
            self.path = path

        async def __del__(self) -> None:
            with open(self.path, "a") as file:
                file.write("gone\n")

    @serve.deployment
    class Ends:
        @serve.multiplexed
        async def get_model(self, model_id: str) -> Traced:
            return Traced(str(tmp_path / model_id))

        async def __call__(self) -> None:
            await self.get_model(serve.get_multiplexed_model_id())

    handle = serve.run(Ends.bind())
    handle.options(multiplexed_model_id="m").remote().result()
    serve.delete("default")
    assert (tmp_path / "m").read_text() == "gone\n"
