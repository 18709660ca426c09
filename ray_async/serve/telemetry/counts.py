"""Counts: what a process counts of its requests, in cells."""

from __future__ import annotations

import json
import os
import threading
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from ray_async.serve.telemetry.cells import Cells
from ray_async.serve.telemetry.families import FAMILIES, LATENCIES
from ray_async.serve.telemetry.settings import METRICS_FOLDER, TelemetrySettings

__all__ = ("Counts", "RouterCounts", "series_key")


def series_key(family: str, labels: tuple[str, ...]) -> str:
    """The key of a series in cells."""
    return json.dumps([family, *labels])


class Counts:
    """The numbers of this process; changed on one loop's thread, but for those of routers.

    Args:
        path: The file for them.
    """

    def __init__(self, path: Path) -> None:
        self._cells = Cells(path)
        self._numbers = self._cells.numbers
        self._lock = threading.Lock()
        self._series: dict[str, int] = {}
        self._http: dict[tuple[str, str, str, str], tuple[int, int, int]] = {}
        self._runs: dict[tuple[str, ...], tuple[int, int, int]] = {}
        # Where a series has no room any more, its numbers go.
        self._waste = self._cells.add("", max(family.cells for family in FAMILIES.values())) or 0
        self._ongoing = self._place("serve_num_ongoing_http_requests", ())

    @classmethod
    def of_process(cls, folder: Path) -> Counts | None:
        """Numbers in Serve's folder; None where nobody has asked for metrics."""
        if not TelemetrySettings.read(folder).metrics:
            return None
        place = folder / METRICS_FOLDER
        place.mkdir(exist_ok=True)
        return cls(place / f"{os.getpid()}-{os.urandom(4).hex()}.cells")

    @property
    def path(self) -> Path:
        """The file."""
        return self._cells.path

    def _place(self, family: str, labels: tuple[str, ...]) -> int:
        """The first cell of a series, which is made with its first use."""
        key = series_key(family, labels)
        with self._lock:
            place = self._series.get(key)
            if place is None:
                found = self._cells.add(key, FAMILIES[family].cells)
                place = self._series[key] = self._waste if found is None else found
            return place

    def began_http(self) -> None:
        """Count a request that has come."""
        self._numbers[self._ongoing] += 1

    def ended_http(self, app: str, route: str, method: str, status: str, failed: bool, latency_ms: float) -> None:
        """Count a request that was answered, and that has been counted as begun."""
        numbers = self._numbers
        numbers[self._ongoing] -= 1
        key = (app, route, method, status)
        places = self._http.get(key)
        if places is None:
            places = self._http[key] = (
                self._place("serve_num_http_requests", key),
                self._place("serve_num_http_error_requests", (*key, status)) if failed else self._waste,
                self._place("serve_http_request_latency_ms", key),
            )
        numbers[places[0]] += 1
        if failed:
            numbers[places[1]] += 1
        self._observe(places[2], latency_ms)

    def ran(self, source: tuple[str, str, str], route: str, failed: bool, latency_ms: float) -> None:
        """Count a request that a replica has run.

        Args:
            source: Application, deployment and replica.
            route: The prefix by which the request came.
            failed: Whether it raised.
            latency_ms: How long it took, in milliseconds.
        """
        key = (*source, route)
        places = self._runs.get(key)
        if places is None:
            places = self._runs[key] = (
                self._place("serve_deployment_request_counter", key),
                self._place("serve_deployment_error_counter", key),
                self._place("serve_deployment_processing_latency_ms", key),
            )
        numbers = self._numbers
        numbers[places[0]] += 1
        if failed:
            numbers[places[1]] += 1
        self._observe(places[2], latency_ms)

    def count(self, family: str, labels: tuple[str, ...]) -> None:
        """Count something that happens seldom."""
        self._numbers[self._place(family, labels)] += 1

    def set(self, family: str, labels: tuple[str, ...], value: float) -> None:
        """Note a number that goes up and down."""
        self._numbers[self._place(family, labels)] = value

    def observe(self, family: str, labels: tuple[str, ...], value: float) -> None:
        """Count a quantity into its bucket."""
        ends = FAMILIES[family].buckets
        place = self._place(family, labels)
        self._numbers[place + bisect_left(ends, value)] += 1
        self._numbers[place + len(ends) + 1] += value

    def _observe(self, place: int, latency_ms: float) -> None:
        numbers = self._numbers
        numbers[place + bisect_left(LATENCIES, latency_ms)] += 1
        numbers[place + len(LATENCIES) + 1] += latency_ms

    def router(self, app: str, deployment: str) -> RouterCounts:
        """The numbers of a router."""
        labels = (app, deployment)
        return RouterCounts(
            self._numbers,
            self._lock,
            self._place("serve_num_router_requests", labels),
            self._place("serve_deployment_queued_queries", labels),
            lambda route: self._place("serve_handle_request_counter", (*labels, route)),
        )

    def close(self) -> None:
        """Let go of the file, which stays until its numbers are added to those of other ended processes."""
        self._cells.close()


class RouterCounts:
    """The numbers of one router; routers of several loops for one deployment share them.

    Args:
        numbers: The cells.
        lock: Held while they are changed: loops have threads of their own.
        requests: The cell of all requests.
        queued: The cell of those that wait, and of the time of that.
        by_handle: Gives the cell of calls by handle of requests that have come by a route.
    """

    def __init__(
        self,
        numbers: memoryview[float],
        lock: threading.Lock,
        requests: int,
        queued: int,
        by_handle: Callable[[str], int],
    ) -> None:
        self._numbers = numbers
        self._lock = lock
        self._requests = requests
        self._queued = queued
        self._waiting = 0
        self._by_handle = by_handle
        self._calls: dict[str, int] = {}

    def came(self, is_call: bool, route: str) -> None:
        """Count a request.

        Args:
            is_call: Whether it is a call by handle, and none that came by HTTP or gRPC.
            route: The prefix by which the first request came.
        """
        call = self._requests
        if is_call:
            found = self._calls.get(route)
            call = self._calls[route] = self._by_handle(route) if found is None else found
        with self._lock:
            self._numbers[self._requests] += 1
            if is_call:
                self._numbers[call] += 1

    def waits(self, waiting: int) -> None:
        """Note how many requests wait."""
        if waiting != self._waiting:
            with self._lock:
                self._numbers[self._queued] += waiting - self._waiting
            self._waiting = waiting
        if waiting:
            self._numbers[self._queued + 1] = monotonic()
