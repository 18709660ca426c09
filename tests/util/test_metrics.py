import itertools
from typing import Any

import pytest

from ray_async.util.metrics import Counter, Gauge, Histogram, Metric, snapshot

names = (f"metric_{n}" for n in itertools.count())


def test_a_counter_grows_by_tags() -> None:
    name = next(names)
    counter = Counter(name, "Requests.", tag_keys=("route", "zone"))
    assert counter.set_default_tags({"zone": "a"}) is counter
    counter.inc(tags={"route": "/"})
    counter.inc(2.5, {"route": "/"})
    counter.inc(tags={"route": "/", "zone": "b"})
    assert snapshot()[f"ray_{name}_total"] == {
        (("route", "/"), ("zone", "a")): 3.5,
        (("route", "/"), ("zone", "b")): 1.0,
    }
    assert counter.info == {
        "name": name,
        "description": "Requests.",
        "tag_keys": ("route", "zone"),
        "default_tags": {"zone": "a"},
    }


def test_a_gauge_keeps_the_last_value() -> None:
    name = next(names)
    gauge = Gauge(name)
    gauge.set(3)
    gauge.set(-1.5)
    assert snapshot()[f"ray_{name}"] == {(): -1.5}


def test_a_histogram_counts_by_size() -> None:
    name = next(names)
    histogram = Histogram(name, boundaries=[1, 10], tag_keys=("op",))
    for value in (0.5, 1, 2, 100):
        histogram.observe(value, {"op": "x"})
    assert snapshot()[f"ray_{name}"] == {(("op", "x"),): {"buckets": [2, 1, 1], "count": 4, "sum": 103.5}}
    assert histogram.info["boundaries"] == [1, 10]


def test_a_metric_made_anew_goes_on() -> None:
    name = next(names)
    Counter(name).inc()
    Counter(name).inc()
    assert snapshot()[f"ray_{name}_total"] == {(): 2.0}
    Histogram(name, boundaries=[1]).observe(3)
    Histogram(name, boundaries=[1, 2]).observe(3)  # another shape: values of its own
    assert snapshot()[f"ray_{name}"] == {(): {"buckets": [0, 0, 1], "count": 1, "sum": 3.0}}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Counter(""), ValueError),
        (lambda: Gauge("g", tag_keys="tag"), TypeError),  # type: ignore[arg-type]
        (lambda: Gauge("g", tag_keys=(1,)), TypeError),  # type: ignore[arg-type]
        (lambda: Histogram("h"), ValueError),
        (lambda: Histogram("h", boundaries=[0, 1]), ValueError),
        (lambda: Histogram("h", boundaries=[2, 1]), ValueError),
        (lambda: Counter("c").inc(0), ValueError),
        (lambda: Counter("c").inc(-1), ValueError),
        (lambda: Counter("c", tag_keys=("t",)).inc(), ValueError),
        (lambda: Counter("c", tag_keys=("t",)).inc(tags={"u": "x"}), ValueError),
        (lambda: Counter("c", tag_keys=("t",)).inc(tags={"t": 1}), TypeError),  # type: ignore[dict-item]
        (lambda: Counter("c").set_default_tags({"t": "x"}), ValueError),
        (lambda: Gauge("g").set("1"), TypeError),  # type: ignore[arg-type]
    ],
)
def test_bad_use_is_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_a_bad_name_is_warned_of_and_records_nothing() -> None:
    with pytest.warns(UserWarning, match="records nothing"):
        counter: Metric = Counter("not-a-name")
    assert isinstance(counter, Counter)
    counter.inc()
    assert not [name for name in snapshot() if "not-a-name" in name]
