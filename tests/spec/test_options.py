"""Options: what is refused, and what the defaults are."""

import re
from typing import Any

import pytest

from ray_async.ids import PlacementGroupID
from ray_async.spec.actor_options import ActorOptions
from ray_async.spec.method_options import MethodOptions
from ray_async.spec.option_checks import validate_actor_options, validate_task_options
from ray_async.spec.option_values import merge_options
from ray_async.spec.task_options import TaskOptions
from ray_async.util.placement_group import PlacementGroup


def task(**options: Any) -> TaskOptions:
    validate_task_options(options, in_options=False, is_generator=False)
    return TaskOptions.resolve(options, is_generator=False)


def actor(*, is_async: bool = False, **options: Any) -> ActorOptions:
    validate_actor_options(options, in_options=False)
    return ActorOptions.resolve(options, is_async=is_async)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cpus": 1}, ValueError, "Invalid option keyword cpus for remote functions. "),
        ({"num_cpu": 1}, ValueError, "for remote functions. Did you mean 'num_cpus'? Valid ones are"),
        ({"max_retries": 1.5}, TypeError, f"must be {(int, type(None))}, but received type {float}"),
        ({"num_returns": 1.5}, TypeError, f"must be {(int, str, type(None))}, but received type {float}"),
        ({"max_calls": -1}, ValueError, "'max_calls' only accepts None, 0 or a positive integer"),
        ({"max_retries": -2}, ValueError, "'max_retries' only accepts None, 0, -1 or a positive integer, where -1"),
        ({"num_returns": -1}, ValueError, "'num_returns' only accepts None, a non-negative integer, 'streaming' (for"),
        ({"num_returns": "many"}, ValueError, "'num_returns' only accepts"),
        ({"num_returns": "streaming"}, ValueError, "can only be used with generator"),
        ({"num_returns": "dynamic"}, ValueError, "can only be used with generator"),
        ({"num_cpus": -1}, ValueError, "num_cpus cannot be negative"),
        ({"num_cpus": "1"}, TypeError, "num_cpus"),
        ({"num_gpus": 1e-7}, ValueError, "fractional quantity of resource num_gpus cannot go beyond 0.0001"),
        ({"resources": {"x": 1e-7}}, ValueError, "fractional quantity of resource x cannot go beyond 0.0001"),
        ({"resources": {"GPU": 1}}, ValueError, "Use the 'num_cpus' and 'num_gpus' keyword"),
        ({"resources": {"memory": 1}}, ValueError, "reserved"),
        ({"resources": [1]}, TypeError, "resources"),
        ({"object_store_memory": 1}, ValueError, "not implemented for tasks"),
        ({"retry_exceptions": 1.0}, TypeError, "retry_exceptions"),
        ({"retry_exceptions": [int]}, ValueError, "list of exceptions"),
        ({"_generator_backpressure_num_objects": 0}, ValueError, "not allowed"),
        ({"scheduling_strategy": "PACK"}, ValueError, "scheduling_strategy"),
        ({"scheduling_strategy": object()}, TypeError, "scheduling_strategy"),
        ({"placement_group": object()}, TypeError, "placement_group"),
        ({"runtime_env": "x"}, TypeError, "runtime_env"),
        ({"runtime_env": {"config": {"setup_timeout_seconds": 0}}}, ValueError, "setup_timeout_seconds"),
        ({"runtime_env": {"config": {"setup_timeout_seconds": 10.0}}}, TypeError, "setup_timeout_seconds"),
    ],
)
def test_task_refuses(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        task(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_retries": 1}, ValueError, "Invalid option keyword max_retries for actors"),
        ({"max_restarts": -2}, ValueError, "where -1 represents infinity"),
        ({"max_task_retries": 0.5}, TypeError, "max_task_retries"),
        ({"max_concurrency": 0}, ValueError, "max_concurrency"),
        ({"lifetime": "long"}, ValueError, "must be one of 'detached'"),
        ({"name": 1}, TypeError, "name"),
        ({"name": ""}, ValueError, "Actor name cannot be an empty string"),
        ({"name": "x", "namespace": ""}, ValueError, "not a valid namespace"),
        ({"name": "x", "namespace": 2}, TypeError, "namespace"),
        ({"get_if_exists": True}, ValueError, "must be specified to use `get_if_exists`"),
        ({"max_concurrency": 2, "allow_out_of_order_execution": False}, ValueError, "out_of_order"),
        ({"concurrency_groups": {"io": 0}}, ValueError, "at least 1"),
        ({"label_selector": ""}, TypeError, "label_selector"),
        ({"fallback_strategy": {}}, TypeError, "fallback_strategy"),
    ],
)
def test_actor_refuses(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        actor(**options)


@pytest.mark.parametrize(
    "selector",
    [
        {"r!a!y.io/market_type": "spot"},
        {"??==ags!": "true"},
        {"-bad-key-": "v"},
        {"ray.io/accelerator_type": "??==ags!"},
        {"ray.io/accelerator_type": "-bad-value-"},
        {"ray.io/accelerator_type": "matches(TPU)"},
        {"ray.io/accelerator_type": "in(H100,, B200)"},
        {"ray.io/accelerator_type": "in(TPU, H100, B200"},
        {"k": 1},
    ],
)
def test_labels_refused(selector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="label"):
        task(label_selector=selector)
    with pytest.raises(ValueError, match="label"):
        actor(fallback_strategy=[{"label_selector": selector}])


@pytest.mark.parametrize("value", ["spot", "!spot", "in(H100, B200)", "!in(H100)", ""])
def test_labels_accepted(value: str) -> None:
    selector = {"ray.io/market-type": value, "region": value}
    assert task(label_selector=selector).label_selector == selector
    assert actor(fallback_strategy=[{"label_selector": selector}]).fallback_strategy


@pytest.mark.parametrize("strategy", [[{"memory": "1Gi"}], ["not-a-dict"], [{"label_selector": "x"}], [{}]])
def test_fallback_refused(strategy: list[Any]) -> None:
    with pytest.raises(ValueError, match="allback"):
        task(fallback_strategy=strategy)


def test_task_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    options = task()
    assert options.resources == {"CPU": 1.0}
    assert (options.num_returns, options.max_retries, options.retry_exceptions) == (1, 3, False)
    assert TaskOptions.resolve({}, is_generator=True).num_returns == "streaming"
    monkeypatch.setenv("RAY_TASK_MAX_RETRIES", "7")
    assert task().max_retries == 7
    assert task(max_retries=0).max_retries == 0


def test_resources_are_counted() -> None:
    options = task(num_cpus=0, num_gpus=0.5, memory=3.9, resources={"x": 2.5}, accelerator_type="H100")
    assert options.resources == {"GPU": 0.5, "memory": 3.0, "x": 2.5, "accelerator_type:H100": 0.001}


@pytest.mark.parametrize("options", [{"num_gpus": 1.5}, {"resources": {"TPU": 2.5}}])
def test_whole_devices_when_resolved(options: dict[str, Any]) -> None:
    validate_task_options(options, in_options=False)
    with pytest.raises(ValueError, match="must be whole numbers"):
        TaskOptions.resolve(options, is_generator=False)


def test_actor_holds_nothing_by_default() -> None:
    assert (actor().resources, actor().placement_resources) == ({}, {"CPU": 1.0})
    assert actor(memory=10).resources == {"memory": 10.0}
    given = actor(num_gpus=1)
    assert given.resources == given.placement_resources == {"CPU": 1.0, "GPU": 1.0}
    assert actor(num_cpus=0).placement_resources == {}


def test_actor_concurrency_defaults() -> None:
    assert actor().max_concurrency == 1
    assert actor(is_async=True).max_concurrency == 1000
    assert actor(is_async=True, max_concurrency=3).max_concurrency == 3
    with pytest.raises(ValueError, match="out_of_order"):
        actor(is_async=True, allow_out_of_order_execution=False)


def test_options_call_forbids_what_belongs_to_the_definition() -> None:
    with pytest.raises(ValueError, match=re.escape("Setting 'max_calls' is not supported in '.options()'.")):
        validate_task_options({"max_calls": 1}, in_options=True)
    with pytest.raises(ValueError, match=re.escape("Setting 'concurrency_groups' is not supported in '.options()'.")):
        validate_actor_options({"concurrency_groups": []}, in_options=True)


def test_placement_group_and_strategy_exclude_each_other() -> None:
    group = PlacementGroup(PlacementGroupID(b"g" * 18))
    with pytest.raises(ValueError, match="Placement groups should be specified via"):
        validate_task_options({"placement_group": group, "scheduling_strategy": "SPREAD"}, in_options=False)
    assert task(placement_group=None).scheduling_strategy == "DEFAULT"
    assert task(placement_group="default", scheduling_strategy="SPREAD").scheduling_strategy == "SPREAD"


def test_object_store_memory_of_actors_warns() -> None:
    with pytest.warns(DeprecationWarning, match="Setting 'object_store_memory' for actors is deprecated"):
        validate_actor_options({"object_store_memory": 100}, in_options=False)


def test_merge_is_key_by_key_and_none_clears() -> None:
    merged = merge_options({"resources": {"x": 1}, "runtime_env": {"a": 1, "b": 2}}, {"resources": None})
    assert merged == {"resources": None, "runtime_env": {"a": 1, "b": 2}}
    assert merge_options(merged, {"runtime_env": {"c": 3}})["runtime_env"] == {"c": 3}


def test_method_options_merge() -> None:
    base = MethodOptions(num_returns=2, max_task_retries=4)
    given = {"name": "n", "retry_exceptions": [ValueError], "num_returns": None, "_labels": {"a": "b"}}
    assert base.merge(given, is_generator=False) == MethodOptions(
        name="n", num_returns=2, max_task_retries=4, retry_exceptions=(ValueError,), labels={"a": "b"}
    )
