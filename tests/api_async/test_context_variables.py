"""Context variables that travel with calls."""

import subprocess
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray

user: ContextVar[str] = ContextVar("user", default="nobody")
request_ids: ContextVar[list[int]] = ContextVar("request_ids")


@ray.remote
def who() -> str:
    return user.get()


@ray.remote
def who_below() -> tuple[str, str]:
    return user.get(), ray.get(who.remote())


@ray.remote
async def async_who() -> tuple[str, str]:
    return user.get(), await who.remote()


@ray.remote
def ids() -> list[int]:
    return request_ids.get([])


@ray.remote
class Actor:
    def __init__(self) -> None:
        self.made_by = user.get()

    async def who(self) -> tuple[str, str]:
        return self.made_by, user.get()


@ray.remote
class ThreadedActor:
    def who(self) -> str:
        return user.get()


async def test_values_travel() -> None:
    ray.register_context_variable(user)
    assert await who.remote() == "nobody"
    token = user.set("ada")
    assert await who.remote() == "ada"
    assert await who_below.remote() == ("ada", "ada")
    assert await async_who.remote() == ("ada", "ada")
    actor = Actor.remote()
    threaded = ThreadedActor.options(max_concurrency=2).remote()
    user.set("bob")
    assert await actor.who.remote() == ("ada", "bob")
    assert await threaded.who.remote() == "bob"
    assert await who.options(name="named").remote() == "bob"
    user.reset(token)
    assert await who.remote() == "nobody"
    assert await actor.who.remote() == ("ada", "nobody")


async def test_a_value_that_changed_in_place_is_seen() -> None:
    ray.register_context_variable(request_ids)
    assert await ids.remote() == []
    values = [1]
    request_ids.set(values)
    assert await ids.remote() == [1]
    values.append(2)
    assert await ids.remote() == [1, 2]


async def test_what_cannot_be_registered_or_sent() -> None:
    with pytest.raises(TypeError):
        ray.register_context_variable("user")  # type: ignore[arg-type]
    ray.register_context_variable(user)
    with pytest.raises(ValueError):
        other: ContextVar[str] = ContextVar(next(iter(_keys())))
        ray.register_context_variable(other)
    ray.register_context_variable(request_ids)
    request_ids.set(i for i in [1])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        who.remote()


def _keys() -> Any:
    from ray_async.serialization import context_variables

    return context_variables._variables


SCRIPT = """
import contextvars
import ray_async as ray
user = contextvars.ContextVar("user", default="nobody")
ray.register_context_variable(user)
ray.init(num_cpus=1, log_to_driver=False)

@ray.remote
def who():
    return user.get()

@ray.remote
def below():
    return ray.get(who.remote())

print(ray.get(who.remote()))
user.set("ada")
print(ray.get([who.remote(), below.remote()]))
ray.shutdown()
"""

TELEMETRY = """
import ray_async as ray
from opentelemetry import context
ray.init(num_cpus=1, log_to_driver=False)

@ray.remote
def trace():
    from opentelemetry import context
    return context.current.get()

print(ray.get(trace.remote()))
token = context.attach("00-abc-1")
print(ray.get(trace.remote()))
context.detach(token)
print(ray.get(trace.remote()))
ray.shutdown()
"""


def run(script: str, *path: Path) -> list[str]:
    code = f"import sys; sys.path[:0] = {[str(p) for p in path]}\n{script}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    return done.stdout.splitlines()


def test_variables_of_the_main_module() -> None:
    assert run(SCRIPT) == ["nobody", "['ada', 'ada']"]


def test_telemetry_needs_no_registration(tmp_path: Path) -> None:
    """A stand-in for OpenTelemetry with the four functions that are used."""
    package = tmp_path / "opentelemetry"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "context.py").write_text(
        "import contextvars\ncurrent = contextvars.ContextVar('current', default='')\n"
        "attach = current.set\ndetach = current.reset\n"
    )
    (package / "propagate.py").write_text(
        "from opentelemetry.context import current\n"
        "def inject(carrier):\n    if current.get():\n        carrier['traceparent'] = current.get()\n"
        "def extract(carrier):\n    return carrier['traceparent']\n"
    )
    assert run(TELEMETRY, tmp_path) == ["", "00-abc-1", ""]
