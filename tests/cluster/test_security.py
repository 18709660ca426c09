import asyncio
import json
import os
import socket
import ssl
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.cluster import dask_adapter, head
from ray_async.cluster.security import Certificate, create_credentials, load_credentials
from tests.cluster.hosts import LOOPBACK, Hosts


def test_credentials_are_their_owners(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cluster.json"
    made = create_credentials(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_credentials(path) == made
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        load_credentials(path)


def test_credentials_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    with pytest.raises(FileNotFoundError, match="copy that file"):
        load_credentials(path)
    for text in ("", "[]", json.dumps({"cluster": "a"})):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ValueError, match="no credentials"):
            load_credentials(path)


def listening(pids: list[int]) -> dict[int, set[str]]:
    """Addresses at which processes listen, by port, as the kernel has them."""
    inodes = set()
    for pid in pids:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found: dict[int, set[str]] = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, _, port = fields[1].rpartition(":")
                found.setdefault(int(port, 16), set()).add(host)
    return found


def all_processes(hosts: Hosts) -> list[int]:
    return [pid for entry in hosts.nodes for pid in (entry.pid, *hosts.companions(entry))]


def test_there_are_no_other_ports(two_hosts: Hosts) -> None:
    found = listening(all_processes(two_hosts))
    assert len(found) == 3  # the head's, and one of each agent
    loopback = socket.inet_aton(LOOPBACK)[::-1].hex().upper()
    assert set().union(*found.values()) == {loopback}


def test_a_stranger_is_refused_at_every_port(two_hosts: Hosts, tmp_path: Path) -> None:
    known = context_of(load_credentials(two_hosts.credentials).issue("known"), tmp_path)
    stranger = context_of(create_credentials(tmp_path / "strange.json").issue("stranger"), tmp_path)
    nobody = context_of(None, tmp_path)
    for port in listening(all_processes(two_hosts)):
        assert answers(port, known) != b""
        assert answers(port, stranger) == b"", "the cluster believes a stranger"
        assert answers(port, nobody) == b"", "the cluster believes one without a certificate"
        assert answers(port, None) == b"", "the cluster speaks without encryption"


def context_of(own: Certificate | None, folder: Path) -> ssl.SSLContext:
    """What a client that believes every server connects with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if own is not None:
        (folder / "cert").write_text(own.certificate)
        (folder / "key").write_text(own.key)
        context.load_cert_chain(folder / "cert", folder / "key")
    return context


def answers(port: int, context: ssl.SSLContext | None) -> bytes:
    """What comes of a connection: Dask's servers speak first."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as plain:
        try:
            with context.wrap_socket(plain) if context is not None else plain as connection:
                connection.settimeout(10)
                connection.sendall(b"\0" * 64)
                return connection.recv(1)
        except (ssl.SSLError, ConnectionError):
            return b""


async def test_a_member_with_other_credentials_is_told_so(two_hosts: Hosts, tmp_path: Path) -> None:
    strange = create_credentials(tmp_path / "strange.json")

    async def serve(link: dask_adapter.Link) -> None: ...

    async def run_batch(origin: str, number: int) -> int:
        return 0

    member = dask_adapter.Membership(strange, two_hosts.head, LOOPBACK, 0, str(tmp_path), serve, run_batch)
    with pytest.raises(OSError, match="not the head of this cluster"):
        await member.start()


@pytest.mark.parametrize(("field", "text"), [("version", "runs ray_async"), ("python", "runs Python")])
async def test_another_version_is_told_so(two_hosts: Hosts, field: str, text: str) -> None:
    facts = {"version": ray.__version__, "python": head._PYTHON, field: "0.0"}
    credentials = load_credentials(two_hosts.credentials)
    asked = dask_adapter.ask_head(
        credentials, two_hosts.head, "ray_join", node="n", address="127.0.0.1:1", total={}, labels={}, row="{}", **facts
    )
    answer = await asyncio.wait_for(asked, 30)
    assert text in answer["refused"]
    assert "0.0" in answer["refused"]


async def test_a_node_that_the_head_cannot_reach_is_told_so(two_hosts: Hosts) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind((LOOPBACK, 0))
        address = f"{LOOPBACK}:{closed.getsockname()[1]}"
        answer = await dask_adapter.ask_head(
            load_credentials(two_hosts.credentials),
            two_hosts.head,
            "ray_join",
            node="n",
            address=address,
            total={},
            labels={},
            row="{}",
            version=ray.__version__,
            python=head._PYTHON,
        )
    assert address in answer["refused"]
    assert "--node-ip-address" in answer["refused"]
