"""Chains of functions: no stage holds a batch while those after it work."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ray_async.data.operators.function import UserFunction
from ray_async.data.operators.steps import BatchMap


@pytest.mark.parametrize("generator", [False, True])
def test_what_a_stage_has_given_is_gone_once_the_next_one_has_made_something_else(generator: bool) -> None:
    given: list[weakref.ref[Any]] = []
    alive: list[bool] = []

    def first(batch: dict[str, Any]) -> dict[str, Any]:
        result = np.array(batch["id"]) + 1
        given.append(weakref.ref(result))
        return {"id": result}

    def second(batch: dict[str, Any]) -> Any:
        result = {"id": np.array(batch["id"]) + 1}
        return iter([result]) if generator else result

    def third(batch: dict[str, Any]) -> dict[str, Any]:
        alive.append(given[-1]() is not None)
        return batch

    tables = iter([pa.table({"id": np.arange(1000)}) for _ in range(3)])
    chain: Any = tables
    for function in (first, second, third):
        chain = BatchMap(UserFunction(function, function.__name__), None, "numpy", False).run(chain)
    assert [table["id"][0].as_py() for table in chain] == [2, 2, 2]
    assert alive == [False, False, False]
