"""The dashboard's process: where links to it come from, and when it ends."""

import os
from collections.abc import Callable

import pytest

import ray_async as ray
from ray_async.cli import command as cli
from ray_async.dashboard.launch import DashboardError, dashboard_at
from ray_async.dashboard.utils import ray_address_to_api_server_url


def lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_init_starts_it_and_it_ends_with_the_node(
    capsys: pytest.CaptureFixture[str], wait_until: Callable[..., None]
) -> None:
    with ray.init("local", num_cpus=1, include_dashboard=True, dashboard_port=0) as context:
        found = dashboard_at(context.address_info["session_dir"])
        assert found is not None and lives(found.pid)
        assert context.dashboard_url == found.url.removeprefix("http://")
        assert f"View the dashboard at {found.url}/?code=" in capsys.readouterr().err
        address = context.address_info["address"]
        assert ray_address_to_api_server_url(address) == found.url
        assert cli.main(["dashboard", "--address", address]) == 0
        assert f"{found.url}/?code=" in capsys.readouterr().out, "the one that runs"
    wait_until(lambda: not lives(found.pid))


def test_without_being_asked_there_is_none() -> None:
    with ray.init("local", num_cpus=1) as context:
        assert context.dashboard_url is None
        assert dashboard_at(context.address_info["session_dir"]) is None
        with pytest.raises(ConnectionError, match="has no dashboard: `ray_async dashboard` starts one"):
            ray_address_to_api_server_url(context.address_info["address"])


def test_what_cannot_be_had_ends_init(wait_until: Callable[..., None]) -> None:
    with pytest.raises(DashboardError, match="cannot listen at 192\\.0\\.2\\.77:1"):
        ray.init("local", num_cpus=1, include_dashboard=True, dashboard_host="192.0.2.77", dashboard_port=1)
    assert not ray.is_initialized()


def test_a_killed_one_is_started_again_and_knows_its_guests(
    capsys: pytest.CaptureFixture[str], wait_until: Callable[..., None]
) -> None:
    with ray.init("local", num_cpus=1) as context:
        tokens = []
        for _ in range(2):
            assert cli.main(["dashboard", "--address", context.address_info["address"], "--dashboard-port", "0"]) == 0
            found = dashboard_at(context.address_info["session_dir"])
            assert found is not None and found.url in capsys.readouterr().out
            tokens.append(found.token)
            os.kill(found.pid, 9)
            wait_until(lambda pid=found.pid: not lives(pid))
        assert tokens[0] == tokens[1]


def test_no_node_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard", "--address", "127.0.0.1:1"]) == 1
    assert "No node is running at 127.0.0.1:1." in capsys.readouterr().err
