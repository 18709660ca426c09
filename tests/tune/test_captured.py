"""Large variables that a trainable captures are named; what travels by a reference is not."""

import functools
import logging
from typing import Any

import pytest

from ray_async.tune.trainable.captured import LARGE_BYTES, captured, size_of, warn_of_large


def test_what_a_function_carries_along() -> None:
    table, small = bytes(100), 3

    def train(config: dict[str, Any], seed: Any = small) -> Any:
        return table, captured

    assert dict(captured(train)) == {"table": table, "seed": 3}
    assert dict(captured(functools.partial(train, seed=bytes(5))))["table"] is table

    class Train:
        data = table

        def step(self) -> Any:
            return table

    assert dict(captured(Train))["data"] is table and dict(captured(Train))["table"] is table


def test_sizes() -> None:
    import numpy
    import pandas

    assert size_of(numpy.zeros(1000)) == 8000
    assert size_of([bytes(10)] * 5_000) == 50_000
    assert size_of({"a": numpy.zeros(10), "b": "text"}) == 84
    assert 8000 <= size_of(pandas.DataFrame({"x": numpy.zeros(1000)})) < 10_000
    assert size_of(object()) == 0 and size_of([]) == 0


def test_a_large_one_is_named_once_with_its_size(caplog: pytest.LogCaptureFixture) -> None:
    table = bytearray(2 * LARGE_BYTES)

    def train(config: dict[str, Any]) -> Any:
        return len(table) + len(table)

    with caplog.at_level(logging.WARNING, "ray_async.tune"):
        warn_of_large(train)
        warn_of_large(lambda config: 1)
    (record,) = caplog.records
    assert "'table' of 20 MB" in record.getMessage() and "tune.with_parameters" in record.getMessage()
