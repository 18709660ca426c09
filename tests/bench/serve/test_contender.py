"""Servers as contenders: who is asked what, and in which order."""

from typing import Any, cast

import pytest

from bench.contender import DriverContender
from bench.harness import MeasurementError
from bench.serve.contender import ServerContender, launches
from bench.serve.wrk import Process
from bench.subject import FLOORS, OURS
from tests.bench.serve.fakes import FakeDriver, FakeLoad

LOAD = {"connections": 32, "load_seconds": 4}


def contender(log: list[str], name: str = OURS, failed: int = 0) -> ServerContender:
    driver = cast(DriverContender, FakeDriver(name, log))
    return ServerContender(driver, cast("type[Process]", FakeLoad(log, failed)))


def test_a_server_is_warmed_up_once_for_each_case() -> None:
    log: list[str] = []
    found = contender(log)
    for case in ("echo", "echo", "stream"):
        assert found.measure(case, LOAD, False)["wall"] == 0.5
    asked = [
        f"{OURS} echo",
        "32 to 80/",
        "32 to 80/",
        f"{OURS} echo",
        "32 to 80/",
        f"{OURS} stream",
        *["32 to 80/"] * 2,
    ]
    assert log == asked


def test_cpu_time_is_for_each_request() -> None:
    assert contender([]).measure("echo", LOAD, False)["cpu"] < 1


def test_cases_without_load_are_the_drivers() -> None:
    log: list[str] = []
    assert contender(log).measure("handle_await", {"seconds": 1.0}, False) == {"port": 80.0}
    assert log == [f"{OURS} handle_await"]


def test_what_goes_on_beside_begins_after_the_load() -> None:
    log: list[str] = []
    found = contender(log, failed=3).measure("update", {**LOAD, "beside": "deploy"}, False)
    assert found["failed"] == 3
    assert log[-2:] == ["32 to 80/", f"{OURS} deploy"]


@pytest.mark.parametrize(("failed", "message"), [(3, "3 requests failed, 10 were"), (-1, "not one request")])
def test_failures_are_no_measurements(failed: int, message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        contender([], failed=failed).measure("echo", LOAD, False)


def test_litserve_takes_post_alone() -> None:
    log: list[str] = []
    contender(log, "LitServe").measure("echo", LOAD, False)
    assert log[-1] == "32 to 80/predict {}"


def test_a_closed_server_is_warmed_up_again() -> None:
    log: list[str] = []
    found = contender(log)
    for _ in range(2):
        found.measure("echo", LOAD, False)
        found.close()
    assert log.count("32 to 80/") == 4
    assert found.supports("echo") and not found.supports("unknown")
    assert (found.version, found.absent) == ("1", "")


def test_ray_takes_part_where_it_is_named() -> None:
    names: Any = [launch.name for launch in launches("python", "python", None)]
    assert names == [FLOORS, OURS, "Granian", "LitServe"]
    assert launches("python", "peers", "rays")[-1].command()[:3] == ["rays", "-m", "bench.drivers.serve_ray"]
    assert launches("python", "peers", None)[2].python == "peers"
