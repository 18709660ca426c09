"""Rules of the source tree: what files may not hold, and where public names live."""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ray_async"
BROAD = ("Exception", "BaseException")
# Modules that are another package under a name that programs written for Ray use.
STAND_INS = {PACKAGE / "cloudpickle.py"}
# Where there is no git (a copy of the tree, an unpacked archive), what belongs to the project is told by these.
SUFFIXES = {".c", ".cfg", ".h", ".in", ".md", ".pxd", ".py", ".pyi", ".pyx", ".sh", ".toml"}
SKIPPED = {".git", ".venv", "build", "dist", "__pycache__"}

# The patterns are written so that they do not match themselves.
FORBIDDEN = {
    "an absolute path of somebody's machine": re.compile(r"(?<![\w.$~{}/-])/(?:h[o]me|r[o]ot|U[s]ers|w[o]rk)/"),
    "the host of a package index": re.compile(r"https?://[\w.-]*(?:py[p]i|python[h]osted|npm[j]s|deb[i]an)"),
    "work left open": re.compile(r"\b(?:TO[D]O|FIX[M]E)\b"),
}


def project_files() -> list[Path]:
    """The project's files: as git sees them, else by their names."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
        return sorted({ROOT / name for name in names if name and (ROOT / name).is_file()})
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and (path.suffix in SUFFIXES or path.name == "Makefile")
        and SKIPPED.isdisjoint(path.relative_to(ROOT).parts)
    )


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""  # An image.


def forbidden_lines(text: str) -> list[str]:
    return [
        f"{number}: {what}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def swallowed(source: str) -> list[int]:
    """The lines where any exception at all is caught and nothing is done about it."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in BROAD)
            if broad and all(isinstance(part, ast.Pass) or is_ellipsis(part) for part in node.body):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and called(node.func) == "suppress":
            lines += [node.lineno for name in node.args if isinstance(name, ast.Name) and name.id in BROAD]
    return lines


def called(function: ast.expr) -> str:
    """The last name of what is called: of ``f()`` and of ``module.f()`` it is f."""
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis


def exported(tree: ast.Module) -> list[str] | None:
    """The literal tuple `__all__`; None without one, a ValueError for anything else than a tuple of strings."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            continue
        value = getattr(node, "value", None)
        if not isinstance(value, ast.Tuple):
            raise ValueError("__all__ is not a literal tuple")
        return [str(ast.literal_eval(element)) for element in value.elts]
    return None


def defined(tree: ast.Module) -> set[str]:
    """Names that a module's own statements bind, imports apart."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def passed_on(tree: ast.Module) -> set[str]:
    """Names that a module imports from this package, which it may export again where Ray's programs look for them."""
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = [node for node in froms if node.level or (node.module or "").split(".")[0] == PACKAGE.name]
    return {alias.asname or alias.name for node in own for alias in node.names}


def homes(package: Path) -> dict[str, list[str]]:
    """For each name that a module (not a package) exports and defines as a class, the modules that do so."""
    found = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text())
        if path.stem == "__init__":
            continue
        names = set(exported(tree) or ())
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name in names:
                found[node.name].append(str(path.relative_to(package.parent)))
    return found


def test_no_file_holds_what_none_may() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in project_files() for line in forbidden_lines(text_of(path))]
    assert found == []


def test_nothing_swallows_every_exception() -> None:
    python = [path for path in project_files() if path.suffix == ".py"]
    found = [f"{path.relative_to(ROOT)}:{line}" for path in python for line in swallowed(path.read_text())]
    cython = re.compile(r"except(\s+(Base)?Exception)?\s*:\s*(#[^\n]*)?(\n\s*)?(pass|\.\.\.)\s*(#|\n|$)")
    for path in (path for path in project_files() if path.suffix == ".pyx"):
        source = path.read_text()
        found += [
            f"{path.relative_to(ROOT)}:{source.count(chr(10), 0, m.start()) + 1}" for m in cython.finditer(source)
        ]
    assert found == []


def test_nothing_generated_is_kept() -> None:
    generated = [path for path in project_files() if path.suffix in (".so", ".pyd", ".o")]
    generated += [path for path in project_files() if path.suffix in (".c", ".cpp") and PACKAGE in path.parents]
    assert generated == []


def test_exports_are_literal_tuples_of_the_package() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(ROOT)
        tree = ast.parse(path.read_text())
        try:
            names = exported(tree)
        except ValueError as error:
            found.append(f"{where}: {error}")
            continue
        if names is not None and path.stem != "__init__" and path not in STAND_INS:
            bound = defined(tree) | passed_on(tree)
            found += [f"{where}: exports {name}, which is not of this package" for name in names if name not in bound]
        if names is not None and len(names) != len(set(names)):
            found.append(f"{where}: exports a name twice")
        stars = [
            node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        ]
        found += [f"{where}:{line}: star import" for line in stars]
    assert found == []


def test_each_public_class_has_one_home() -> None:
    assert {name: paths for name, paths in homes(PACKAGE).items() if len(paths) > 1} == {}


#: A title names a thing; these begin a sentence about something that is not named.
NO_NOUNS = frozenset(
    {"As", "Everything", "From", "How", "To", "What", "When", "Where", "Whether", "Which", "Who", "Why"}
)
#: Rooms that have not been looked through.
OTHER_HANDS: frozenset[str] = frozenset()


def title(path: Path) -> str:
    """The first line of a module's docstring; empty without one."""
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    found = re.match(r'"""(.*?)(?:"""|$)', path.read_text(), re.MULTILINE)  # what Cython reads is no Python
    return found[1] if found else ""


def test_docstrings_of_modules_begin_with_their_noun() -> None:
    found = []
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pyx", ".pyi")):
        text = title(path)
        if path.relative_to(PACKAGE).parts[0] not in OTHER_HANDS and (
            not text or text.split()[0].rstrip(":,") in NO_NOUNS
        ):
            found.append(f"{path.relative_to(ROOT)}: {text or 'no docstring'}")
    assert found == []


#: Words of speech for what processes do with messages. The field has terms: sent, received, reported, notified.
SPEECH = re.compile(
    r"(?<![A-Za-z])(?:un)?(?:told|tell|tells|telling|heard|hear|hears|hearing)(?![A-Za-z])", re.IGNORECASE
)
#: Rooms above the core, where they are words of a field (ask and tell of optimisers) or have not been looked through.
SPEAKING = frozenset({"cluster", "dag", "data", "gpu", "serve", "train", "tune"})


def speech(text: str) -> list[str]:
    """Lines that speak where a message is sent."""
    return [f"{number}: {line.strip()[:90]}" for number, line in enumerate(text.splitlines(), 1) if SPEECH.search(line)]


def test_messages_have_the_words_of_the_field() -> None:
    sources = (path for path in project_files() if PACKAGE in path.parents)
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources
        if path.relative_to(PACKAGE).parts[0] not in SPEAKING
        for line in speech(text_of(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("def _tell_of_death(self): ...", 1),
        ("RA_RF_TOLD = 4,", 1),
        ("# it hears of it", 1),
        ("heartbeat = intelligence.shear", 0),
        ("self.notify(reported)", 0),
    ],
)
def test_speech(line: str, count: int) -> None:
    assert len(speech(line)) == count


#: Adjectives that alone do not say what is limited, nor in which unit.
ADJECTIVES = {"_AHEAD", "_BATCH", "_DEPTH", "_FEW", "_FIRST", "_KEPT", "_MANY", "_MOST", "_PIECE", "_READ", "_RECENT"}
ADJECTIVES |= {"_REMEMBERED", "_WARM"}


def test_limits_have_a_noun() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {node.id}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in OTHER_HANDS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in ADJECTIVES
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("open('/ho" + "me/ann/data')", 1),
        ("see https://py" + "pi.org/simple", 1),
        ("# TO" + "DO later", 1),
        ("docs/home/index.md, the root/ of ~/work/, /tmp/ray-async", 0),
    ],
)
def test_forbidden_lines(line: str, count: int) -> None:
    assert len(forbidden_lines(line)) == count


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("try:\n    f()\nexcept:\n    pass\n", [3]),
        ("try:\n    f()\nexcept Exception:\n    ...\n", [3]),
        ("try:\n    f()\nexcept KeyError:\n    pass\n", []),
        ("try:\n    f()\nexcept Exception:\n    log()\n", []),
        ("with contextlib.suppress(BaseException):\n    f()\n", [1]),
    ],
)
def test_swallowed(source: str, lines: list[int]) -> None:
    assert swallowed(source) == lines


def test_homes_of_names(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text('__all__ = ("Queue",)\nclass Queue: ...\nclass Other: ...\n')
    (tmp_path / "two.py").write_text('__all__ = ("Queue", "Other")\nclass Queue: ...\nclass Other: ...\n')
    (tmp_path / "__init__.py").write_text('from .one import Queue\n__all__ = ("Queue",)\n')
    found = homes(tmp_path)
    assert len(found["Queue"]) == 2 and len(found["Other"]) == 1
