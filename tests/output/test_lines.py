"""Workers' lines at the driver: which, in what order, with which prefix, and none lost."""

import re

import psutil  # type: ignore[import-untyped]  # it has no types

import ray_async as ray
from tests.output.script import run
from tests.resources import wait_until

PROLOGUE = """
import logging, os, sys, time
import ray_async as ray
"""
PREFIX = re.compile(r"\((?:(\S+) )?pid=(\d+)\) (.*)")


def parts(lines: list[str]) -> list[tuple[str, str]]:
    found = [PREFIX.fullmatch(line) for line in lines]
    assert all(found), lines
    return [(match[1], match[3]) for match in found if match is not None]


def test_lines_carry_the_name_of_the_task_or_actor_and_keep_their_order() -> None:
    out, err = run(
        PROLOGUE
        + """
ray.init(num_cpus=1)
@ray.remote
def first():
    for i in range(200): print("first", i)
@ray.remote
def second():
    print("second"); print("to stderr", file=sys.stderr)
    logging.getLogger("user").warning("logged")
@ray.remote
async def third():
    print("third")
@ray.remote
class Actor:
    def method(self): print("method")
ray.get(first.remote()); ray.get(second.remote())
ray.get(first.options(name="named").remote()); ray.get(third.remote())
ray.get(Actor.remote().method.remote())
ray.shutdown()
"""
    )
    lines = parts(out)
    in_order = [line for line in lines if line[0] in ("first", "second", "named")]
    count = [("first", f"first {i}") for i in range(200)]
    assert in_order == [*count, ("second", "second"), *[("named", text) for _, text in count]]
    assert ("third", "third") in lines
    assert ("Actor", "method") in lines
    assert parts(err) == [("second", "to stderr"), ("second", "logged")]


def test_nothing_is_lost_at_a_death_or_at_the_end() -> None:
    out, err = run(
        PROLOGUE
        + """
ray.init(num_cpus=2)
@ray.remote(max_retries=0)
def die():
    for i in range(3000): print("line", i, "x" * 50)
    print("the last words", file=sys.stderr, flush=True)
    sys.stdout.write("no newline"); sys.stdout.flush()
    os.kill(os.getpid(), 9)
try: ray.get(die.remote())
except ray.exceptions.WorkerCrashedError: pass
else: raise SystemExit("it lives")
@ray.remote
def last():
    for i in range(3000): print("end", i)
    print("in part", end="", flush=True)
ray.get(last.remote())
ray.shutdown()
"""
    )
    texts = [text for _, text in parts(out)]
    assert [t for t in texts if t.startswith("line")] == [f"line {i} {'x' * 50}" for i in range(3000)]
    assert [t for t in texts if t.startswith("end")] == [f"end {i}" for i in range(3000)]
    assert "no newline" in texts
    assert texts[-1] == "in part"
    assert ("die", "the last words") in parts(err)


def test_long_lines_pieces_and_unicode() -> None:
    out, _ = run(
        PROLOGUE
        + """
ray.init(num_cpus=1)
@ray.remote
def speak():
    print("y" * 50_000)
    for piece in ("in ", "three ", "pieces"):
        print(piece, end="", flush=True)
    print()
    print("äöü 漢字 🎉")
    os.write(1, "raw 漢".encode()[:5]); os.write(1, "raw 漢".encode()[5:] + b"\\n")
    os.write(1, b"\\xff not text\\n")
ray.get(speak.remote())
ray.shutdown()
""",
        PYTHONIOENCODING="utf-8",
    )
    # A line whose end is long in coming is shown in two: on a busy machine, any that is written in pieces.
    lines = ["y" * 50_000, "in three pieces", "äöü 漢字 🎉", "raw 漢", "\ufffd not text"]
    assert "".join(text for _, text in parts(out)) == "".join(lines)


def test_repetitions_of_other_workers_are_counted() -> None:
    out, _ = run(
        PROLOGUE
        + """
ray.init(num_cpus=3)
@ray.remote
class Speaker:
    def speak(self): print("the same words")
speakers = [Speaker.remote() for _ in range(3)]
ray.get([s.speak.remote() for s in speakers])
ray.shutdown()
"""
    )
    texts = [text for _, text in parts(out)]
    assert texts[0] == "the same words"
    assert len(texts) == 2
    assert "[repeated 2x" in texts[1]


def test_output_can_be_switched_off() -> None:
    script = (
        PROLOGUE
        + """
ray.init(num_cpus=1{option})
@ray.remote
def speak():
    print("words"); print("words", file=sys.stderr)
ray.get(speak.remote())
ray.shutdown()
"""
    )
    assert run(script.format(option=", log_to_driver=False")) == ([], [])
    assert run(script.format(option=""), RAY_LOG_TO_DRIVER="0") == ([], [])
    out, err = run(script.format(option=""), RAY_DISABLE_WORKER_LOG_PREFIX="1")
    assert (out, err) == (["words"], ["words"])


def test_processes_have_titles() -> None:
    out, _ = run(
        PROLOGUE
        + """
ray.init(num_cpus=1, log_to_driver=False)
def title(): return [open(f"/proc/self/{file}").read().strip("\\n\\0") for file in ("comm", "cmdline")]
@ray.remote
def task(): return title()
@ray.remote
def stream(): yield title()
@ray.remote
class Actor:
    def __init__(self): self.first = title()
    def title(self): return title()
    def titles(self): return self.first + title()
print(*ray.get(task.remote()), *ray.get(next(stream.remote())))
actor = Actor.remote()
print(*ray.get(actor.title.remote()), *ray.get(actor.titles.remote()))
print(*ray.get(task.options(name="other").remote()), *ray.get(task.remote()))
print(*ray.get(actor.title.options(name="other").remote()), *ray.get(actor.title.remote()))
ray.shutdown()
"""
    )
    assert out == [
        "ray::task ray::task ray::stream ray::stream",
        "ray::Actor ray::Actor.title ray::Actor ray::Actor.__init__ ray::Actor ray::Actor.titles",
        "ray::other ray::other ray::task ray::task",
        "ray::other ray::other ray::Actor ray::Actor.title",
    ]


def test_ps_tells_idle_workers_from_the_zygote() -> None:
    others = set(psutil.Process().children(recursive=True))  # such as services of libraries that other tests use

    def titles() -> list[str]:
        return sorted(child.name() for child in set(psutil.Process().children(recursive=True)) - others)

    with ray.init(num_cpus=1, log_to_driver=False):
        wait_until(lambda: titles() == ["ray::IDLE", "ray::node", "ray::zygote"])


def test_an_actor_with_a_repr_of_its_own_is_called_by_it() -> None:
    out, err = run(
        """
import sys
import ray_async as ray
@ray.remote
class Actor:
    def __init__(self): print("made")
    def speak(self):
        print("spoken")
        print("loudly", file=sys.stderr)
    def __repr__(self): return "Named"
with ray.init(num_cpus=1): ray.get(Actor.remote().speak.remote(), timeout=60)
"""
    )
    lines = {line.split(")")[-1].strip(): line for line in out + err}
    assert "Actor pid=" in lines.get("made", ""), (out, err)
    assert "Named pid=" in lines["spoken"]
    assert "Named pid=" in lines["loudly"]


def test_lines_without_an_end_are_shown_when_their_worker_rests() -> None:
    out, _ = run(
        PROLOGUE
        + """
import io
shown, real = io.StringIO(), sys.stdout
sys.stdout = sys.stderr = shown
ray.init(num_cpus=2)
def write(name):
    print(name, "begins", end=", ")
    print("goes on", end=" ", file=sys.stderr)
@ray.remote
def task(name): write(name)
@ray.remote
async def async_task(name): write(name)
@ray.remote(num_cpus=0)
class Actor:
    def method(self, name): write(name)
@ray.remote(num_cpus=0)
class AsyncActor:
    async def method(self, name): write(name)
actors = [Actor.remote(), Actor.options(max_concurrency=2).remote(), AsyncActor.remote()]
calls = [task.remote, async_task.remote, *(actor.method.remote for actor in actors)]
for number, call in enumerate(calls):
    ray.get(call(f"call {number}"))
    while f"call {number} begins" not in shown.getvalue() or shown.getvalue().count("goes on") <= number:
        time.sleep(0.01)
print("all", file=real)
ray.shutdown()
"""
    )
    assert out == ["all"]


def test_an_output_that_the_task_has_closed_ends_no_worker() -> None:
    out, _ = run(
        PROLOGUE
        + """
ray.init(num_cpus=1)
def close():
    sys.stdout.write("x")
    sys.stdout.close()
    return os.getpid()
@ray.remote
class Actor:
    def close(self): return close()
    def pid(self): return os.getpid()
@ray.remote
class AsyncActor:
    async def close(self): return close()
    async def pid(self): return os.getpid()
for actor in (Actor.remote(), Actor.options(max_concurrency=2).remote(), AsyncActor.remote()):
    pid = ray.get(actor.close.remote())
    time.sleep(0.1)  # for the worker to rest
    assert ray.get(actor.pid.remote()) == pid
ray.shutdown()
print("all")
"""
    )
    assert out[-1] == "all"
