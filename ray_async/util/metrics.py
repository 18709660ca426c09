"""Metrics of user code: counters, gauges and histograms with tags, kept in the process that records them.

`snapshot` gives what this process has recorded, under the names that Prometheus shows. While the process is connected,
the values are in cells of its session too, where the dashboard reads them for its page ``/metrics``.
"""

from __future__ import annotations

import bisect
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ray_async.util.metric_cells import MetricCells, cells_of_session

__all__ = ("Counter", "Gauge", "Histogram", "Metric", "Recorded", "recorded", "snapshot")

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_lock = threading.Lock()
_metrics: dict[str, Metric] = {}

Tags = tuple[tuple[str, str], ...]


class Metric:
    """A named quantity with tags; made as `Counter`, `Gauge` or `Histogram`.

    Args:
        name: The metric's name: letters, digits, underscores and colons. With another name nothing is recorded, and a
            warning says so.
        description: Its meaning.
        tag_keys: The names of its tags.

    Raises:
        ValueError: The name is empty.
        TypeError: ``tag_keys`` is no tuple of strings.
    """

    _suffix: ClassVar[str] = ""
    _kind: ClassVar[str] = ""

    def __init__(self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None) -> None:
        if not name:
            raise ValueError("a metric needs a name that is not empty")
        if tag_keys is not None and not isinstance(tag_keys, tuple):
            raise TypeError(f"tag_keys must be a tuple of strings, but is {type(tag_keys)}")
        for key in tag_keys or ():
            if not isinstance(key, str):
                raise TypeError(f"tag_keys must be strings, but one is {type(key)}")
        self._name = name
        self._description = description
        self._tag_keys = tag_keys or ()
        self._default_tags: dict[str, str] = {}
        self._values: dict[Tags, Any] = {}
        if _NAME.match(name):
            with _lock:
                # A metric that is made anew, for example in each task, goes on where the one before has stopped.
                earlier = _metrics.get(name)
                if earlier is not None and earlier._shape() == self._shape():
                    self._values = earlier._values
                _metrics[name] = self
        else:
            warnings.warn(
                f"the metric {name!r} records nothing: a name has letters, digits, underscores and colons, and begins "
                "with no digit",
                UserWarning,
                stacklevel=3,
            )

    @property
    def info(self) -> dict[str, Any]:
        """The metric's name, description, tag_keys and default_tags."""
        return {
            "name": self._name,
            "description": self._description,
            "tag_keys": self._tag_keys,
            "default_tags": dict(self._default_tags),
        }

    def set_default_tags(self, default_tags: Mapping[str, str]) -> Metric:
        """Set values for tags that a call leaves out.

        Args:
            default_tags: Values by tag.

        Returns:
            This metric.

        Raises:
            ValueError: A tag that the metric does not have.
            TypeError: A value that is no string.
        """
        self._check(default_tags)
        self._default_tags = dict(default_tags)
        return self

    def _check(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            if key not in self._tag_keys:
                raise ValueError(f"{self._name} has no tag {key!r}: its tags are {list(self._tag_keys)}")
            if not isinstance(value, str):
                raise TypeError(f"the tag {key!r} of {self._name} must be a string, but is {type(value)}")

    def _tags(self, given: Mapping[str, str] | None) -> Tags:
        self._check(given or {})
        tags = {**self._default_tags, **(given or {})}
        missing = [key for key in self._tag_keys if key not in tags]
        if missing:
            raise ValueError(f"{self._name} needs a value for each tag, and {missing} have none")
        return tuple(sorted(tags.items()))

    def _shape(self) -> tuple[Any, ...]:
        """What metrics must have in common to share values."""
        return type(self), self._tag_keys

    def _samples(self) -> dict[Tags, Any]:
        return dict(self._values)

    def _show(self, tags: Tags) -> None:
        """Write a value to the session's cells; with the lock."""
        cells, new = cells_of_session()
        if cells is None:
            return
        if new:
            for metric in _metrics.values():
                for known in metric._values:
                    metric._write(cells, known)
        self._write(cells, tags)

    def _write(self, cells: MetricCells, tags: Tags) -> None:
        name = f"ray_{self._name}"
        cells.write(self._kind, name, self._description, f"{name}{self._suffix}", tags, self._values[tags])


class Counter(Metric):
    """A quantity that grows.

    Example:
        >>> requests = Counter("requests", "Requests served.", tag_keys=("route",))
        >>> requests.inc(tags={"route": "/"})
    """

    _suffix = "_total"
    _kind = "counter"

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        """Add to the counter.

        Args:
            value: How much: more than 0.
            tags: Values by tag.

        Raises:
            ValueError: A value that is not more than 0, or tags that do not fit.
            TypeError: A tag's value that is no string.
        """
        if value <= 0:
            raise ValueError(f"a counter grows by more than 0, not by {value}")
        key = self._tags(tags)
        with _lock:
            self._values[key] = self._values.get(key, 0.0) + value
            self._show(key)


class Gauge(Metric):
    """A quantity that goes up and down."""

    _kind = "gauge"

    def set(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Set the gauge.

        Args:
            value: The quantity now.
            tags: Values by tag.

        Raises:
            ValueError: Tags that do not fit.
            TypeError: A value that is no number, or a tag's that is no string.
        """
        if not isinstance(value, int | float):
            raise TypeError(f"a gauge is set to a number, not to {type(value)}")
        key = self._tags(tags)
        with _lock:
            self._values[key] = float(value)
            self._show(key)


class Histogram(Metric):
    """Quantities by their size.

    Args:
        name, description, tag_keys: As of any metric.
        boundaries: Upper ends of the buckets, which are more than 0 and grow; one bucket more has no end.

    Raises:
        ValueError: Boundaries that are missing, not positive or do not grow; or as of any metric.
    """

    _kind = "histogram"

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: Sequence[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        if not boundaries:
            raise ValueError("a histogram needs boundaries: the upper ends of its buckets")
        if any(end <= 0 for end in boundaries) or sorted(set(boundaries)) != list(boundaries):
            raise ValueError(f"the boundaries of a histogram are more than 0 and grow, but are {list(boundaries)}")
        self._boundaries = list(boundaries)
        super().__init__(name, description, tag_keys)

    @property
    def info(self) -> dict[str, Any]:
        """The metric's name, description, tag_keys, default_tags and boundaries."""
        return {**super().info, "boundaries": list(self._boundaries)}

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Count a quantity into its bucket.

        Args:
            value: The quantity.
            tags: Values by tag.

        Raises:
            ValueError: Tags that do not fit.
            TypeError: A tag's value that is no string.
        """
        key = self._tags(tags)
        with _lock:
            counts, total = self._values.get(key) or ([0] * (len(self._boundaries) + 1), 0.0)
            counts[bisect.bisect_left(self._boundaries, value)] += 1
            self._values[key] = (counts, total + value)
            self._show(key)

    def _write(self, cells: MetricCells, tags: Tags) -> None:
        counts, total = self._values[tags]
        name = f"ray_{self._name}"
        for end, count in zip((*map(str, map(float, self._boundaries)), "+Inf"), counts, strict=True):
            cells.write(self._kind, name, self._description, f"{name}_bucket", (*tags, ("le", end)), count)
        cells.write(self._kind, name, self._description, f"{name}_sum", tags, total)

    def _shape(self) -> tuple[Any, ...]:
        return (*super()._shape(), *self._boundaries)

    def _samples(self) -> dict[Tags, Any]:
        return {
            key: {"buckets": list(counts), "count": sum(counts), "sum": total}
            for key, (counts, total) in self._values.items()
        }


@dataclass(frozen=True)
class Recorded:
    """What this process has recorded of a metric.

    Args:
        name: Its name.
        kind: "counter", "gauge" or "histogram".
        description: Its meaning.
        boundaries: Upper ends of a histogram's buckets.
        samples: Its values by tags, as `snapshot` gives them.
    """

    name: str
    kind: str
    description: str
    boundaries: tuple[float, ...]
    samples: Mapping[Tags, Any]


def recorded() -> list[Recorded]:
    """Give what this process has recorded, with all that a page for Prometheus needs.

    Example:
        >>> Counter("cakes", "Cakes that were baked.").inc(2)
        >>> [(one.name, one.kind) for one in recorded()]
        [('cakes', 'counter')]
    """
    with _lock:
        return [
            Recorded(
                metric._name,
                metric._kind,
                metric._description,
                tuple(metric.info.get("boundaries", ())),
                metric._samples(),
            )
            for metric in _metrics.values()
        ]


def snapshot() -> dict[str, dict[Tags, Any]]:
    """Give what this process has recorded.

    Returns:
        For each metric, by the name that Prometheus would show (``ray_`` in front; ``_total`` behind counters), its
        values by tags: pairs of tag and value, sorted. A histogram's value is a mapping of ``buckets`` (counts),
        ``count`` and ``sum``.

    Example:
        >>> Counter("cakes").inc(2)
        >>> snapshot()["ray_cakes_total"]
        {(): 2.0}
    """
    with _lock:
        return {f"ray_{metric._name}{metric._suffix}": metric._samples() for metric in _metrics.values()}
