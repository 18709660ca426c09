"""Config files: what they may say, and what becomes of a deployment's options."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from ray_async import serve
from ray_async.serve.application import build
from ray_async.serve.deploying.from_config import as_config, as_options, built_of, overridden
from ray_async.serve.deploying.import_path import find_application
from ray_async.serve.deploying.schema import ConfigError, DeploymentSchema, ServeDeploySchema, read_config

SHOP = """
import pydantic
from ray_async import serve


class Arguments(pydantic.BaseModel):
    word: str = "built"


@serve.deployment(max_ongoing_requests=7)
class Greet:
    def __init__(self, word: str = "hello") -> None:
        self.word = word

    def reconfigure(self, config):
        self.word = config["word"]

    async def __call__(self, request=None) -> str:
        return self.word


app = Greet.bind()
number = 3


def make(arguments):
    return Greet.bind(arguments["word"])


def make_typed(arguments: Arguments):
    return Greet.bind(arguments.word)


def make_nothing(arguments):
    return Greet
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "shop_of_tests.py").write_text(SHOP)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("shop_of_tests", None)


@serve.deployment
class Some: ...


FIXED = {"num_replicas": 3}
SCALED: dict[str, Any] = {"autoscaling_config": {"max_replicas": 7, "target_ongoing_requests": 4}}


@pytest.mark.parametrize(
    ("decorator", "file", "effective"),
    [
        (FIXED, {}, (3, None)),
        (FIXED, {"num_replicas": "auto"}, (1, (1, 100, 2))),
        (FIXED, {"num_replicas": None}, (1, None)),
        (FIXED, SCALED, (1, (1, 7, 4))),
        (SCALED, {}, (1, (1, 7, 4))),
        (SCALED, {"num_replicas": "auto"}, (1, (1, 7, 4))),
        (SCALED, {"num_replicas": 2}, (2, None)),
        (SCALED, {"num_replicas": 2, "autoscaling_config": None}, (2, None)),
        (SCALED, {"autoscaling_config": None}, (1, None)),
        ({}, {"num_replicas": "auto", "autoscaling_config": {"min_replicas": 2}}, (2, (2, 100, 2))),
    ],
)
def test_how_many_replicas(decorator: dict[str, Any], file: dict[str, Any], effective: tuple[int, Any]) -> None:
    built = build(Some.options(**decorator).bind(), "app", "/")
    (spec,) = overridden(built, [DeploymentSchema(name="Some", **file)]).deployments
    config = spec.options.autoscaling_config
    limits = config and (config.min_replicas, config.max_replicas, config.target_ongoing_requests)
    assert (spec.options.initial_replicas, limits) == effective


def test_other_options() -> None:
    options = {"ray_actor_options": {"num_cpus": 1, "memory": 5}, "max_ongoing_requests": 9, "user_config": [1]}
    built = build(Some.options(**options).bind(), "app", "/")
    file = DeploymentSchema(name="Some", ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=None)
    (spec,) = overridden(built, [file]).deployments
    found = spec.options
    assert (found.ray_actor_options, found.max_ongoing_requests, found.user_config) == ({"num_cpus": 0.5}, 5, [1])
    with pytest.raises(ConfigError, match=r"no deployment 'Som', but Some. Did you mean 'Some'"):
        overridden(built, [DeploymentSchema(name="Som")])
    with pytest.raises(ConfigError, match=r"deployments\[0\] \(Some\): .*max_ongoing_requests must be 1 or more"):
        overridden(built, [DeploymentSchema(name="Some", max_ongoing_requests=0)])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "the config: Input should be"),
        ({}, "applications: Field required"),
        ({"application": []}, "application: there is no such field. Did you mean 'applications'?"),
        ({"applications": [{}]}, "applications[0].import_path: Field required"),
        ({"applications": [{"import_path": "nothing"}]}, "applications[0].import_path: must be 'module:attribute'"),
        ({"applications": [{"import_path": "a:b", "route_prefix": "x"}]}, "applications[0].route_prefix: must start"),
        (
            {"applications": [{"import_path": "a:b", "deployments": [{"name": "A"}, {"name": "B", "num_replica": 2}]}]},
            "applications[0].deployments[1].num_replica: there is no such field. Did you mean 'num_replicas'?",
        ),
        (
            {"applications": [{"import_path": "a:b", "deployments": [{"name": "A", "num_replicas": "two"}]}]},
            "applications[0].deployments[0].num_replicas",
        ),
        (
            {
                "applications": [
                    {
                        "import_path": "a:b",
                        "deployments": [{"name": "A", "num_replicas": 2, "autoscaling_config": {"max_replicas": 3}}],
                    }
                ]
            },
            "applications[0].deployments[0]: num_replicas and autoscaling_config exclude each other",
        ),
        ({"applications": [{"import_path": "a:b"}, {"import_path": "a:c"}]}, "applications: each application may be"),
        (
            {"applications": [{"import_path": "a:b"}, {"import_path": "a:c", "name": "c"}]},
            "applications: each route_prefix may be",
        ),
        ({"applications": [], "http_options": {"porto": 1}}, "http_options.porto: there is no such field. Did you"),
        ({"applications": [], "grpc_options": {"porto": 1}}, "grpc_options.porto: there is no such field. Did you"),
        ({"applications": [], "proxies": {}}, "proxies: there is no such field"),
        ({"applications": [], "controller_options": {"num_cpus": 1}}, "controller_options.num_cpus: there is no such"),
        (
            {"applications": [], "controller_options": {"runtime_env": {"pip": ["x"]}}},
            "controller_options: runtime_env of controller_options may have env_vars only, not pip",
        ),
        (
            {"applications": [], "controller_options": {"runtime_env": {"env_vars": {"A": 1}}}},
            "controller_options: env_vars of controller_options must be a dict of strings",
        ),
        (
            {"applications": [{"import_path": "a:b", "runtime_env": {"working_dir": "."}}]},
            "applications[0].runtime_env: working_dir: a config may name remote URIs only, not '.'",
        ),
        (
            {"applications": [{"import_path": "a:b", "runtime_env": {"py_modules": ["https://x/a.zip", "b"]}}]},
            "applications[0].runtime_env: py_modules: a config may name remote URIs only, not 'b'",
        ),
        (
            {"applications": [{"import_path": "a:b", "runtime_env": {"env_vars": {"A": 1}}}]},
            "applications[0].runtime_env: env_vars",
        ),
        (
            {"applications": [{"import_path": "a:b", "deployments": [{"name": "A", "max_replicas_per_node": 0}]}]},
            "applications[0].deployments[0].max_replicas_per_node: Input should be greater than or equal to 1",
        ),
        (
            {"applications": [{"import_path": "a:b", "deployments": [{"name": "A", "max_surge_percent": 2}]}]},
            "applications[0].deployments[0].max_surge_percent: Input should be less than or equal to 1",
        ),
        (
            {
                "applications": [
                    {"import_path": "a:b", "deployments": [{"name": "A", "autoscaling_config": {"max_replica": 3}}]}
                ]
            },
            "applications[0].deployments[0].autoscaling_config.max_replica: there is no such field. Did you mean 'max",
        ),
        (
            {
                "applications": [
                    {"import_path": "a:b", "deployments": [{"name": "A", "backpressure_config": {"status_code": 500}}]}
                ]
            },
            "applications[0].deployments[0].backpressure_config.status_code: Input should be 503 or 429",
        ),
        ({"applications": [], "tracing_config": {"exporter": "a"}}, "tracing_config.exporter: there is no such field."),
    ],
)
def test_errors_name_the_field(config: Any, words: str) -> None:
    with pytest.raises(ConfigError) as info:
        ServeDeploySchema.of(config)
    assert words in str(info.value)


def test_import_paths(shop: Path) -> None:
    for path, arguments in (
        ("shop_of_tests:app", {}),
        ("shop_of_tests.app", {}),
        ("shop_of_tests:make", {"word": "x"}),
        ("shop_of_tests:make_typed", {"word": "x"}),
        ("shop_of_tests:make_typed", {}),
    ):
        assert build(find_application(path, arguments), "a", "/").ingress == "Greet"
    for path, arguments, words in (
        ("shop_of_nobody:app", {}, "no module 'shop_of_nobody'"),
        ("shop_of_test:app", {}, "no module 'shop_of_test'.*Did you mean 'shop_of_tests'"),
        ("shop_of_tests", {}, "'shop_of_tests' names no application: write it as module:attribute"),
        ("shop_of_tests:", {}, "names no application"),
        (str(shop / "shop_of_tests.py"), {}, "is a file: write shop_of_tests:app"),
        ("shop_of_tests:apple", {}, "no 'apple' in shop_of_tests.*Did you mean 'app'"),
        ("tests.serve.loat:app", {}, "no module 'tests.serve.loat'.*Did you mean 'tests.serve.load'"),
        ("shop_of_tests.inner:app", {}, "no module 'shop_of_tests.inner'.* names$"),
        ("tests.serve.gate", {}, "'tests.serve.gate' is a module: write tests.serve.gate:app"),
        ("shop_of_tests:number", {}, "must be an application"),
        ("shop_of_tests:make_nothing", {}, "must give an application"),
        ("shop_of_tests:app", {"word": "x"}, "takes no arguments"),
    ):
        with pytest.raises(ConfigError, match=words):
            find_application(path, arguments)
    with pytest.raises(pydantic.ValidationError):
        find_application("shop_of_tests:make_typed", {"word": []})


def test_where_replicas_run_in_a_config(shop: Path) -> None:
    placed = {
        "placement_group_bundles": [{"CPU": 1.0}, {"GPU": 0.5}],
        "placement_group_strategy": "SPREAD",
        "placement_group_bundle_label_selector": [{"kind": "large"}],
        "max_surge_percent": 0.5,
    }
    listed = [{"name": "Greet", "num_replicas": 1, "max_ongoing_requests": 7, **placed}]
    config = {"applications": [{"import_path": "shop_of_tests:app", "deployments": listed}]}
    (built,) = built_of(ServeDeploySchema.of(config))
    options = built.deployments[0].options
    assert list(options.placement_group_bundles or ()) == [{"CPU": 1}, {"GPU": 0.5}]
    assert list(options.bundle_selectors) == [{"kind": "large"}] * 2
    assert as_options(options, "Greet") == listed[0]
    listed[0]["max_replicas_per_node"] = 2
    with pytest.raises(ConfigError, match=r"\(Greet\): max_replicas_per_node and placement_group_bundles exclude"):
        built_of(ServeDeploySchema.of({"applications": [{"import_path": "shop_of_tests:app", "deployments": listed}]}))


def test_an_environment_is_below_those_of_deployments(shop: Path) -> None:
    own = {"env_vars": {"B": "own", "C": "own"}, "worker_process_setup_hook": "a.b"}
    application = {
        "import_path": "shop_of_tests:app",
        "runtime_env": {"env_vars": {"A": "all", "B": "all"}, "working_dir": "https://host/code.zip"},
        "deployments": [{"name": "Greet", "ray_actor_options": {"num_cpus": 0.5, "runtime_env": own}}],
    }
    (built,) = built_of(ServeDeploySchema.of({"applications": [application]}))
    assert built.deployments[0].options.ray_actor_options == {
        "num_cpus": 0.5,
        "runtime_env": {
            "env_vars": {"A": "all", "B": "own", "C": "own"},
            "working_dir": "https://host/code.zip",
            "worker_process_setup_hook": "a.b",
        },
    }


def test_a_config_that_is_built_can_be_read(shop: Path) -> None:
    app = find_application("shop_of_tests:app", {})
    file = shop / "config.yaml"
    file.write_text(yaml.safe_dump(as_config([("shop_of_tests:app", app), ("shop_of_tests:app", app)])))
    config = read_config(file)
    assert [(one.name, one.route_prefix) for one in config.applications] == [("app1", "/"), ("app2", "/app2")]
    assert config.applications[0].deployments[0].given() == {
        "name": "Greet",
        "num_replicas": 1,
        "max_ongoing_requests": 7,
    }
    assert [built.deployments[0].options.max_ongoing_requests for built in built_of(config)] == [7, 7]


def test_a_policy_in_a_config(shop: Path) -> None:
    app = find_application("shop_of_tests:app", {})
    policy = {"policy_function": "shop_of_tests:make", "policy_kwargs": {"a": 1}}
    given = {"name": "Greet", "autoscaling_config": {"max_replicas": 3, "policy": policy}}
    file = DeploymentSchema.model_validate(given)
    (spec,) = overridden(build(app, "app", "/"), [file]).deployments
    shown = as_options(spec.options, "Greet")
    assert shown["autoscaling_config"]["policy"] == policy
    assert yaml.safe_load(yaml.safe_dump(shown)) == shown
    bad = {"import_path": "a:b", "deployments": [given | {"autoscaling_config": {"policy": "none"}}]}
    with pytest.raises(
        ConfigError, match=r"deployments\[0\]\.autoscaling_config\.policy: policy_function must be 'mod"
    ):
        ServeDeploySchema.of({"applications": [bad]})


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    with pytest.raises(FileNotFoundError):
        read_config(file)
    file.write_text("a: [")
    with pytest.raises(ConfigError, match="is no YAML"):
        read_config(file)
