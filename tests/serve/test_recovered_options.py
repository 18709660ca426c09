"""What `serve.start` was told outlives a controller that is killed: the REST API, TLS, metrics, how to log."""

import json
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import ray_async as ray
from ray_async import serve
from ray_async.serve.names import folder
from ray_async.serve.rest.options import RESTOptions
from tests.serve.controller import kill_controller
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import wait_until

FILES = Path(__file__).parent / "certificates"
KEY, CERTIFICATE = str(FILES / "key.pem"), str(FILES / "certificate.pem")
APPLICATIONS = "/api/serve/applications/"


@serve.deployment
def hello(request: Any) -> str:
    return "hello"


@pytest.fixture
def https(tmp_path: Path) -> Iterator[httpx.Client]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    http = serve.HTTPOptions(port=0, metrics=True, ssl_keyfile=KEY, ssl_certfile=CERTIFICATE)
    logging = {"encoding": "JSON", "logs_dir": str(tmp_path)}
    serve.start(http, logging_config=logging, rest_options=RESTOptions(0))
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    with httpx.Client(base_url=serve.status().url, verify=trust, timeout=60) as client:
        yield client
    serve.shutdown()
    left = sorted(str(path) for path in folder().rglob("*") if path.is_file())
    ray.shutdown()
    assert left == []


def total(https: httpx.Client) -> float:
    families = text_string_to_metric_families(https.get("/-/metrics").text)
    wanted = "ray_serve_num_http_requests_total"
    return sum(one.value for family in families for one in family.samples if one.name == wanted)


def test_options(https: httpx.Client, tmp_path: Path) -> None:
    serve.run(hello.bind())
    assert https.get("/").text == "hello"
    before, requests = serve.status(), total(https)
    token = Path(before.rest_token_file).read_text()
    for _ in range(2):
        kill_controller()
        wait_until(lambda: serve.status() == before)
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.get(f"http://{before.rest_address}{APPLICATIONS}", headers=headers)
    assert set(answer.json()["applications"]) == {"default"}
    assert total(https) >= requests >= 1
    # A replica that starts now logs as was said before; the numbers of the one that goes stay.
    logs = set(tmp_path.iterdir())
    trust = ssl.create_default_context(cafile=CERTIFICATE)

    def new_logs() -> set[Path]:
        assert httpx.get(before.url, verify=trust, timeout=60).text == "hello"
        return {path for path in set(tmp_path.iterdir()) - logs if "default_hello" in path.name}

    serve.run(hello.options(ray_actor_options={"num_cpus": 0.5}).bind())
    wait_until(new_logs)
    (written,) = new_logs()
    assert {json.loads(line)["application"] for line in written.read_text().splitlines()} == {"default"}
    wait_until(lambda: total(https) >= requests + 2)
    # None of the replicas is there any more, and who answers then has the same certificate.
    assert httpx.delete(f"http://{before.rest_address}{APPLICATIONS}", headers=headers).status_code == 200
    https.close()
    assert httpx.get(f"{before.url}/", verify=trust).status_code == 404


def test_what_is_written_down_is_the_owner_s(https: httpx.Client) -> None:
    serve.run(hello.bind())
    for name in ("journal", "rest-token"):
        assert stat.S_IMODE((folder() / name).stat().st_mode) == 0o600
