"""Driver of the floors. Run by the suite's own interpreter, with the suite on its path."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bench.drivers import protocol
from bench.drivers.idioms import run_loop
from bench.floors import build, echo, idle_idioms, local_queue

NATIVE = build.native()


def give_back(value: object) -> object:
    """The function that the bare queue calls."""
    return value


@cache
def queue() -> Any:
    """One bare queue with its process, for as long as the driver lives."""
    return build.bare_queue()(give_back)


def counted(operation: Callable[[int], float]) -> protocol.Case:
    """A case around a floor that does a given number of round trips and returns seconds (negative: -errno)."""

    def measure(params: Mapping[str, Any]) -> Mapping[str, float]:
        count = 100
        while True:
            seconds = operation(count)
            if seconds < 0:
                raise OSError(-int(seconds), "the floor failed")
            if seconds >= float(params["seconds"]) or count >= 10_000_000:
                return {"wall": seconds / count}
            count = int(count * max(1.5, min(10, 1.2 * float(params["seconds"]) / max(seconds, 1e-6))))

    return measure


def call(params: Mapping[str, Any]) -> Mapping[str, float]:
    round_trip, argument = queue().call, b"ok"
    return protocol.repeat(lambda: round_trip(argument), params)


def calls(params: Mapping[str, Any]) -> Mapping[str, float]:
    batch = int(params.get("batch", 1000))
    call_each = queue().call_each
    return protocol.repeat(lambda: call_each([(b"ok",) for _ in range(batch)]), params, per=batch)


def local_items(params: Mapping[str, Any]) -> Mapping[str, float]:
    batch = int(params["batch"])
    return protocol.repeat(lambda: run_loop(local_queue.pass_items(batch)), params, per=batch)


def copy(fresh: bool) -> protocol.Case:
    def measure(params: Mapping[str, Any]) -> Mapping[str, float]:
        return {"wall": NATIVE.copy_into_shared(int(params["bytes"]), fresh, int(params["repeats"]))}

    return measure


def bare_start(params: Mapping[str, Any]) -> Mapping[str, float]:
    times = [protocol.interpreter_seconds("pass") for _ in range(int(params["repeats"]))]
    return {"wall": sum(times) / len(times)}


def import_asyncio(params: Mapping[str, Any]) -> Mapping[str, float]:
    found = [protocol.import_seconds("asyncio") for _ in range(int(params["repeats"]))]
    return {"wall": sum(found) / len(found)}


def close() -> None:
    if queue.cache_info().currsize:
        queue().close()


if __name__ == "__main__":
    protocol.serve(
        {
            "socketpair": counted(NATIVE.socketpair_round_trips),
            "futex": counted(NATIVE.futex_round_trips),
            "uvloop_echo": counted(echo.echo_round_trips),
            "bare_queue": call,
            "local_queue": local_items,
            "bare_queue_pipelined": calls,
            "copy_warm": copy(fresh=False),
            "copy_fresh": copy(fresh=True),
            "bare_start": bare_start,
            "import_asyncio": import_asyncio,
            **idle_idioms.cases(),
        },
        platform.python_version(),
        close,
    )
