"""The deployments of the benchmark, made by the Serve of ray_async or of Ray."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from bench.drivers import serve_work

__all__ = ("MANY", "applications", "batching", "echo")

MANY = 10_000  # requests at a time: more than are ever sent


def echo(serve: Any, **options: Any) -> Any:
    """A deployment that answers by a short text."""

    class Echo:
        def __init__(self, version: int = 0) -> None:
            self.version = version

        async def __call__(self, request: Any = None) -> str:
            return "hello"

        async def pid(self) -> int:
            return os.getpid()

    return serve.deployment(max_ongoing_requests=MANY, **options)(Echo)


def _pipeline(serve: Any) -> Any:
    """Two stages behind one that takes JSON; all with the options that a deployment has by default."""

    class Preprocessor:
        def preprocess(self, text: str) -> str:
            return serve_work.preprocess(text)

    class Classifier:
        def classify(self, text: str) -> dict[str, Any]:
            return serve_work.classify(text)

    class Pipeline:
        def __init__(self, preprocessor: Any, classifier: Any) -> None:
            self.preprocessor = preprocessor
            self.classifier = classifier

        async def __call__(self, request: Any) -> Any:
            body = await request.json()
            text = await self.preprocessor.preprocess.remote(body["text"])
            return await self.classifier.classify.remote(text)

    stages = [serve.deployment(stage).bind() for stage in (Preprocessor, Classifier)]
    return serve.deployment(Pipeline).bind(*stages)


def _balance(serve: Any) -> Any:
    """Four replicas of a model that takes one request at a time."""

    class Model:
        async def __call__(self, request: Any) -> str:
            await asyncio.sleep(serve_work.BALANCE_S)
            return "done"

    return serve.deployment(num_replicas=4, max_ongoing_requests=1)(Model).bind()


def _streaming(serve: Any) -> Any:
    class Streaming:
        async def __call__(self, request: Any) -> Any:
            return serve_work.streamed(serve_work.chunks(serve_work.CHUNKS))

        async def chunks(self, count: int) -> AsyncIterator[str]:
            async for chunk in serve_work.chunks(count):
                yield chunk

    return serve.deployment(max_ongoing_requests=MANY)(Streaming).bind()


def _relay(serve: Any) -> Any:
    """The same chunks from another deployment, by a handle."""

    class Relay:
        def __init__(self, source: Any) -> None:
            self.source = source.options(stream=True)

        async def __call__(self, request: Any) -> Any:
            return serve_work.streamed(self.source.chunks.remote(serve_work.CHUNKS))

    return serve.deployment(max_ongoing_requests=MANY)(Relay).bind(_streaming(serve))


def batching(serve: Any) -> Any:
    """A model that is faster by the batch, and what measures it in its replica."""

    class Batching:
        def model(self, items: list[int]) -> list[int]:
            time.sleep(serve_work.MODEL_S)
            return items

        @serve.batch(max_batch_size=serve_work.BATCH, batch_wait_timeout_s=0.01)  # type: ignore[untyped-decorator]
        async def predict(self, items: list[int]) -> list[int]:
            return await asyncio.to_thread(self.model, items)

        async def batched(self, count: int) -> float:
            """Seconds for each item, where twice as many callers as a batch has items ask for one after the other."""
            callers = 2 * serve_work.BATCH

            async def ask() -> None:
                for number in range(count // callers):
                    await self.predict(number)

            start = time.perf_counter()
            await asyncio.gather(*[ask() for _ in range(callers)])
            return (time.perf_counter() - start) / (count // callers * callers)

        async def ideal(self, count: int) -> float:
            """The same where full batches are made by hand."""
            numbers = list(range(serve_work.BATCH))
            start = time.perf_counter()
            for _ in range(count // serve_work.BATCH):
                await asyncio.to_thread(self.model, numbers)
            return (time.perf_counter() - start) / count

    return serve.deployment(max_ongoing_requests=MANY)(Batching).bind()


def applications(serve: Any) -> dict[str, Callable[[], Any]]:
    """What makes the application of each case that is asked by HTTP."""
    return {
        "echo": lambda: echo(serve).bind(),
        "pipeline": lambda: _pipeline(serve),
        "balance": lambda: _balance(serve),
        "stream": lambda: _streaming(serve),
        "relay": lambda: _relay(serve),
        "update": lambda: echo(serve, num_replicas=3).bind(),
    }
