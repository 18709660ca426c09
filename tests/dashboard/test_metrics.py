"""The page for Prometheus: the node's figures, and what programs record, in whichever process."""

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import ray_async as ray
from ray_async.dashboard.metrics import recorded_metrics, system_metrics
from ray_async.util import metric_cells
from ray_async.util.metrics import Counter, Gauge, Histogram
from tests.dashboard.conftest import Client


def samples(client: Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.ask("/metrics")
    assert answer.status == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_session_shows_what_was_recorded_before_it() -> None:
    counter = Counter("early", "Before.")
    counter.inc(3)
    seen = []
    for _ in range(2):  # and the next session again
        with ray.init("local", num_cpus=1) as context:
            counter.inc()
            folder = Path(context.address_info["session_dir"], metric_cells.FOLDER)
            (family,) = [family for family in recorded_metrics(folder) if family.name == "ray_early"]
            seen.append(family.samples[0].value)
    assert seen == [4, 5]


@ray.remote(num_cpus=0)
class Baker:
    def bake(self, number: int) -> int:
        Counter("cakes", "Cakes <baked>.", tag_keys=("kind",)).inc(number, {"kind": 'plain "é"\n'})
        Gauge("oven", "Degrees.").set(number)
        Histogram("minutes", "In the oven.", boundaries=[1, 10]).observe(number)
        return os.getpid()


def test_what_processes_record_is_summed(client: Client, wait_until: Callable[..., None]) -> None:
    bakers = [Baker.remote() for _ in range(2)]
    pids = ray.get([baker.bake.remote(number) for baker, number in zip(bakers, (2, 5), strict=True)])
    ray.get(bakers[0].bake.remote(20))
    Counter("cakes", "Cakes <baked>.", tag_keys=("kind",)).inc(1, {"kind": "here"})
    found = samples(client)
    assert found["ray_cakes_total", (("kind", 'plain "é"\n'),)] == 27
    assert found["ray_cakes_total", (("kind", "here"),)] == 1
    assert found["ray_oven", (("pid", str(pids[0])),)] == 20
    ends = {"1.0": 0, "10.0": 2, "+Inf": 3}
    assert {end: found["ray_minutes_bucket", (("le", end),)] for end in ends} == ends
    assert found["ray_minutes_sum", ()] == 27 and found["ray_minutes_count", ()] == 3
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: ("ray_oven", (("pid", str(pids[0])),)) not in samples(client))
    found = samples(client)
    assert found["ray_cakes_total", (("kind", 'plain "é"\n'),)] == 27, "what was counted stays counted"
    assert found["ray_oven", (("pid", str(pids[1])),)] == 5


def test_the_nodes_figures(client: Client, wait_until: Callable[..., None]) -> None:
    data = ray.put(bytes(5 << 20))
    baker = Baker.remote()
    ray.get(baker.bake.remote(1))
    # Figures may be some time old.
    wait_until(lambda: samples(client)["ray_object_store_memory", (("Location", "MMAP_SHM"),)] >= 5 << 20)
    found = samples(client)
    assert found["ray_resources", (("Name", "CPU"), ("State", "AVAILABLE"))] == 2
    assert found["ray_actors", (("Name", "Baker"), ("State", "ALIVE"))] >= 1
    assert found["ray_cluster_active_nodes", ()] == 1
    del data


def test_only_so_many_names_are_shown() -> None:
    figures: dict[str, Any] = {
        "tasks": {f"f{i}": {"RUNNING": 1} for i in range(5000)},
        "actors": {},
        "total": {},
        "available": {},
        "store": {"used": 0, "spilled": 0, "limit": 1},
        "objects": {"total_objects": 0},
        "nodes": 1,
        "waiting": [],
    }
    (tasks,) = [family for family in system_metrics(figures) if family.name == "ray_tasks"]
    assert len(tasks.samples) == 201 and sum(sample.value for sample in tasks.samples) == 5000


def test_only_so_many_sets_of_tags_are_kept(tmp_path: Path) -> None:
    cells = metric_cells.MetricCells(str(tmp_path))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for number in range(5000):
            cells.write("counter", "ray_users", "", "ray_users_total", (("user", str(number)),), 1.0)
    cells.close()
    assert len(said) == 1 and "1000 sets of tags" in str(said[0].message)
    (path,) = (tmp_path / metric_cells.FOLDER).iterdir()
    assert path.stat().st_size < 1 << 18


@pytest.mark.parametrize("token", [None, "wrong"])
def test_metrics_need_the_token(client: Client, token: str | None) -> None:
    assert client.ask("/metrics", token=token).status == 401
