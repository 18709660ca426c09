"""The layers of the package: each imports only downward, and the libraries use the public API alone.

serve | tune | data | train             independent of each other; public API only
api: tasks, actors, references, cli     whatever is not named below
runtime, cluster                        session, scheduler, workers, recovery; many machines
engine                                  the seam: what a session does, and the current one
transport | gpu | machine               independent of each other
_core                                   Cython
exceptions, config, ids, frozen; spec: options, descriptors, signatures, resource requests; runtime_env
"""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "ray_async"
LIBRARIES = ("serve", "tune", "data", "train")
API = 5
# What libraries may use beside the package's own names: modules that users import, and helpers of the whole package.
PUBLIC = frozenset(
    (
        "actor",
        "aio",
        "air",
        "cloudpickle",
        "command_parser",
        "exceptions",
        "ids",
        "ignored_option",
        "keyword_names",
        "runtime_context",
        "runtime_env",
        "submodules",
        "suggestion",
        "util",
    )
)
LAYERS = {
    "exceptions": 0,
    "config": 0,
    "ids": 0,
    "frozen": 0,
    "command_parser": 0,
    "version": 0,
    "ignored_option": 0,
    "keyword_names": 0,
    "submodules": 0,
    "suggestion": 0,
    # What is asked for: plain values that the API makes and the runtime reads.
    "spec": 0,
    # What is done to a worker; it knows nothing above the exceptions.
    "runtime_env": 0,
    "_core": 1,
    # What the pickler of the core does with types of its own, of users, and of known libraries.
    "serialization": 2,
    # What the machine and its operating system have and do.
    "machine": 2,
    "transport": 2,
    "gpu": 2,
    # What an engine is to the API: protocols, and the place where the current session is found.
    "engine": 3,
    "runtime": 4,
    # Many machines, each with a runtime: it knows that, and is not known there.
    "cluster": 4,
    **dict.fromkeys(LIBRARIES, API + 1),
}
#: Arrows that no rule allows, and why they are there. The engine's seam is for what every engine has.
ARROWS = {
    ("api.object_ref", "runtime.awaiting.generators"): "streams are public, and made where calls are",
    ("api.lifecycle", "dashboard.launch"): "`init` starts the process of the dashboard, where one is wanted",
    ("cli.dashboard_command", "runtime.start"): "it finds the node whose dashboard is shown",
    ("dashboard.utils", "runtime.start"): "it finds the node whose dashboard is asked for",
    ("cli.command", "runtime.start"): "it starts, finds and ends the node processes of this machine",
    ("cli.state_commands", "runtime.start"): "it finds the node processes of this machine",
    ("cli.cluster_start", "runtime.start"): "the same, where the node is one of a cluster",
    ("local_cluster.cluster", "runtime.start"): "it starts and ends a node process whose logical nodes it makes",
    ("experimental.tqdm_ray", "runtime.logs.progress"): "a worker's bars are lines of its output, and drawn from them",
    ("air.integrations", "tune"): "old import paths of Tune's loggers, which are loaded when programs ask for them",
    ("engine.registry", "runtime.engine"): "engines by name, imported when a session starts",
}
# Parts of one rank that know each other; elsewhere in these ranks neighbours are strangers.
INDEPENDENT = ("transport", "gpu", "machine", *LIBRARIES)
CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<origin>[\w.]+)\s+c?import\s+(?P<names>[^#]+)|c?import\s+(?P<whole>[^#]+))"
)


def modules(package: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name; a compiled module's stub counts as the module."""
    found = {}
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".pyi", ".pyx", ".pxd"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found[".".join(parts) + ("" if path.suffix == ".py" else path.suffix)] = path
    return found


def python_imports(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of all that a module imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node.module or "", node.level, module, is_package)
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_named(node.value):
            yield node.lineno, node.value


def is_named(text: str) -> bool:
    """Whether a string is the full name of a module of the package, which somebody imports by it."""
    parts = text.split(".")
    if len(parts) < 2 or parts[0] != PACKAGE or not all(part.isidentifier() for part in parts):
        return False
    path = ROOT.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").exists()


def cython_imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        match = CYTHON_IMPORT.match(line)
        if match is None:
            continue
        if match["whole"] is not None:
            yield from ((number, name.split()[0]) for name in match["whole"].split(",") if name.strip())
            continue
        dots = len(match["origin"]) - len(match["origin"].lstrip("."))
        origin = absolute(match["origin"][dots:], dots, module, is_package=False)
        names = match["names"].replace("(", "").replace(")", "").split(",")
        yield from ((number, f"{origin}.{name.split()[0]}") for name in names if name.strip())


def absolute(name: str, level: int, module: str, is_package: bool) -> str:
    if level == 0:
        return name
    base = module.split(".")
    base = base[: len(base) - level + (1 if is_package else 0)]
    return ".".join([*base, name] if name else base)


def part_of(dotted: str) -> str:
    """The part of the package that a dotted name lies in; "" for the package itself and its public names."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


def is_module(dotted: str) -> bool:
    """Whether a name inside the package is a part of it, and no name that the package itself exports."""
    if not part_of(dotted):
        return False
    part = ROOT / PACKAGE / part_of(dotted)
    return part.is_dir() or part.with_suffix(".py").exists()


def rank(part: str) -> int:
    return LAYERS.get(part, API)


def complaint(importer: str, imported: str) -> str | None:
    """Why `importer` must not import `imported` (dotted names inside the package), or None."""
    here, there = part_of(importer), part_of(imported)
    if here == there:
        return None
    if here in LIBRARIES:
        if there in LIBRARIES:
            return "libraries are independent of each other"
        return None if there in PUBLIC or not is_module(imported) else "libraries use the public API only"
    if is_excepted(importer, imported):
        return None
    if there in LIBRARIES or rank(there) > rank(here):
        return "imports go downward only"
    if (
        there == "runtime"
        and rank(here) > rank(there)
        and not any(_is_in(importer, one) and _is_in(imported, other) for one, other in ARROWS)
    ):
        return "what is above the engine's seam does not know the runtime"
    if rank(there) == rank(here) and here in INDEPENDENT:
        return f"{here} and {there} are independent of each other"
    return None


def is_excepted(importer: str, imported: str) -> bool:
    return any(_is_in(importer, one) and _is_in(imported, other) for one, other in ARROWS)


def _is_in(dotted: str, room: str) -> bool:
    """Whether a name inside the package lies in a room or module of it."""
    inside = dotted.removeprefix(f"{PACKAGE}.")
    return inside == room or inside.startswith(f"{room}.")


def imports(name: str, path: Path) -> list[tuple[int, str]]:
    source = path.read_text()
    module = name.removesuffix(path.suffix)
    if path.suffix in (".pyx", ".pxd"):
        return list(cython_imports(source, module))
    is_package = path.stem == "__init__"
    return list(python_imports(source, module.removesuffix(".__init__"), is_package))


def violations(package: Path) -> list[str]:
    found = []
    for name, path in modules(package).items():
        importer = name.removesuffix(path.suffix).removesuffix(".__init__")
        for line, imported in imports(name, path):
            if imported.split(".")[0] != PACKAGE:
                continue
            reason = complaint(importer, imported)
            if reason is not None:
                found.append(f"{path.relative_to(package.parent)}:{line}: {imported}: {reason}")
    return found


def test_imports_go_downward() -> None:
    assert violations(ROOT / PACKAGE) == []


#: Folders that are import paths of Ray's alone: they pass on what is at home elsewhere.
FACES = {"_common", "_private", "autoscaler", "internal", "widgets"}


def arrows(package: Path) -> dict[str, set[str]]:
    """Rooms at the top (a folder or a module), and those that each imports."""
    found: dict[str, set[str]] = {}
    for name, path in modules(package).items():
        module = name.removesuffix(path.suffix).removesuffix(".__init__")
        importer = part_of(module)
        others = {
            part_of(imported)
            for _, imported in imports(name, path)
            if imported.split(".")[0] == PACKAGE and is_module(imported) and not is_excepted(module, imported)
        }
        found.setdefault(importer, set()).update(others - {importer})
    found.pop("", None)  # the package itself exports what is in its rooms
    return found


def test_rooms_make_no_circle() -> None:
    graphlib.TopologicalSorter(arrows(ROOT / PACKAGE)).prepare()


def test_rooms_are_few() -> None:
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert folders >= FACES
    assert len(folders - FACES) <= 25, sorted(folders - FACES)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("ray_async.api.actor", "ray_async.runtime.session.core_session.CoreSession", False),
        ("ray_async.api.actor", "ray_async.engine.current.get_session", True),
        ("ray_async.cli.command", "ray_async.runtime.start.node_control", True),
        ("ray_async.cli.command", "ray_async.runtime.node.node.Node", False),
        ("ray_async.util.queue", "ray_async.runtime.start.node_control", False),
        ("ray_async.runtime.session.core_session", "ray_async.actors.ActorHandle", False),
        ("ray_async.runtime.session.core_session", "ray_async.get", False),
        ("ray_async.runtime.workers", "ray_async.runtime.session.core_session", True),
        ("ray_async.transport.stream", "ray_async.gpu.handles", False),
        ("ray_async._core.arena", "ray_async.exceptions.ObjectStoreFullError", True),
        ("ray_async._core.arena", "ray_async.transport.stream", False),
        ("ray_async.exceptions", "ray_async._core.arena", False),
        ("ray_async.ids", "ray_async.exceptions.CallerError", True),
        ("ray_async.serve.replica", "ray_async.remote", True),
        ("ray_async.serve.replica", "ray_async.util.Queue", True),
        ("ray_async.serve.replica", "ray_async._core.arena", False),
        ("ray_async.serve.replica", "ray_async.engine.current.get_session", False),
        ("ray_async.serve.replica", "ray_async.api.actor.ActorHandle", False),
        ("ray_async.serve.replica", "ray_async.actor.ActorHandle", True),
        ("ray_async.serve.replica", "ray_async.tune.tune", False),
        ("ray_async.tune.tuner", "ray_async.air.session.report", True),
        ("ray_async.tune.tuner", "ray_async.train.report", False),
        ("ray_async.air.session", "ray_async.tune.execution.trial_session", False),
        ("ray_async", "ray_async.serve.run", False),
    ],
)
def test_the_rules(importer: str, imported: str, allowed: bool) -> None:
    assert (complaint(importer, imported) is None) is allowed


def test_every_arrow_that_is_excepted_is_there() -> None:
    used = {
        (one, other)
        for name, path in modules(ROOT / PACKAGE).items()
        for _, imported in imports(name, path)
        for one, other in ARROWS
        if _is_in(name.removesuffix(path.suffix).removesuffix(".__init__"), one) and _is_in(imported, other)
    }
    assert used == set(ARROWS)


def test_strings_that_name_modules_are_imports(tmp_path: Path) -> None:
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "config.py").write_text(
        'from importlib import import_module\nimport_module("ray_async.runtime.engine")\n"ray_async.nothing"\n'
    )
    assert violations(package) == ["ray_async/config.py:2: ray_async.runtime.engine: imports go downward only"]


def test_upward_imports_are_seen_in_python_and_cython(tmp_path: Path) -> None:
    package = tmp_path / PACKAGE
    for folder in ("_core", "runtime"):
        (package / folder).mkdir(parents=True)
    (package / "runtime" / "__init__.py").write_text("def f():\n    from ..actors import ActorHandle\n")
    (package / "runtime" / "low.py").write_text("from .. import ids\nimport os, ray_async._core.arena\n")
    (package / "_core" / "arena.pyx").write_text(
        "from libc.stdint cimport uint64_t\nfrom ray_async.runtime.session.core_session import Session  # no\n"
        "cimport ray_async._core.queue\nfrom ..exceptions import A, B\n"
    )
    assert violations(package) == [
        "ray_async/_core/arena.pyx:2: ray_async.runtime.session.core_session.Session: imports go downward only",
        "ray_async/runtime/__init__.py:2: ray_async.actors.ActorHandle: imports go downward only",
    ]
