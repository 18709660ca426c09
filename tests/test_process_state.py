"""Process-wide state: whatever a module keeps for its process stands in docs/architecture/state.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ray_async"
PAGE = ROOT / "docs" / "architecture" / "state.md"
#: Rooms that keep their own state, behind interfaces of their own.
LIBRARIES = ("cluster", "dag", "data", "gpu", "serve", "train", "tune")


def kept(module: ast.Module) -> Iterator[str]:
    """Names at the top of a module whose values can change: containers, locks, objects, what `global` names."""
    rebound = {name for node in ast.walk(module) if isinstance(node, ast.Global) for name in node.names}
    for node in module.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and (target.id in rebound or _is_mutable(target.id, node.value)):
                yield target.id


def _is_mutable(name: str, value: ast.expr) -> bool:
    if name != name.lower() or name.startswith("__"):
        return False
    empty = isinstance(value, ast.Dict | ast.List) and not ast.unparse(value).strip("{}[]")
    return empty or (isinstance(value, ast.Call) and _makes_state(ast.unparse(value.func)))


def _makes_state(function: str) -> bool:
    """Whether what is called is a class that has state: a container, a lock, a context variable, one of ours."""
    name = function.partition("[")[0].rpartition(".")[2]
    return name in {"set", "dict", "list", "deque", "local"} or bool(re.match(r"_?[A-Z]\w*[a-z]\w*$", name))


#: Loggers, which are the logging module's.
CONSTANT = re.compile(r"_?logger$")


def listed() -> set[str]:
    """Full names in the first column of the page's table; `.name` is of the module before it."""
    names: set[str] = set()
    for row in PAGE.read_text().splitlines():
        if not row.startswith("| `"):
            continue
        module = ""
        for name in re.findall(r"`([\w.]+)`", row.split("|")[1]):
            module = module if name.startswith(".") else name.rpartition(".")[0]
            names.add(f"{module}.{name.rpartition('.')[2]}")
    return names - {"._core", ".arena", ".codec", ".object_ref", ".store", ".submission"}  # compiled


def found() -> set[str]:
    names = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = [part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
        if parts and parts[0] not in LIBRARIES:
            kept_here = kept(ast.parse(path.read_text()))
            names |= {".".join([*parts, name]) for name in kept_here if not CONSTANT.match(name)}
    return names


def test_what_is_kept_for_the_process_is_listed() -> None:
    assert found() == listed()


def test_state_is_found() -> None:
    source = "a_lock = threading.Lock()\n_found: dict[str, int] = {}\nlimit = 3\nNAMES = {}\n_one = None\n"
    assert list(kept(ast.parse(f"{source}def f():\n    global _one\n"))) == ["a_lock", "_found", "_one"]
