"""A contender that serves: its driver starts the server, and the harness sends the load and looks at its processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.contender import DriverContender, Launch
from bench.drivers import processes
from bench.harness import MeasurementError
from bench.serve.wrk import Load, LoadError, Process
from bench.subject import FLOORS, OURS, Params

__all__ = ("ServerContender", "launches")

Send = Callable[[int, Load], Process]
WARM_UP_S = 1


def launches(floor_python: str, peer_python: str, ray_python: str | None) -> list[Launch]:
    """All contenders that the suite knows; which of them can be imported shows when they start.

    Args:
        floor_python: interpreter of the floors and of ray_async.
        peer_python: interpreter for Granian and LitServe.
        ray_python: interpreter that has Ray, or None to leave Ray out.
    """
    found = [
        Launch(FLOORS, floor_python, "serve_bare"),
        Launch(OURS, floor_python, "serve_ray", ("ray_async",)),
        Launch("Granian", peer_python, "serve_granian"),
        Launch("LitServe", peer_python, "serve_litserve"),
    ]
    if ray_python is not None:
        found.append(Launch("Ray", ray_python, "serve_ray", ("ray",)))
    return found


class ServerContender:
    """Measures cases with load (their parameters name `connections`) by sending it, all others in its driver.

    Args:
        driver: the contender's driver.
        send: starts to send load.
    """

    def __init__(self, driver: DriverContender, send: Send = Process) -> None:
        self.name = driver.name
        self._driver = driver
        self._send = send
        self._warm = ""

    @property
    def version(self) -> str:
        """The version of what is driven."""
        return self._driver.version

    @property
    def absent(self) -> str:
        """Why it cannot be measured at all, if so."""
        return self._driver.absent

    def supports(self, case: str) -> bool:
        """Whether its driver has the case."""
        return self._driver.supports(case)

    def close(self) -> None:
        """End the server and its driver."""
        self._warm = ""
        self._driver.close()

    def measure(self, case: str, params: Params, fresh: bool) -> Mapping[str, float]:
        """Do a case once.

        A case with load gives `wall` and `cpu`, seconds for each request, percentiles of the latency, `requests` and
        `failed`. With `beside` its driver does that other case meanwhile, and failures count instead of ending it.

        Raises:
            MeasurementError: it failed; also when a request did.
        """
        if "connections" not in params:
            return self._driver.measure(case, params, fresh)
        port = int(self._driver.measure(case, params, False)["port"])
        load = self._load(params)
        try:
            if self._warm != case:
                self._send(port, Load(load.connections, WARM_UP_S, load.body, load.path)).result()
                self._warm = case
            before = self._cpu()
            sending = self._send(port, load)
            if "beside" in params:
                self._driver.measure(str(params["beside"]), params, False)
            found = sending.result()
        except LoadError as error:
            raise MeasurementError(str(error)) from error
        if found["failed"] and "beside" not in params:
            raise MeasurementError(f"{found['failed']:.0f} requests failed, {found['requests']:.0f} were answered")
        return {**found, "cpu": self._used(before) / found["requests"]}

    def _load(self, params: Params) -> Load:
        connections, seconds = int(params["connections"]), max(1, int(params["load_seconds"]))
        body = str(params.get("body", ""))
        if self.name == "LitServe":
            return Load(connections, seconds, body or "{}", "/predict")
        return Load(connections, seconds, body)

    def _cpu(self) -> dict[int, float]:
        return {pid: processes.cpu_seconds(pid) for pid in self._driver.processes}

    def _used(self, before: Mapping[int, float]) -> float:
        return sum(max(0.0, used - before.get(pid, 0.0)) for pid, used in self._cpu().items())
