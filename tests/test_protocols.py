"""Both ends of every protocol: whatever has a name has somebody who sends it and somebody who handles it."""

import argparse
import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async._core.constants import EventKind
from ray_async.api import lifecycle
from ray_async.cli.start_options import add_start_options
from ray_async.engine.init_options import InitOptions
from ray_async.ids import PlacementGroupID
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.scheduler import events, instructions
from ray_async.spec.actor_options import ActorOptions
from ray_async.spec.method_options import MethodOptions
from ray_async.spec.node_options import NODE_OPTIONS
from ray_async.spec.option_table import OPTIONS, Option
from ray_async.spec.strategies import PlacementGroupSchedulingStrategy
from ray_async.spec.task_options import TaskOptions
from ray_async.util.placement_group import PlacementGroup

PACKAGE = Path(__file__).resolve().parent.parent / "ray_async"
CLUSTER = PACKAGE / "cluster"
CORE, NODE, SCHEDULER = PACKAGE / "_core", PACKAGE / "runtime" / "node", PACKAGE / "runtime" / "scheduler"

#: Calls that send a request to the node; the operation is their first argument that is a string.
ASKERS = frozenset(
    {
        "ask",
        "ask_within",
        "notify",
        "tell",
        "offer",
        "control",
        "promise",
        "request",
        "request_within",
        "send",
        "_ask",
        "_promise",
    }
)

#: Operations that only people and tests ask for.
DIAGNOSTIC = frozenset({"statistics"})


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def python_files(folder: Path, *, without: tuple[str, ...] = ()) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if path.name not in without]


@cache
def attributes_of(folder: Path, base: str, *, without: tuple[str, ...] = ()) -> set[str]:
    """Names that are read as ``base.name`` anywhere in a folder."""
    return {
        node.attr
        for path in python_files(folder, without=without)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == base
    }


def called(folder: Path, *, without: tuple[str, ...] = ()) -> set[str]:
    """Names of what is called by its plain name anywhere in a folder."""
    return {
        node.func.id
        for path in python_files(folder, without=without)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def keys(path: Path, base: str) -> set[str]:
    """Names that stand as ``base.name`` as keys of dict displays in a file."""
    return {
        key.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name) and key.value.id == base
    }


def members(module: ast.Module, name: str) -> set[str]:
    """Names that the body of a class assigns."""
    (found,) = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name]
    return {
        target.id
        for node in found.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


# -- events of the arena -----------------------------------------------------------------------------------------------


def announced() -> set[str]:
    """Kinds of events that some process leaves for the node."""
    sources = [path.read_text() for suffix in ("h", "pyx") for path in sorted(CORE.rglob(f"*.{suffix}"))]
    found = {name for text in sources for name in re.findall(r"ra_event\([^;\n]*?\bRA_EV_(\w+)", text)}
    for path in python_files(PACKAGE / "runtime"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "announce":
                found |= {part.attr for part in ast.walk(node.args[0]) if isinstance(part, ast.Attribute)}
    return found


def test_every_kind_of_event_is_announced_and_handled() -> None:
    layout = dict(re.findall(r"\bRA_EV_(\w+) = (\d+)", (CORE / "includes" / "layout.h").read_text()))
    assert {kind.name: str(kind.value) for kind in EventKind} == layout
    assert announced() == set(layout)
    assert keys(NODE / "arena_events.py", "EventKind") == set(layout)


def test_whoever_announces_an_event_gives_the_plain_offset() -> None:
    """`ra_event` and the node's view know in which unit a kind of event travels; nobody else shifts."""
    sources = [path for suffix in ("h", "pyx") for path in sorted(CORE.rglob(f"*.{suffix}"))]
    shifted = [
        (path.name, call) for path in sources for call in re.findall(r"ra_event\([^;\n]*>>[^;\n]*", path.read_text())
    ]
    assert shifted == []


# -- the scheduler -----------------------------------------------------------------------------------------------------


def test_every_event_of_the_scheduler_is_sent_and_handled() -> None:
    names = set(events.__all__) - {"Event"}
    assert names - attributes_of(NODE, "events") == set()
    assert keys(SCHEDULER / "scheduler.py", "ev") == names


def test_every_instruction_of_the_scheduler_is_given_and_carried_out() -> None:
    names = set(instructions.__all__) - {"Instruction", "StopReason"}
    assert names - called(SCHEDULER, without=("instructions.py",)) == set()
    matched = {
        node.cls.attr
        for node in ast.walk(tree(NODE / "scheduler_instructions.py"))
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Attribute)
    }
    assert matched == names


def test_every_reason_to_stop_a_worker_is_given_and_has_a_cause() -> None:
    names = set(instructions.StopReason.__members__)
    assert attributes_of(SCHEDULER, "StopReason") == names
    mapped = {
        key.attr
        for node in ast.walk(tree(NODE / "scheduler_instructions.py"))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Attribute) and ast.unparse(key.value) == "instructions.StopReason"
    }
    assert mapped == names


# -- deaths ------------------------------------------------------------------------------------------------------------


def test_every_cause_of_death_is_found_or_decided_and_told() -> None:
    path = NODE / "death" / "evidence.py"
    (evidence,) = [node for node in tree(path).body if isinstance(node, ast.ClassDef) and node.name == "Evidence"]
    concluded = {ast.unparse(node) for node in ast.walk(evidence) if isinstance(node, ast.Attribute)}
    for cause in DeathCause:
        if cause.is_decided:
            assert cause.name in attributes_of(NODE, "DeathCause"), f"nobody decides {cause}"
        else:
            assert f"DeathCause.{cause.name}" in concluded, f"nothing is evidence of {cause}"
        assert cause.value[0].islower(), "it completes 'because ...'"
    assert members(tree(path), "DeathCause") == set(DeathCause.__members__)


# -- requests ----------------------------------------------------------------------------------------------------------


def asked(path: Path) -> Iterator[str]:
    """Operations that a file asks the node for."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and _name_of(node.func) in ASKERS:
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            yield from texts[:1]
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                named = (isinstance(key, ast.Constant) and key.value == "op") or (
                    isinstance(key, ast.Attribute) and ast.unparse(key.value) == "StateKind"
                )
                if named and isinstance(value, ast.Constant):
                    yield str(value.value)


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def answered() -> set[str]:
    """Operations in the tables of the node."""
    return {
        key.value
        for path in (*python_files(NODE / "requests"), *NODE.glob("cluster_*.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) in ("Answers", "Notices")
        for key in getattr(node.value, "keys", ())
        if key is not None
    }


def test_every_operation_is_asked_for_and_answered() -> None:
    found = {op for path in python_files(PACKAGE) if path not in python_files(CLUSTER) for op in asked(path)}
    found |= {op for path in python_files(CLUSTER) for op in called_with_text(path, {"ask", "tell"})}
    assert found | DIAGNOSTIC == answered()


# -- clusters ----------------------------------------------------------------------------------------------------------


def called_with_text(path: Path, names: set[str]) -> Iterator[str]:
    """The first string among the arguments of each call of a method with one of the names."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            yield from texts[:1]


def handled_on_lanes() -> set[str]:
    """Operations for which some part of an agent has a handler."""
    found = {"hello"}
    for path in python_files(CLUSTER):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("handlers.update"):
                found |= {each.arg for each in node.keywords if each.arg is not None}
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("lanes.handlers"):
                found |= {str(part.value) for part in ast.walk(node.slice) if isinstance(part, ast.Constant)}
    return found


def test_every_operation_between_agents_is_sent_and_handled() -> None:
    sent = {op for path in python_files(CLUSTER) for op in called_with_text(path, {"request", "send", "notify"})}
    assert sent == handled_on_lanes()


def test_whatever_the_node_tells_its_agent_is_handled() -> None:
    told = {op for path in NODE.glob("cluster_*.py") for op in called_with_text(path, {"_notify"})}
    told |= {"unwanted", "wanted"}  # chosen by a condition
    matched = {
        pattern.value.value
        for path in python_files(CLUSTER)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.MatchMapping)
        for key, pattern in zip(node.keys, node.patterns, strict=True)
        if ast.unparse(key) == "'op'"
        and isinstance(pattern, ast.MatchValue)
        and isinstance(pattern.value, ast.Constant)
    }
    assert told == matched


def test_every_question_of_a_node_has_a_finder() -> None:
    posed = {what for path in NODE.glob("cluster_*.py") for what in called_with_text(path, {"pose"})}
    (finders,) = [
        {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
        for node in ast.walk(tree(CLUSTER / "questions.py"))
        if isinstance(node, ast.AnnAssign)
        and ast.unparse(node.target) == "self._finders"
        and isinstance(node.value, ast.Dict)
    ]
    assert posed == finders


def test_whatever_the_head_is_asked_is_answered() -> None:
    asked_for = {op for path in python_files(CLUSTER) for op in called_with_text(path, {"ask_head"})}
    (answers,) = [
        {key.value for key in node.keys if isinstance(key, ast.Constant)}
        for node in ast.walk(tree(CLUSTER / "head.py"))
        if isinstance(node, ast.Dict) and "ray_join" in ast.unparse(node)
    ]
    assert asked_for | {"ray_batches"} == answers  # which tests ask for


# -- options -----------------------------------------------------------------------------------------------------------


def fields_read(module: str, fields: set[str]) -> set[str]:
    """Which of some fields a module of the package reads of something that is called options."""
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    return {
        node.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("options") and node.attr in fields
    }


def options_of(description: type) -> list[Option]:
    """Rows of the option table that are for a kind of callable."""
    kind = {TaskOptions: "tasks", ActorOptions: "actors", MethodOptions: "methods"}[description]
    return [option for option in OPTIONS if getattr(option, kind) is not None]


#: Fields that the kind of callable decides on, and no option.
DECIDED = {"is_async"}
DESCRIPTIONS = (TaskOptions, ActorOptions, MethodOptions)


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_every_field_of_a_description_is_set_by_an_option(description: type) -> None:
    assert {name for option in options_of(description) for name in option.sets} >= set(description._fields) - DECIDED


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.keyword)
def test_an_option_sets_a_field_of_each_kind_that_has_it(option: Option) -> None:
    for description in DESCRIPTIONS:
        if option in options_of(description) and option.sets:
            assert set(option.sets) & set(description._fields), f"{description.__name__} has none of {option.sets}"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.keyword)
def test_an_option_has_readers_of_all_that_it_sets(option: Option) -> None:
    assert bool(option.sets) == bool(option.readers), "what is set is read by somebody, and what is not set by nobody"
    read = {module: fields_read(module, set(option.sets)) for module in option.readers}
    assert [module for module, found in read.items() if not found] == [], f"they read none of {option.sets}"
    assert set().union(*read.values()) == set(option.sets)


def names(path: Path) -> set[str]:
    return {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}


def test_who_reads_an_option_stands_in_the_table() -> None:
    """Else a new reader could be the only one, and the table would say nothing when it goes."""
    classes = {description.__name__ for description in DESCRIPTIONS}
    own = {f"spec.{kind}_options" for kind in ("task", "actor", "method")} | {"engine.testing.session_suite"}
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in python_files(PACKAGE)
        if names(path) & classes
    }
    fields = {name for option in OPTIONS for name in option.sets}
    missing = [
        f"{module} reads {name}"
        for module in sorted(found - own)
        for name in fields_read(module, fields)
        if not any(name in option.sets and module in option.readers for option in OPTIONS)
    ]
    assert missing == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.keyword)
def test_an_option_changes_what_it_sets(option: Option) -> None:
    """The description of a call with the option differs in those fields, and in no others, from one without it."""
    if not option.sets:
        return
    for value, name in SAMPLES[option.keyword]:
        given = {**name, option.keyword: value}
        for description in DESCRIPTIONS:
            if option in options_of(description):
                changed = changes(description, name, given)
                assert changed, f"{description.__name__} is the same whatever {option.keyword} is"
                assert changed <= set(option.sets)


def changes(description: type, before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Fields in which descriptions of two sets of options differ."""
    one, other = describe(description, before), describe(description, after)
    return {name for name in one._fields if _shown(getattr(one, name)) != _shown(getattr(other, name))}


def _shown(value: object) -> object:
    return vars(value) if isinstance(value, PlacementGroupSchedulingStrategy) else value


def describe(description: type, given: dict[str, Any]) -> Any:
    if description is TaskOptions:
        return TaskOptions.resolve(given, is_generator=False)
    if description is ActorOptions:
        return ActorOptions.resolve(given, is_async=False)
    return MethodOptions().merge(given, is_generator=False)


GROUP = PlacementGroup(PlacementGroupID(b"g" * 18), [{"CPU": 1.0}] * 2)
#: For each option a value that is not the default, and the options that it needs beside it.
SAMPLES: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "num_cpus": [(2, {})],
    "num_gpus": [(1, {})],
    "memory": [(100, {})],
    "resources": [({"x": 1}, {})],
    "accelerator_type": [("H100", {})],
    "label_selector": [({"zone": "a"}, {})],
    "fallback_strategy": [([{"label_selector": {"zone": "a"}}], {})],
    "scheduling_strategy": [("SPREAD", {})],
    "placement_group": [(GROUP, {}), (None, {})],
    "placement_group_bundle_index": [(1, {"placement_group": GROUP})],
    "placement_group_capture_child_tasks": [(True, {"placement_group": GROUP})],
    "runtime_env": [({"env_vars": {"A": "b"}}, {})],
    "name": [("n", {})],
    "namespace": [("n", {})],
    "get_if_exists": [(True, {"name": "n"})],
    "lifetime": [("detached", {})],
    "enable_task_events": [(False, {})],
    "_labels": [({"a": "b"}, {})],
    "num_returns": [(2, {})],
    "_generator_backpressure_num_objects": [(2, {})],
    "_actor_generator_backpressure_num_objects": [(2, {})],
    "_num_objects_per_yield": [(2, {})],
    "_generator_detached": [(True, {})],
    "max_retries": [(7, {})],
    "retry_exceptions": [(True, {}), ([ValueError], {})],
    "max_task_retries": [(7, {})],
    "max_restarts": [(7, {})],
    "max_calls": [(7, {})],
    "max_concurrency": [(7, {})],
    "max_pending_calls": [(7, {})],
    "concurrency_groups": [({"io": 2}, {})],
    "concurrency_group": [("io", {})],
    "allow_out_of_order_execution": [(True, {})],
    "run_in_thread": [(True, {})],
}


def test_every_option_has_a_sample() -> None:
    assert {option.keyword for option in OPTIONS if option.sets} == set(SAMPLES)


@cache
def read_of_init_options() -> set[str]:
    """Names that are read of something called options, outside of the module that makes them."""
    return {
        node.attr
        for path in python_files(PACKAGE, without=("init_options.py",))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("options")
    }


def test_every_option_of_init_is_read_by_somebody() -> None:
    assert set(InitOptions._fields) - read_of_init_options() == set()


def test_every_option_of_a_node_is_one_of_init_and_of_the_command_and_has_an_effect() -> None:
    parser = argparse.ArgumentParser()
    add_start_options(parser)
    commands = {text for action in parser._actions for text in action.option_strings}
    keywords = {*inspect.signature(ray.init).parameters, *lifecycle.hidden_options()}
    read = fields_read("runtime.start.node_config", {option.name for option in NODE_OPTIONS})
    for option in NODE_OPTIONS:
        assert option.name in InitOptions._fields
        assert option.init in keywords
        assert option.command is None or option.command in commands
        assert option.name in read, f"no node is configured by {option.name}"


#: Parameters of public functions that nothing reads, and why that is right.
UNREAD = {
    "get": {"_use_object_store"},  # values always come from the store
    "shutdown": {"_exiting_interpreter"},  # there is one way to end
    "PublicAPI": {"api_group"},  # for documentation
    "RayBackend.configure": {"prefer", "require", "kwargs"},  # joblib's own interface
    "plugin": {"version"},  # mypy's own interface
    "NodeChannel.connection_lost": {"error"},  # asyncio's own interface
    "Websocket.end": {"awaited"},  # connections of all kinds end so
    "RequestRouter.__init__": {"more"},  # what a later version tells routers
    "RunningReplica.get_queue_len": {"deadline_s"},  # the length lies in shared memory: there is nothing to wait for
    "ReplicaActor.__init__": {"app", "folder", "gang", "place", "replica_id", "spec"},  # the class behind it reads them
    # What programs for Ray may pass: the effect is there in any case, or nothing takes it; each docstring says so.
    "ApproximateQuantile.__init__": {"quantile_precision"},
    "ApproximateTopK.__init__": {"log_capacity"},
    "BatchMapTransformFn.__init__": {"is_udf", "output_block_size_option"},
    "BlockMapTransformFn.__init__": {"disable_block_shaping", "is_udf", "output_block_size_option"},
    "MapTransformer.__init__": {"output_block_size_option_override"},
    "BlockAccessor.iter_rows": {"public_row_format"},
    "Transforms.map_batches": {"udf_modifying_row_count"},
    "DataType.variable_shaped_tensor": {"ndim"},
    "read_json": {"lines"},
    "from_torch": {"local_read"},
    "BayesOptSearch.__init__": {"verbose"},
    "validate_save_restore": {"num_gpus"},
    "run_experiments": {"concurrent"},
    "Trainable.reset": {"logger_creator", "storage"},
    "DAGNode.experimental_compile": {
        "_buffer_size_bytes",
        "_default_communicator",
        "_max_buffered_results",
        "_overlap_gpu_communication",
    },
    "DAGNode.with_tensor_transport": {"hints"},
    "InputNode.__init__": {"input_type"},
    "DataConfig.__init__": {"enable_shard_locality", "execution_options"},
    "prepare_data_loader": {"auto_transfer"},
    # Interfaces of other libraries, and hooks that users' classes override.
    "FilenameProvider.get_filename_for_row": {"block_index", "row"},
    "DistributeResources.sharers": {"scheduler", "trial"},
    "MLflowLoggerCallback.setup": {"args"},
    "WandbLoggerCallback.setup": {"args"},
    "XGBoostReportCheckpointCallback.after_iteration": {"epoch"},
    "XGBoostReportCheckpointCallback.before_iteration": {"epoch", "evals_log", "model"},
}


def unread_parameters(module: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """Public functions and methods of a module with parameters that their bodies do not read."""
    scopes: list[tuple[str, ast.AST]] = [("", module)]
    while scopes:
        prefix, scope = scopes.pop()
        for node in ast.iter_child_nodes(scope):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                scopes.append((f"{node.name}.", node))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node):
                unread = _parameters(node) - {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
                if unread:
                    yield prefix + node.name, unread


def _is_public(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether users call it, and it does more than to refuse: the ends of `with` blocks are called by Python."""
    if node.name in ("__exit__", "__aexit__") or (node.name.startswith("_") and node.name != "__init__"):
        return False
    if any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list):
        return False
    body = [part for part in node.body if not isinstance(part, ast.Expr) or not isinstance(part.value, ast.Constant)]
    return any(not isinstance(part, ast.Raise) for part in body)


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return {arg.arg for arg in every if arg is not None and not re.fullmatch("self|cls|_+", arg.arg)}


def public_files() -> list[Path]:
    inner = ("runtime", "_core", "transport")
    return [path for path in python_files(PACKAGE) if path.relative_to(PACKAGE).parts[0] not in inner]


def shared_by_methods() -> set[tuple[str, str]]:
    """Names of methods with each parameter that others of that name have for it.

    One class's method reads it, or a hook without a body declares it for the classes of users.
    """
    shared = set()
    for path in python_files(PACKAGE):
        for scope in ast.walk(tree(path)):
            for node in scope.body if isinstance(scope, ast.ClassDef) else ():
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
                    names = _parameters(node) if _is_hook(node) else set()
                    names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
                    shared |= {(node.name, name) for name in names}
    return shared


def _is_hook(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it does nothing but to answer with a constant."""
    return all(
        isinstance(part, ast.Pass)
        or (isinstance(part, ast.Expr | ast.Return) and (part.value is None or isinstance(part.value, ast.Constant)))
        for part in node.body
    )


def test_every_parameter_of_a_public_function_is_read() -> None:
    shared = shared_by_methods()
    unread = [
        f"{path.relative_to(PACKAGE)}: {name}({', '.join(sorted(left))})"
        for path in public_files()
        for name, found in unread_parameters(tree(path))
        if (left := {each for each in found if (name.rpartition(".")[2], each) not in shared} - UNREAD.get(name, set()))
    ]
    assert unread == []


def test_a_parameter_that_nothing_reads_is_found() -> None:
    source = 'def f(a, *, b=1, _=0):\n    """Do it."""\n    return a\n\n\ndef _g(c): return 1\n'
    assert list(unread_parameters(ast.parse(source))) == [("f", {"b"})]


def test_a_request_without_an_answer_is_found(tmp_path: Path) -> None:
    path = tmp_path / "asker.py"
    path.write_text('link.ask("one", x="two")\nself._ask("three")\nchannel.request_within(5, "four")\n{"op": "five"}\n')
    assert sorted(asked(path)) == ["five", "four", "one", "three"]
