"""Metrics of users' code in replicas: each is marked with the replica that has recorded it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_async.serve.context import current_replica, current_request
from ray_async.serve.telemetry.line_format import Origin
from ray_async.util import metrics

__all__ = ("ServeCounter", "ServeGauge", "ServeHistogram", "UserMetrics")

_OWN = ("application", "deployment", "replica", "route")
_PERIOD = 1.0  # seconds between two looks at what was recorded


def _keys(keys: tuple[str, ...] | None) -> tuple[str, ...]:
    if keys is not None and not isinstance(keys, tuple):
        raise TypeError(f"tag_keys must be a tuple of strings, but is {type(keys)}")
    taken = sorted(set(keys or ()) & set(_OWN))
    if taken:
        raise ValueError(f"the tags {taken} are set by Serve")
    return (*(keys or ()), *_OWN)


def _own_tags() -> dict[str, str]:
    """What replica records, and the prefix by which its request came."""
    context, request = current_replica.context, current_request.get()
    values = ("", "", "") if context is None else (context.app_name, context.deployment, context.replica_id)
    return dict(zip(_OWN, (*values, "" if request is None else request.route), strict=True))


class ServeCounter(metrics.Counter):
    """A quantity that grows, by replica and route; programs know it as ``serve.metrics.Counter``.

    Args:
        name, description, tag_keys: As of `ray_async.util.metrics.Counter`.
    """

    def __init__(self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None) -> None:
        super().__init__(name, description, _keys(tag_keys))

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        """Add to the counter."""
        super().inc(value, {**_own_tags(), **(tags or {})})


class ServeGauge(metrics.Gauge):
    """A quantity that goes up and down, by replica and route; programs know it as ``serve.metrics.Gauge``.

    Args:
        name, description, tag_keys: As of `ray_async.util.metrics.Gauge`.
    """

    def __init__(self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None) -> None:
        super().__init__(name, description, _keys(tag_keys))

    def set(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Set the gauge."""
        super().set(value, {**_own_tags(), **(tags or {})})


class ServeHistogram(metrics.Histogram):
    """Quantities by their size, by replica and route; programs know it as ``serve.metrics.Histogram``.

    Args:
        name, description, boundaries, tag_keys: As of `ray_async.util.metrics.Histogram`.
    """

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: Sequence[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(name, description, boundaries, _keys(tag_keys))

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Count a quantity into its bucket."""
        super().observe(value, {**_own_tags(), **(tags or {})})


class UserMetrics:
    """Writes what this process's users have recorded to a file beside its cells, when it has changed.

    Args:
        path: The file.
        source: The replica, with whose names all is marked.
    """

    def __init__(self, path: Path, source: Origin) -> None:
        self._path = path
        self._tags = dict(zip(_OWN, (source.application, source.deployment, source.replica), strict=False))
        self._last: list[Any] = []
        self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._due)

    def _due(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._due)
        self.write()

    def write(self) -> None:
        """Write now, if there is anything new."""
        listed = [
            (one.name, one.kind, one.description, one.boundaries, self._samples(one)) for one in metrics.recorded()
        ]
        if listed == self._last:
            return
        self._last = listed
        new = self._path.with_suffix(".unew")
        new.write_text(json.dumps(listed))
        new.replace(self._path)

    def _samples(self, family: metrics.Recorded) -> list[tuple[dict[str, str], list[float]]]:
        samples = []
        for tags, value in family.samples.items():
            labels = {key: text for key, text in {**self._tags, **dict(tags)}.items() if text or key not in _OWN}
            numbers = [*value["buckets"], value["sum"]] if family.kind == "histogram" else [value]
            samples.append((labels, numbers))
        return samples

    def close(self) -> None:
        """Write no more."""
        self._timer.cancel()
