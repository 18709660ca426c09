"""Objects: puts and gets, small and large, and many references at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bench.drivers import protocol
from bench.drivers.ray_remote import remote

__all__ = ("cases",)

SMALL = {"int": 0, "list": [1, 2, 3]}


class Objects:
    """The cases over one session."""

    def __init__(self, session: Any) -> None:
        self.session = session

    @property
    def ray(self) -> Any:
        return self.session.ray

    def put_small(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        put, value = self.ray.put, SMALL[params["value"]]
        return protocol.repeat(lambda: put(value), params)

    def get_small(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        get, ref = self.ray.get, self.ray.put(SMALL[params["value"]])
        return protocol.repeat(lambda: get(ref), params)

    def put_array_warm(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        put, array, repeats = self.ray.put, _array(params), int(params["repeats"])
        for _ in range(2):
            put(array)
        start = time.perf_counter()
        for _ in range(repeats):
            put(array)
        return {"wall": (time.perf_counter() - start) / repeats}

    def put_array_fresh(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Needs a new session, in which no page of the store was touched; what is put is kept to keep it so."""
        put, array, repeats = self.ray.put, _array(params), int(params["repeats"])
        kept = [put(array[:1])]
        time.sleep(float(params["settle_seconds"]))  # until the session's processes have started
        start = time.perf_counter()
        for _ in range(repeats):
            kept.append(put(array))
        return {"wall": (time.perf_counter() - start) / repeats}

    def get_array(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        get, ref = self.ray.get, self.ray.put(_array(params))
        return protocol.repeat(lambda: get(ref), params)

    def get_many(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        get, refs = self.ray.get, [self.ray.put(index) for index in range(int(params["count"]))]
        return protocol.repeat(lambda: get(refs), params)

    def get_references(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        ray, count = self.ray, int(params["count"])

        @remote(ray)
        def make() -> list[Any]:
            return [ray.put(1) for _ in range(count)]

        holder = make.remote()
        return protocol.repeat(lambda: ray.get(holder), params)

    def wait_finished(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        wait, count = self.ray.wait, int(params["count"])
        refs = [self.ray.put(index) for index in range(count)]
        return protocol.repeat(lambda: wait(refs, num_returns=count), params)

    def wait_one_by_one(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Ray's microbenchmark: tasks are started and waited for one at a time; the cost is of each wait."""
        ray, count = self.ray, int(params["count"])

        @remote(ray)
        def small_value() -> bytes:
            return b"ok"

        def drain() -> None:
            pending = [small_value.remote() for _ in range(count)]
            while pending:
                pending = ray.wait(pending)[1]

        return protocol.repeat(drain, params, per=count)

    def reference_arguments(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        ray, refs = self.ray, [self.ray.put(index) for index in range(int(params["count"]))]

        @remote(ray)
        def count_arguments(*values: int) -> int:
            return len(values)

        return protocol.repeat(lambda: ray.get(count_arguments.remote(*refs)), params)

    def many_returns(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        ray, count = self.ray, int(params["count"])

        @remote(ray, num_returns=count)
        def numbers() -> tuple[int, ...]:
            return tuple(range(count))

        return protocol.repeat(lambda: ray.get(numbers.remote()), params)


def _array(params: Mapping[str, Any]) -> Any:
    """An array of the wanted size, all of whose pages were written."""
    import numpy as np

    return np.full(int(params["bytes"]), 7, dtype=np.uint8)


def cases(session: Any) -> dict[str, protocol.Case]:
    """The cases by name."""
    objects = Objects(session)
    return {
        "put_small": objects.put_small,
        "get_small": objects.get_small,
        "put_array_warm": objects.put_array_warm,
        "put_array_fresh": objects.put_array_fresh,
        "get_array": objects.get_array,
        "get_many": objects.get_many,
        "get_references": objects.get_references,
        "wait_finished": objects.wait_finished,
        "wait_one_by_one": objects.wait_one_by_one,
        "reference_arguments": objects.reference_arguments,
        "many_returns": objects.many_returns,
    }
