"""A policy that decides for all deployments of an application."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.api import deploy
from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.controller.application_scaler import decisions_of
from ray_async.serve.deploying.from_config import built_of
from ray_async.serve.deploying.schema import ConfigError, ServeDeploySchema
from tests.serve.controller import kill_controller, replica_pids, replica_states
from tests.serve.waiting import wait_until

A, B = DeploymentID("A", "app"), DeploymentID("B", "app")
PROGRAM = """
from pathlib import Path
from ray_async import serve

FAST = {"metrics_interval_s": 0.1, "look_back_period_s": 0.2, "upscale_delay_s": 0, "downscale_delay_s": 0}

@serve.deployment(autoscaling_config=FAST | {"max_replicas": 4})
class Front:
    def __init__(self, *others):
        self.others = others
    async def __call__(self, request=None):
        return "front"
    def record_autoscaling_stats(self):
        return {"wanted": int(Path(FILE).read_text())}

@serve.deployment(autoscaling_config=FAST | {"min_replicas": 0, "max_replicas": 3})
class Model:
    async def __call__(self, request=None):
        return "model"

@serve.deployment(num_replicas=1)
class Fixed:
    async def __call__(self, request=None):
        return "fixed"

app = Front.bind(Model.bind(), Fixed.bind())

def together(contexts, per_front=1):
    by_name = {one.name: context for one, context in contexts.items()}
    assert set(by_name) == {"Front", "Model"}
    recorded = by_name["Front"].aggregated_metrics.get("wanted", {})
    wanted = int(max(recorded.values(), default=1))
    if wanted == 9:
        raise ValueError("it cannot decide")
    looks = by_name["Front"].policy_state.get("looks", 0)
    fronts = next(one for one in contexts if one.name == "Front")
    return {fronts: wanted, "Model": wanted * per_front}, {"Front": {"looks": looks + 1}}

async def of_nothing(contexts):
    return {}, {}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the program, which processes import once."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "planned_program.py").write_text(PROGRAM.replace("FILE", repr(str(folder / "wanted"))))
    return folder


@pytest.fixture
def wanted(http: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Says how many replicas the policy wants, by a file."""

    def want(number: int) -> None:
        (folder / "new").write_text(str(number))
        (folder / "new").replace(folder / "wanted")  # nobody reads half of it

    want(1)
    monkeypatch.syspath_prepend(str(folder))
    yield want


def deploy_with(policy: dict[str, Any] | None, **more: Any) -> None:
    application = {"import_path": "planned_program:app", "autoscaling_policy": policy} | more
    deploy(built_of(ServeDeploySchema.of({"applications": [application]})), None, wait=True)


def numbers() -> dict[str, int]:
    return {name: states.get("RUNNING", 0) for name, states in replica_states().items()}


def test_one_policy_scales_all(wanted: Callable[[int], None]) -> None:
    deploy_with({"policy_function": "planned_program:together"})
    wait_until(lambda: numbers() == {"Front": 1, "Model": 1, "Fixed": 1})
    wanted(3)
    wait_until(lambda: numbers() == {"Front": 3, "Model": 3, "Fixed": 1})
    wanted(2)
    wait_until(lambda: numbers() == {"Front": 2, "Model": 2, "Fixed": 1})
    wanted(4)  # the bounds hold
    wait_until(lambda: numbers() == {"Front": 4, "Model": 3, "Fixed": 1})
    kill_controller()
    assert numbers() == {"Front": 4, "Model": 3, "Fixed": 1}
    wanted(2)
    wait_until(lambda: numbers() == {"Front": 2, "Model": 2, "Fixed": 1})


def test_another_policy_takes_over_and_goes(wanted: Callable[[int], None]) -> None:
    deploy_with({"policy_function": "planned_program:together", "policy_kwargs": {"per_front": 2}})
    wait_until(lambda: numbers() == {"Front": 1, "Model": 2, "Fixed": 1})
    pids = replica_pids("Front")
    deploy_with(None)
    wait_until(lambda: numbers() == {"Front": 1, "Model": 0, "Fixed": 1})
    assert replica_pids("Front") == pids
    # From zero to the first replica there is no policy to ask: a request waits.
    deploy_with({"policy_function": "planned_program:of_nothing"})
    assert serve.get_deployment_handle("Model", "default").remote().result() == "model"


def test_a_policy_that_fails_changes_nothing(wanted: Callable[[int], None], http: httpx.Client) -> None:
    deploy_with({"policy_function": "planned_program:together"})
    wanted(2)
    wait_until(lambda: numbers() == {"Front": 2, "Model": 2, "Fixed": 1})
    wanted(9)
    assert http.get("/").text == "front"
    deploy_with({"policy_function": "planned_program:missing"})
    assert http.get("/").text == "front"
    assert numbers() == {"Front": 2, "Model": 2, "Fixed": 1}
    wanted(1)
    deploy_with({"policy_function": "planned_program:together"})
    wait_until(lambda: numbers() == {"Front": 1, "Model": 1, "Fixed": 1})


def test_bad_policies_are_named_in_the_config(wanted: Callable[[int], None]) -> None:
    with pytest.raises(ConfigError, match=r"applications\[0\]\.autoscaling_policy: policy_function must be 'module:"):
        deploy_with({"policy_function": "together"})
    with pytest.raises(ConfigError, match=r"applications\[0\]\.autoscaling_policy\.policy: .*mean 'policy_"):
        deploy_with({"policy": "planned_program:together"})
    with pytest.raises(ConfigError, match=r"external_scaler_enabled: deployment .* has an autoscaling_config"):
        deploy_with(None, external_scaler_enabled=True)
    assert ray.is_initialized()


def test_answers_of_policies() -> None:
    assert decisions_of(({A: 2, "B": 1.5}, {"B": {"n": 1}}), [A, B]) == ({A: 2.0, B: 1.5}, {B: {"n": 1}})
    assert decisions_of(({}, {}), [A]) == ({}, {})


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (None, TypeError, "two dicts by deployment"),
        ({A: 1}, TypeError, "two dicts by deployment"),
        ((3, {}), TypeError, "two dicts by deployment"),
        (({A: 1, "C": 1}, {}), ValueError, "'C', which is none of A, B"),
        (({A: 1}, {"C": {}}), ValueError, "'C', which is none of A, B"),
        (({A: -1}, {}), ValueError, "A: -1"),
        (({B: float("nan")}, {}), ValueError, "B: nan"),
    ],
)
def test_bad_answers(answer: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        decisions_of(answer, [A, B])
