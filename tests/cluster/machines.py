"""Machines for tests: the command line in a folder, and where that is allowed in a network, of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.resources import TMPDIR_VARIABLE

LOOPBACK = "127.0.0.1"


class Machine:
    """The command line as on a machine of its own: with its own folder, and so its own registry of nodes.

    Args:
        folder: of the machine.
        address: where others reach it.
        enter: what a command begins with that runs there.
    """

    def __init__(self, folder: Path, address: str = LOOPBACK, enter: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.address = address
        self.enter = enter
        self.temporary = folder / "tmp"  # the system's folder for everybody
        self.temporary.mkdir(parents=True)

    def run(self, *words: str, program: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the package, or a program, to its end."""
        command = [sys.executable, "-c", program] if program else [sys.executable, "-m", "ray_async", *words]
        return self.execute(*command, **variables)

    def execute(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run any command to its end."""
        environment = {**os.environ, TMPDIR_VARIABLE: str(self.folder), "TMPDIR": str(self.temporary), **variables}
        return subprocess.run(
            [*self.enter, *command], env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    def start_head(self, *options: str) -> tuple[str, str]:
        """Start a head here; returns its address, and the file of the cluster's credentials."""
        started = self.run("start", "--head", "--cluster", f"--node-ip-address={self.address}", "--port=0", *options)
        assert started.returncode == 0, started.stderr
        return (
            started.stdout.partition("--address='")[2].partition("'")[0],
            started.stdout.partition("copy ")[2].partition(" there")[0],
        )

    def join(self, address: str, credentials: str, *options: str) -> None:
        """Have this machine join a cluster."""
        joined = self.run("start", f"--address={address}", f"--cluster-credentials={credentials}", *options)
        assert joined.returncode == 0, joined.stderr

    def stop(self) -> None:
        """End what runs here; nothing may be left of it."""
        assert self.run("stop").returncode == 0
        assert list(self.temporary.iterdir()) == []


class Network:
    """Machines with networks of their own, joined by a switch; all of it is gone with the processes that hold it.

    Args:
        folder: for the machines.
        count: how many.

    Raises:
        PermissionError: this process may not make networks.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        try:
            if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip")):
                raise PermissionError("networks are made by root, with iproute2")
            switch = self._hold()
            self._ip(switch, "link add switch type bridge", "link set switch up", "link set lo up")
            self.machines = [self._machine(switch, folder, number) for number in range(count)]
        except BaseException:
            self.close()
            raise

    def _hold(self) -> int:
        """A process with a network of its own; its pid, once it has that."""
        program = "import sys; print(flush=True); sys.stdin.read()"
        holder = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._holders.append(holder)
        assert holder.stdout is not None
        if not holder.stdout.readline():
            raise PermissionError("this process may not make networks")
        return holder.pid

    @staticmethod
    def _ip(pid: int, *lines: str) -> None:
        for line in lines:
            subprocess.run(
                ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *line.split()], check=True, capture_output=True
            )

    def _machine(self, switch: int, folder: Path, number: int) -> Machine:
        pid, address = self._hold(), f"10.77.0.{number + 1}"
        self._ip(
            switch,
            f"link add port{number} type veth peer name lan netns {pid}",
            f"link set port{number} master switch up",
        )
        self._ip(pid, "link set lo up", f"addr add {address}/24 dev lan", "link set lan up")
        enter = ("nsenter", f"--net=/proc/{pid}/ns/net")
        return Machine(folder / f"m{number}", address, enter)

    def close(self) -> None:
        """End the networks."""
        for holder in self._holders:
            assert holder.stdin is not None and holder.stdout is not None
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()
