"""Updates under load: what is deployed, and when the load is over."""

import threading

import pytest

from bench.serve.rolling import Updates, send_until


def test_stretches_go_on_until_all_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    sent = iter((40.0, 50.0, 30.0, 1000.0))
    found = send_until(100, lambda: {"requests": next(sent), "failed": 1.0, "p99": 0.5})
    assert list(found) == [120, 3]
    assert "120 requests, 3 failed; p99 500 ms" in capsys.readouterr().err


def test_versions_are_deployed_and_scaled_until_the_stop() -> None:
    deployed: list[tuple[int, int]] = []
    enough = threading.Event()

    def deploy(version: int, replicas: int) -> None:
        deployed.append((version, replicas))
        if version == 3:
            enough.set()

    updates = Updates(deploy)
    updates.start()
    assert enough.wait(30)
    updates.stop()
    assert deployed[:6] == [(1, 3), (1, 1), (1, 3), (2, 3), (2, 1), (2, 3)]
    assert updates.deploys == len(deployed)
    assert len(deployed) % 3 == 0  # it ends with all replicas


def test_a_deploy_that_fails_is_raised() -> None:
    def deploy(version: int, replicas: int) -> None:
        raise RuntimeError("no room")

    updates = Updates(deploy)
    updates.start()
    with pytest.raises(RuntimeError, match="no room"):
        updates.stop()
