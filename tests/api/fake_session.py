"""A session in the test's own process: every call runs at once. And references to match."""

import inspect
import itertools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from ray_async.engine.protocol import ExecutionContext
from ray_async.ids import JobID, NodeID, WorkerID
from ray_async.spec.actor_options import ActorOptions
from ray_async.spec.descriptors import ActorMeta, ClassDescriptor, FunctionDescriptor, MethodDescriptor
from ray_async.spec.method_options import MethodOptions
from ray_async.spec.task_options import TaskOptions

_numbers = itertools.count(1)


JOB = JobID.from_int(1)
NODE = NodeID(b"n" * 28)


class Id:
    """An id of 16 bytes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def hex(self) -> str:
        return f"{self.number:032x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Id) and self.number == other.number

    def __hash__(self) -> int:
        return self.number


class Ref:
    """A reference that holds its value or error."""

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value, self.error = value, error


class RefGenerator:
    """A generator of references."""

    def __init__(self, values: Iterator[Any]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Ref]:
        return (Ref(value) for value in self.values)


class Core:
    """An actor: its instance, or the error of its constructor."""

    def __init__(self, actor_id: Id, instance: Any = None) -> None:
        self.actor_id, self.instance = actor_id, instance

    def __reduce__(self) -> tuple[Any, ...]:
        return Core, (self.actor_id,)


class FakeState:
    """A cluster of one node."""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": "00", "Alive": True}]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def timeline(self) -> list[dict[str, Any]]:
        return [{"name": "f", "ph": "X"}]


class FakeSession:
    """Runs calls at once and notes what it was asked for."""

    owns_node = True

    def __init__(self) -> None:
        self.task_options: list[TaskOptions] = []
        self.actor_options: list[ActorOptions] = []
        self.method_options: list[MethodOptions] = []
        self.calls: list[tuple[Any, ...]] = []
        self.named: dict[tuple[str | None, str], tuple[Core, ActorMeta]] = {}
        self.now = ExecutionContext(JOB, NODE, WorkerID(b"w" * 28), namespace="here")
        self.closed = False

    def task_template(self, function: FunctionDescriptor, options: TaskOptions) -> Callable[..., Any]:
        self.task_options.append(options)
        return lambda args, kwargs: _run(function.function, options.num_returns, args, kwargs)

    def create_actor(
        self, cls: ClassDescriptor, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any] | None
    ) -> Core:
        self.actor_options.append(options)
        core = Core(Id(next(_numbers)), cls.cls(*args, **(kwargs or {})))
        if options.name is not None:
            self.named[options.namespace, options.name] = core, cls.meta
        return core

    def actor_template(self, core: Core, method: MethodDescriptor, options: MethodOptions) -> Callable[..., Any]:
        self.method_options.append(options)
        builtin = {"__ray_ready__": lambda: True, "__ray_call__": lambda fn, /, *a, **k: fn(core.instance, *a, **k)}
        function: Any = builtin.get(method.name) or getattr(core.instance, method.name)
        return lambda args, kwargs: _run(function, options.num_returns, args, kwargs)

    def get_actor(self, name: str, namespace: str | None) -> tuple[Core, ActorMeta]:
        if (namespace, name) not in self.named:
            raise ValueError(f"no actor {name}")
        return self.named[namespace, name]

    def get(self, refs: list[Ref], timeout: float | None) -> list[Any]:
        self.calls.append(("get", len(refs), timeout))
        for ref in refs:
            if ref.error is not None:
                raise ref.error
        return [ref.value for ref in refs]

    def put(self, value: Any) -> Ref:
        return Ref(value)

    def wait(
        self, refs: list[Any], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[Any], list[Any]]:
        self.calls.append(("wait", num_returns, timeout, fetch_local))
        return refs[:num_returns], refs[num_returns:]

    def kill_actor(self, core: Core, no_restart: bool) -> None:
        self.calls.append(("kill", core.actor_id, no_restart))

    def cancel(self, ref: Any, force: bool, recursive: bool) -> None:
        self.calls.append(("cancel", ref, force, recursive))

    def arrivals(self, refs: list[Any]) -> Any:
        raise NotImplementedError

    def enter_scope(self) -> tuple[int, Any]:
        return 1, None

    def leave_scope(self, token: Any) -> None:
        self.calls.append(("leave_scope", token))

    def actor_exit(self) -> SystemExit:
        self.calls.append(("actor_exit",))
        return SystemExit(0)

    def cancel_scope(self, scope: int) -> None:
        self.calls.append(("cancel_scope", scope))

    def context(self) -> ExecutionContext:
        return self.now

    def free(self, refs: list[Any]) -> None:
        self.calls.append(("free", refs))

    def result_is_wanted(self) -> bool:
        return True

    @property
    def groups(self) -> Any:
        raise NotImplementedError

    @property
    def key_values(self) -> Any:
        raise NotImplementedError

    @property
    def state(self) -> Any:
        return FakeState()

    def address_info(self) -> dict[str, Any]:
        return {"address": "local", "webui_url": ""}

    def close(self, wait_for_processes: bool = False) -> None:
        self.closed = True


def _run(function: Callable[..., Any], num_returns: int | str, args: Any, kwargs: Any) -> Any:
    try:
        value = function(*args, **(kwargs or {}))
        if inspect.iscoroutine(value):
            value = _drive(value)
    except ValueError as error:
        return Ref(error=error)
    if num_returns == "streaming":
        return RefGenerator(value)
    if num_returns == 0:
        return None
    return Ref(value) if num_returns == 1 else [Ref(item) for item in value]


def _drive(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the fake session runs coroutines that do not wait")


def round_trip(value: Any) -> Any:
    """Pickle and unpickle."""
    return pickle.loads(pickle.dumps(value))
