"""Serve a sentiment model behind a FastAPI application and in a pipeline of two stages, send load, and show latencies.

    python -m examples.serve_demo [--requests N] [--plot FILE]

`make demo-serve` installs what it needs first. The model is the one of `transformers` where its hub can be reached, a
small one built on the spot (`examples.tiny_hub`) where it cannot, and a tiny stand-in where there is no `transformers`.
"""
# mypy: disable-error-code=attr-defined
# mypy leaves a class under a decorator as it is: without `bind`.

import argparse
import asyncio
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pydantic

import ray_async as ray
from ray_async import serve
from ray_async.serve import DeploymentHandle

CONNECTIONS = 16
PERCENTILES = (50, 75, 90, 95, 99)
TEXTS = ("Great product!", "Terrible service", "  I LOVE it  ", "Broken, very bad")
STAND_INS = Path(__file__).parents[1] / "tests" / "examples" / "stand_ins"
BAR = 50  # characters

api = fastapi.FastAPI(title="Sentiment")


class Text(pydantic.BaseModel):
    """What a client sends."""

    text: str


@serve.deployment(max_ongoing_requests=64)
class Sentiment:
    """Classifies texts, up to sixteen at a time."""

    def __init__(self) -> None:
        from transformers import pipeline

        self.classifier = pipeline("sentiment-analysis")

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.002)
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        return [dict(self.classifier(text)[0]) for text in texts]


@serve.deployment(max_ongoing_requests=64)
@serve.ingress(api)
class Api:
    """The FastAPI application."""

    def __init__(self, sentiment: DeploymentHandle) -> None:
        self.sentiment = sentiment

    @api.post("/classify")
    async def classify(self, body: Text) -> dict[str, Any]:
        return dict(await self.sentiment.classify.remote(body.text))


async def load(url: str, requests: int) -> list[float]:
    """Send requests on several connections; gives their latencies in milliseconds, sorted."""
    latencies: list[float] = []
    left = iter(range(requests))

    async def ask(client: httpx.AsyncClient) -> None:
        for number in left:
            start = time.perf_counter()
            answer = await client.post(url, json={"text": TEXTS[number % len(TEXTS)]})
            latencies.append(1000 * (time.perf_counter() - start))
            answer.raise_for_status()
            assert answer.json()["label"] in ("POSITIVE", "NEGATIVE")

    async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(ask(client))
    return sorted(latencies)


def percentiles(latencies: list[float]) -> dict[int, float]:
    """Percentiles of sorted numbers, by their nearest rank."""
    return {percent: latencies[min(len(latencies) - 1, len(latencies) * percent // 100)] for percent in PERCENTILES}


def show(name: str, values: dict[int, float], longest: float) -> None:
    """Draw percentiles as bars."""
    print(name)
    for percent, value in values.items():
        print(f"  p{percent:<3} {value:8.1f} ms  {'█' * max(1, round(BAR * value / longest))}")


def plot(found: dict[str, dict[int, float]], path: str) -> None:
    """Draw percentiles into a file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    for name, values in found.items():
        axes.plot([f"p{percent}" for percent in values], list(values.values()), marker="o", label=name)
    axes.set_ylabel("latency, ms")
    axes.set_title(f"{CONNECTIONS} connections")
    axes.legend()
    figure.savefig(path)


def find_model(folder: Path) -> None:
    """Let the replicas find a sentiment model."""
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: a tiny model takes its place.")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(STAND_INS), os.environ.get("PYTHONPATH"))))
        sys.path.insert(0, str(STAND_INS))
        return
    try:
        httpx.get("https://huggingface.co", timeout=3)
    except httpx.HTTPError:
        if hasattr(importlib.import_module("transformers"), "AutoModel"):
            from examples.tiny_hub import build

            print("No hub can be reached: a small model is built on the spot.")
            os.environ.update(build(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a model, send load, show latencies.")
    parser.add_argument("--requests", type=int, default=1000, help="to each of both applications")
    parser.add_argument("--plot", default="", help="a file for the plot, such as latencies.png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        find_model(Path(folder))
        from examples.serve_pipeline import app

        with ray.init(log_to_driver=False, preload=["ray_async.serve"]):
            serve.run(app, name="pipeline", route_prefix="/pipeline", port=0)
            serve.run(Api.bind(Sentiment.bind()), name="api", route_prefix="/api")
            url = f"http://{serve.status().http_address}"
            found = {}
            for name, path in (("FastAPI, batches", "/api/classify"), ("pipeline of two stages", "/pipeline")):
                asyncio.run(load(url + path, CONNECTIONS))
                found[name] = percentiles(asyncio.run(load(url + path, arguments.requests)))
            serve.shutdown()
    longest = max(max(values.values()) for values in found.values())
    for name, values in found.items():
        show(name, values, longest)
    if arguments.plot:
        plot(found, arguments.plot)
        print(f"The plot is in {arguments.plot}.")


if __name__ == "__main__":
    main()
