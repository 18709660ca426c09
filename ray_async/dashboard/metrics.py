"""The page of metrics that Prometheus reads: the node's own figures, and what programs have recorded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from ray_async.dashboard.node_questions import NodeQuestions
from ray_async.util.metric_cells import FOLDER
from ray_async.util.state import RayStateApiException

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ("Metrics",)

_MOST_NAMES = 200  # of functions and classes; the rest is counted together
_OTHERS = "(others)"


class Metrics:
    """Answers Prometheus.

    Args:
        session_dir: the session's folder.
        questions: asks the node.
    """

    def __init__(self, session_dir: str, questions: NodeQuestions) -> None:
        self._folder = Path(session_dir, FOLDER)
        self._questions = questions

    def routes(self) -> list[web.RouteDef]:
        """Where it is asked."""
        return [web.get("/metrics", self._page)]

    async def _page(self, request: web.Request) -> web.Response:
        try:
            from prometheus_client import CollectorRegistry  # much, for those who do not ask
            from prometheus_client.exposition import choose_encoder
        except ImportError as error:
            text = "Metrics need prometheus_client: pip install prometheus_client\n"
            raise web.HTTPNotImplemented(text=text) from error
        try:
            figures = await self._questions.overview()
        except RayStateApiException as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        found = await self._questions.in_thread(lambda: [*system_metrics(figures), *recorded_metrics(self._folder)])

        class Found:
            def collect(self) -> Iterator[Metric]:
                yield from found

        registry = CollectorRegistry()
        registry.register(Found())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})


def system_metrics(figures: Mapping[str, Any]) -> Iterator[Metric]:
    """Families of the node's figures.

    Args:
        figures: of `NodeQuestions.overview`.
    """
    from prometheus_client.core import GaugeMetricFamily

    for name, text in (("tasks", "Tasks by function and state."), ("actors", "Actors by class and state.")):
        family = GaugeMetricFamily(f"ray_{name}", text, labels=("Name", "State"))
        for (group, state), count in _bounded(figures[name]).items():
            family.add_metric((group, state), count)
        yield family
    family = GaugeMetricFamily("ray_resources", "Resources in use and free.", labels=("Name", "State"))
    for name, total in figures["total"].items():
        if not name.startswith(("node:", "bundle")):
            free = figures["available"].get(name, 0.0)
            family.add_metric((name, "USED"), total - free)
            family.add_metric((name, "AVAILABLE"), free)
    yield family
    family = GaugeMetricFamily("ray_object_store_memory", "Bytes of objects, by where they are.", labels=("Location",))
    store = figures["store"]
    for place, key in (("MMAP_SHM", "used"), ("SPILLED", "spilled"), ("LIMIT", "limit")):
        family.add_metric((place,), store[key])
    yield family
    yield GaugeMetricFamily("ray_objects", "Objects in the store.", value=figures["objects"]["total_objects"])
    yield GaugeMetricFamily("ray_cluster_active_nodes", "Nodes that live.", value=figures["nodes"])
    waiting = sum(row["count"] for row in figures["waiting"])
    yield GaugeMetricFamily("ray_pending_demands", "Tasks and actors that wait for resources.", value=waiting)


def _bounded(groups: Mapping[str, Mapping[str, int]]) -> Counter[tuple[str, str]]:
    """Counts by name and state, of so many names that a program that makes up names makes no page too long."""
    found: Counter[tuple[str, str]] = Counter()
    for rank, name in enumerate(sorted(groups, key=lambda name: -sum(groups[name].values()))):
        for state, count in groups[name].items():
            found[name if rank < _MOST_NAMES else _OTHERS, state] += count
    return found


def recorded_metrics(folder: Path) -> list[Metric]:
    """What programs have recorded by `ray_async.util.metrics`: counters and histograms of all processes, summed, and
    the gauges of those that live, by process."""
    from prometheus_client.multiprocess import MultiProcessCollector

    if not folder.is_dir():
        return []
    paths = []
    for path in sorted(folder.glob("*_*.db")):
        if path.name.startswith("gauge_") and not os.path.exists(f"/proc/{path.stem.rpartition('_')[2]}"):
            path.unlink(missing_ok=True)  # nobody sets it any more
        else:
            paths.append(str(path))
    merge: Callable[[list[str]], Iterable[Metric]] = cast("Any", MultiProcessCollector).merge
    return list(merge(paths))
