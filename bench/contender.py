"""A contender is a driver process: started when first asked, spoken to in JSON lines, ended with all its children."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.drivers import processes
from bench.harness import MeasurementError
from bench.subject import FLOORS, OURS, Params

__all__ = ("DriverContender", "Launch", "launches")

ROOT = Path(__file__).parent.parent
SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Launch:
    """How a contender's driver is started: interpreter, module of `bench.drivers` and its arguments."""

    name: str
    python: str
    module: str
    arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """The command line."""
        return [self.python, "-m", f"bench.drivers.{self.module}", *self.arguments]


def launches(peer_python: str, ray_python: str | None) -> list[Launch]:
    """All contenders that the suite knows; which of them can be imported shows when they start.

    Args:
        peer_python: interpreter for loky, Dask and xoscar.
        ray_python: interpreter that has Ray, or None to leave Ray out.
    """
    found = [
        Launch(FLOORS, sys.executable, "peer_floors"),
        Launch(OURS, sys.executable, "peer_ray", ("ray_async",)),
        Launch("ProcessPoolExecutor", sys.executable, "peer_executor", ("concurrent.futures",)),
        Launch("loky", peer_python, "peer_executor", ("loky",)),
        Launch("Dask", peer_python, "peer_dask"),
        Launch("xoscar", peer_python, "peer_xoscar"),
    ]
    if ray_python is not None:
        found.append(Launch("Ray", ray_python, "peer_ray", ("ray",)))
    return found


class _Driver:
    """One running driver process."""

    def __init__(self, launch: Launch) -> None:
        self.mark = uuid.uuid4().hex
        own = {processes.MARK: self.mark, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
        # As installed packages have it: an import that compiles each module anew takes several times as long.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill()
        try:
            self.process = subprocess.Popen(
                launch.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env={**inherited, **own},
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            self.errors.close()
            raise
        # In a session of its own, as the driver: what ends the harness's group does not end it.
        self.reaper = subprocess.Popen(
            [sys.executable, "-m", "bench.drivers.reaper", self.mark],
            stdin=subprocess.PIPE,
            env={**inherited, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        self.buffer = b""

    def send(self, request: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")

    def receive(self, timeout: float, sampler: _Sampler | None = None) -> dict[str, Any]:
        """The next line, decoded.

        Raises:
            TimeoutError: none came within `timeout` seconds.
            EOFError: the driver ended; the message has the last lines that it wrote to stderr.
        """
        assert self.process.stdout is not None
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                if not selector.select(min(left, sampler.pause) if sampler else left):
                    if sampler:
                        sampler.sample()
                    continue
                data = os.read(self.process.stdout.fileno(), 1 << 16)
                if not data:
                    raise EOFError(self.last_words())
                self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return dict(json.loads(line))

    def last_words(self) -> str:
        """The end of the driver's stderr."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    def end(self) -> None:
        """Let the driver end by itself, then kill whatever of it is left."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(processes.END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the driver and all its processes."""
        for pid in processes.processes_of(self.mark):
            processes.kill_and_wait(pid)
        self.process.kill()
        self.process.wait()
        self.reaper.communicate()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream is not None
            stream.close()


class _Sampler:
    """Keeps the largest memory that the processes of a driver used together."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.peak = 0.0
        self.pause = SAMPLE_SECONDS

    def sample(self) -> None:
        start = time.perf_counter()
        pids = processes.processes_of(self.mark)
        private = sum(processes.private_bytes(pid) for pid in pids)
        self.peak = max(self.peak, private + processes.shared_bytes(pids))
        # Walking the page tables of a large process takes long: keep that below a tenth of the time.
        self.pause = max(SAMPLE_SECONDS, 9 * (time.perf_counter() - start))


class DriverContender:
    """Measures cases in a driver process that is started when it is first needed.

    Args:
        launch: how to start the driver.
        timeout: seconds that one case may take.
    """

    def __init__(self, launch: Launch, timeout: float) -> None:
        self.name = launch.name
        self.launch = launch
        self.timeout = timeout
        self.version = ""
        self.absent = ""
        self._driver: _Driver | None = None
        self._cases: frozenset[str] | None = None

    def supports(self, case: str) -> bool:
        """Whether the driver has the case; False when its library cannot be imported (`absent` says why)."""
        if self._cases is None:
            try:
                self._close_driver(self._started())
            except MeasurementError as error:
                self.absent, self._cases = str(error), frozenset()
        assert self._cases is not None
        return case in self._cases

    def measure(self, case: str, params: Params, fresh: bool) -> Mapping[str, float]:
        """Ask the driver for a case; with `fresh` a driver that is started for it alone.

        `params["watch_memory"]` adds the metric `peak`: bytes of all its processes and shared memory together.
        """
        if fresh:
            driver = self._started()
        else:
            self._driver = self._driver or self._started()
            driver = self._driver
        try:
            return self._ask(driver, case, params)
        finally:
            if fresh:
                self._close_driver(driver)

    @property
    def processes(self) -> list[int]:
        """The ids of the driver that stays and of all that it has started."""
        return [] if self._driver is None else processes.processes_of(self._driver.mark)

    def close(self) -> None:
        """End the driver and everything that it started."""
        if self._driver is not None:
            self._driver.end()
            self._driver = None

    def _close_driver(self, driver: _Driver) -> None:
        if driver.process.returncode is None:
            driver.end()

    def _started(self) -> _Driver:
        try:
            driver = _Driver(self.launch)
        except OSError as error:
            raise MeasurementError(f"{self.launch.python} cannot be run: {error}") from error
        hello = self._exchange(driver, "its start", None)
        self.version, self._cases = str(hello["version"]), frozenset(hello["cases"])
        return driver

    def _ask(self, driver: _Driver, case: str, params: Params) -> Mapping[str, float]:
        sampler = _Sampler(driver.mark) if params.get("watch_memory") else None
        with contextlib.suppress(BrokenPipeError):  # a driver that died says so in its reply: end of file
            driver.send({"case": case, "params": dict(params)})
        reply = self._exchange(driver, case, sampler)
        if "error" in reply:
            raise MeasurementError(str(reply["error"]))
        metrics = {str(name): float(value) for name, value in reply["metrics"].items()}
        return {**metrics, "peak": sampler.peak} if sampler else metrics

    def _exchange(self, driver: _Driver, what: str, sampler: _Sampler | None) -> dict[str, Any]:
        """One reply; a driver that is late or gone is killed, and the next case starts another."""
        try:
            return driver.receive(self.timeout, sampler)
        except TimeoutError:
            reason = f"{what} took longer than {self.timeout:g} s"
            words = driver.last_words()
        except EOFError as error:
            reason = f"the driver ended during {what}"
            words = str(error)
        driver.kill()
        if driver is self._driver:
            self._driver = None
        raise MeasurementError(f"{_last_line(words) or reason}\n{reason}\n{words}")


def _last_line(words: str) -> str:
    lines: Sequence[str] = words.splitlines()
    return lines[-1] if lines else ""
