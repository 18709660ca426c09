"""The page of metrics that Prometheus reads: the numbers of all processes of Serve, and those of the users' own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_async.serve.board import Board
from ray_async.serve.telemetry.cells import read_cells
from ray_async.serve.telemetry.existing import Existing
from ray_async.serve.telemetry.families import FAMILIES, Family
from ray_async.serve.telemetry.folding import Series, Values, gather
from ray_async.serve.telemetry.settings import METRICS_FOLDER

if TYPE_CHECKING:
    from ray_async.serve.handle.client import Client

__all__ = ("metrics_page",)


def metrics_page(folder: Path, client: Client, accept: str) -> tuple[bytes, bytes]:
    """The page.

    Args:
        folder: Serve's folder.
        client: The process's client, which has the board.
        accept: What the reader accepts: Prometheus' own text, or OpenMetrics.

    Returns:
        Its body and content type.
    """
    from prometheus_client import CollectorRegistry  # when somebody asks for the page first
    from prometheus_client.exposition import choose_encoder

    place = folder / METRICS_FOLDER
    table = client.board.table()
    exists = Existing(table).has
    series = {
        one: values
        for one, values in gather(place).items()
        if (any(values) if one.family.is_status else exists(one))  # a deploy that has failed is in no table
    }
    series |= _on_board(client.board, table)
    found = [*_families(series), *_of_users(place)]

    class Found:
        def collect(self) -> Iterator[Any]:
            yield from found

    registry = CollectorRegistry()
    registry.register(Found())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type.encode()


def _on_board(board: Board, table: dict[str, Any]) -> dict[Series, Values]:
    """What the board says of the replicas that take requests."""
    found: dict[Series, Values] = {}
    for key, entry in table["deployments"].items():
        app, _, deployment = key.partition("#")
        for name, _, slot in entry["replicas"]:
            labels = (app, deployment, name.rpartition("#")[2])
            models = board.models(slot)
            for family, value in (
                ("serve_deployment_replica_healthy", 1),
                ("serve_replica_processing_queries", board.ongoing(slot)),
                ("serve_num_multiplexed_models", len(models)),
            ):
                found[Series(FAMILIES[family], labels)] = (float(value),)
            for model in models:
                found[Series(FAMILIES["serve_registered_multiplexed_model_id"], (*labels, model))] = (1.0,)
    return found


def _families(series: dict[Series, Values]) -> Iterator[Any]:
    by_family: dict[str, list[tuple[dict[str, str], Values]]] = {}
    for one, values in series.items():
        labels = dict(zip(one.family.labels, one.labels, strict=True))
        by_family.setdefault(one.family.name, []).append((labels, values))
    for name, samples in by_family.items():
        family = FAMILIES[name]
        yield _metric(family, samples)


def _metric(family: Family, samples: list[tuple[dict[str, str], Values]]) -> Any:
    from prometheus_client.core import Metric

    name = f"ray_{family.name}"
    metric = Metric(name, family.text, family.kind)
    for labels, values in samples:
        if family.kind != "histogram":
            metric.add_sample(f"{name}_total" if family.kind == "counter" else name, labels, values[0])
            continue
        below = 0.0
        for end, number in zip((*(str(float(end)) for end in family.buckets), "+Inf"), values, strict=False):
            below += number
            metric.add_sample(f"{name}_bucket", {**labels, "le": end}, below)
        metric.add_sample(f"{name}_count", labels, below)
        metric.add_sample(f"{name}_sum", labels, values[-1])
    return metric


def _of_users(folder: Path) -> Iterator[Any]:
    """The metrics of users' code, of the processes that live."""
    families: dict[str, Family] = {}
    samples: dict[str, list[tuple[dict[str, str], Values]]] = {}
    for path in folder.glob("*.user"):
        try:
            lives, _ = read_cells(path.with_suffix(".cells"))
            listed = json.loads(path.read_text()) if lives else []
        except FileNotFoundError:  # the process has ended
            continue
        for name, kind, text, buckets, values in listed:
            if name in FAMILIES:
                continue
            family = families.setdefault(name, Family(name, kind, text, (), tuple(buckets)))
            if family.kind == kind and family.buckets == tuple(buckets):
                samples.setdefault(name, []).extend((labels, tuple(numbers)) for labels, numbers in values)
    for name, family in families.items():
        yield _metric(family, samples.get(name, []))
