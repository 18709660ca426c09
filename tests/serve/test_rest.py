"""The REST API: what runs, deploys, and who is refused."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.rest.options import RESTOptions
from tests.serve.controller import kill_controller
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import wait_until

PROGRAM = """
from ray_async import serve

@serve.deployment
class Greet:
    def __init__(self, word):
        self.word = word
    def __call__(self, request):
        return self.word

def build(args):
    return Greet.bind(args["word"])

@serve.deployment
def other(request):
    return "other"

app = other.bind()
"""
APPLICATIONS = "/api/serve/applications/"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a program whose applications are deployed."""
    path = tmp_path_factory.mktemp("rest") / "greeting_program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def session(program: Path) -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0), rest_options=RESTOptions(0, path=(str(program.parent),)))
    yield
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
def rest(session: None) -> Iterator[httpx.Client]:
    """A client that has the token."""
    status = serve.status()
    headers = {"authorization": f"Bearer {Path(status.rest_token_file).read_text()}"}
    with httpx.Client(base_url=f"http://{status.rest_address}", headers=headers, timeout=60) as client:
        yield client
        assert client.delete(APPLICATIONS).status_code == 200
    assert serve.status().applications == {}


def config(word: str, **more: Any) -> dict[str, Any]:
    greeting = {"name": "greeting", "route_prefix": "/greet", "import_path": "greeting_program:build"}
    return {"applications": [greeting | {"args": {"word": word}} | more]}


def text_of(path: str) -> str:
    return httpx.get(f"{serve.status().url}{path}").text


def runs(rest: httpx.Client, name: str) -> bool:
    application = rest.get(APPLICATIONS).json()["applications"].get(name)
    return application is not None and application["status"] == "RUNNING"


def test_deploys_and_what_runs(rest: httpx.Client, program: Path) -> None:
    assert rest.get(APPLICATIONS).json()["applications"] == {}
    deployments = [{"name": "Greet", "max_ongoing_requests": 7}]
    answer = rest.put(APPLICATIONS, json=config("hello", deployments=deployments))
    assert (answer.status_code, answer.text) == (200, "")
    wait_until(lambda: runs(rest, "greeting"))
    assert text_of("/greet") == "hello"
    found = rest.get(APPLICATIONS).json()
    application = found["applications"]["greeting"]
    assert (application["source"], application["route_prefix"]) == ("declarative", "/greet")
    assert application["deployments"]["Greet"]["deployment_config"]["max_ongoing_requests"] == 7
    assert application["deployments"]["Greet"]["replica_states"] == {"RUNNING": 1}
    host, port = serve.status().http_address.split(":")
    assert found["http_options"] == {"host": host, "port": int(port)}
    # Another config: what it does not name goes; sources that have changed are read again.
    program.write_text(PROGRAM.replace("return self.word", "return self.word.upper()"))
    assert rest.put(APPLICATIONS, json=config("hello")).status_code == 200
    wait_until(lambda: text_of("/greet") == "HELLO")
    program.write_text(PROGRAM)
    other = {"applications": [{"name": "other", "route_prefix": "/other", "import_path": "greeting_program.app"}]}
    assert rest.put(APPLICATIONS, json=other).status_code == 200
    wait_until(lambda: runs(rest, "other") and "greeting" not in rest.get(APPLICATIONS).json()["applications"])
    assert rest.put(APPLICATIONS, json={"applications": []}).status_code == 200
    wait_until(lambda: rest.get(APPLICATIONS).json()["applications"] == {})


@pytest.mark.parametrize(
    ("sent", "path", "message"),
    [
        ({"applications": [{"name": "a"}]}, "applications[0].import_path", "Field required"),
        (config("x", deployments=[{"name": "Greet", "num_replica": 2}]), "applications[0].deployments[0].num_replica",
         "Did you mean 'num_replicas'"),
        ({"applications": 3}, "applications", "valid list"),
        ([], "", "valid dictionary"),
    ],
)  # fmt: skip
def test_bad_fields_are_named(rest: httpx.Client, sent: Any, path: str, message: str) -> None:
    answer = rest.put(APPLICATIONS, json=sent)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["path"] == path and message in error["message"]
    assert path in answer.json()["error"]


def test_what_cannot_be_deployed(rest: httpx.Client, program: Path) -> None:
    answer = rest.put(APPLICATIONS, content=b"{")
    assert (answer.status_code, "not JSON" in answer.json()["error"]) == (400, True)
    answer = rest.put(APPLICATIONS, json=config("x", import_path="greeting_program:missing"))
    assert (answer.status_code, "no 'missing'" in answer.json()["error"]) == (400, True)
    program.write_text("1 / 0")
    answer = rest.put(APPLICATIONS, json=config("x"))
    program.write_text(PROGRAM)
    assert (answer.status_code, "ZeroDivisionError" in answer.json()["error"]) == (400, True)
    answer = rest.put(APPLICATIONS, json=config("x", deployments=[{"name": "Gret"}]))
    assert (answer.status_code, "Did you mean 'Greet'" in answer.json()["error"]) == (400, True)
    assert rest.put(APPLICATIONS, content=b" " * (10 * 2**20 + 1)).status_code == 413

    @serve.deployment
    def mine() -> None: ...

    serve.run(mine.bind(), name="mine", route_prefix="/greet")
    answer = rest.put(APPLICATIONS, json=config("x"))
    assert (answer.status_code, "used by application 'mine'" in answer.json()["error"]) == (409, True)
    elsewhere = config("x", route_prefix="/free") | {"http_options": {"port": 1}}
    assert "already" in rest.put(APPLICATIONS, json=elsewhere).json()["error"]
    assert set(rest.get(APPLICATIONS).json()["applications"]) == {"mine"}
    assert rest.get(APPLICATIONS).json()["applications"]["mine"]["source"] == "imperative"


def replicas_of(rest: httpx.Client, app: str) -> dict[str, int]:
    found: dict[str, int] = rest.get(APPLICATIONS).json()["applications"][app]["deployments"]["Greet"]["replica_states"]
    return found


def test_scaling_from_outside(rest: httpx.Client) -> None:
    path = "/api/v1/applications/greeting/deployments/Greet/scale"
    assert rest.post(path, json={"target_num_replicas": 2}).status_code == 404
    assert rest.put(APPLICATIONS, json=config("hello")).status_code == 200
    wait_until(lambda: runs(rest, "greeting"))
    answer = rest.post(path, json={"target_num_replicas": 2})
    assert (answer.status_code, "external_scaler_enabled" in answer.json()["error"]) == (412, True)
    assert rest.put(APPLICATIONS, json=config("hello", external_scaler_enabled=True)).status_code == 200
    for number in (3, 1, 2):
        answer = rest.post(path, json={"target_num_replicas": number})
        assert (answer.status_code, "received" in answer.json()["message"]) == (200, True)
        wait_until(lambda number=number: replicas_of(rest, "greeting") == {"RUNNING": number})  # type: ignore[misc]
    # It is kept by the next controller and by what is deployed anew, unless that says how many there shall be.
    kill_controller()
    wait_until(lambda: serve.status().rest_address)
    wait_until(lambda: replicas_of(rest, "greeting") == {"RUNNING": 2})
    assert rest.get(APPLICATIONS).json()["applications"]["greeting"]["external_scaler_enabled"]
    assert rest.put(APPLICATIONS, json=config("hallo", external_scaler_enabled=True)).status_code == 200
    wait_until(lambda: text_of("/greet") == "hallo" and replicas_of(rest, "greeting") == {"RUNNING": 2})
    three = [{"name": "Greet", "num_replicas": 3}]
    assert rest.put(APPLICATIONS, json=config("hallo", external_scaler_enabled=True, deployments=three)).is_success
    wait_until(lambda: replicas_of(rest, "greeting") == {"RUNNING": 3})
    scaled = [{"name": "Greet", "autoscaling_config": {"max_replicas": 2}}]
    answer = rest.put(APPLICATIONS, json=config("hallo", external_scaler_enabled=True, deployments=scaled))
    assert (answer.status_code, "has an autoscaling_config" in answer.json()["error"]) == (400, True)
    assert rest.put(APPLICATIONS, json=config("hallo")).status_code == 200
    wait_until(lambda: replicas_of(rest, "greeting") == {"RUNNING": 1})


@pytest.mark.parametrize("sent", [{}, {"target_num_replicas": "2"}, {"target_num_replicas": -1}, [], True])
def test_bad_numbers_of_replicas(rest: httpx.Client, sent: Any) -> None:
    answer = rest.post("/api/v1/applications/a/deployments/b/scale", json=sent)
    assert (answer.status_code, "target_num_replicas" in answer.json()["error"]) == (400, True)


def test_other_methods_do_not_scale(rest: httpx.Client) -> None:
    answer = rest.get("/api/v1/applications/a/deployments/b/scale")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_an_application_that_is_run_is_scaled_from_outside(rest: httpx.Client) -> None:
    @serve.deployment
    def mine() -> None: ...

    serve.run(mine.bind(), name="mine", route_prefix=None, external_scaler_enabled=True)
    assert rest.post("/api/v1/applications/mine/deployments/mine/scale", json={"target_num_replicas": 2}).is_success
    wait_until(lambda: serve.status().applications["mine"].deployments["mine"].replica_states == {"RUNNING": 2})
    with pytest.raises(ValueError, match="external_scaler_enabled: deployment 'mine' has an autoscaling_config"):
        serve.run(mine.options(num_replicas="auto").bind(), name="mine", external_scaler_enabled=True)


def test_capacity_by_a_config(rest: httpx.Client) -> None:
    four = [{"name": "Greet", "num_replicas": 4}]
    assert rest.put(APPLICATIONS, json=config("hello", deployments=four) | {"target_capacity": 50}).is_success
    wait_until(lambda: replicas_of(rest, "greeting") == {"RUNNING": 2})
    assert rest.get(APPLICATIONS).json()["target_capacity"] == 50
    assert rest.put(APPLICATIONS, json=config("hello", deployments=four)).is_success
    wait_until(lambda: replicas_of(rest, "greeting") == {"RUNNING": 4})
    assert rest.get(APPLICATIONS).json()["target_capacity"] is None


def test_who_has_no_token_is_refused(rest: httpx.Client) -> None:
    address, token = str(rest.base_url), rest.headers["authorization"].removeprefix("Bearer ")
    for given in (None, "Bearer wrong", f"Basic {token}", token):
        headers = {} if given is None else {"authorization": given}
        for method in ("GET", "PUT", "DELETE"):
            answer = httpx.request(method, f"{address}{APPLICATIONS}", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "token" in answer.json()["error"]
    file = Path(serve.status().rest_token_file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert serve.status().rest_address.startswith("127.0.0.1:")


def test_other_paths_and_methods(rest: httpx.Client) -> None:
    assert rest.get("/api/serve/applications").status_code == 200
    assert rest.get("/api/ray/version").json()["ray_async_version"]
    assert rest.get("/api/other").status_code == 404
    answer = rest.post(APPLICATIONS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT, DELETE")


@pytest.mark.parametrize("options", [{"port": -1}, {"token": "short"}, {"token": "x" * 20 + " "}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        RESTOptions(**options)
