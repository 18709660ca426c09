"""What a Python module's text and syntax tree say, and how reports of many modules add up; no ray_async here."""

import ast
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = (
    "COLUMNS",
    "PAIRS",
    "ModuleMetrics",
    "Table",
    "Tally",
    "batches",
    "measure",
    "measure_files",
    "same",
    "stdlib_files",
    "weights",
)

# Sixteen columns of weights for each byte pair: a table big enough that nobody wants it copied to each worker.
PAIRS = 256 * 256
COLUMNS = 16
BATCH_BYTES = 400_000
SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"}
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.match_case)

Table = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModuleMetrics:
    """What one module's text and syntax tree say."""

    name: str
    lines: int
    functions: int
    classes: int
    branches: int
    deepest: int
    worst: tuple[int, str]
    density: float


def weights() -> Table:
    """A table of (65536, 16) float32 weights by byte pair, the same on every machine."""
    return np.random.default_rng(7).random((PAIRS, COLUMNS), dtype=np.float32)


def density(text: bytes, table: Table) -> float:
    """Mean weight of the byte pairs of a text: a number that needs the whole table."""
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.uint32)
    if codes.size < 2:
        return 0.0
    counts = np.bincount(codes[:-1] * 256 + codes[1:], minlength=PAIRS)
    return float((counts @ table).mean() / (codes.size - 1))


def complexity(function: ast.AST) -> int:
    """One, and one more for each branch and each further operand of `and` and `or`."""
    total = 1
    for node in ast.walk(function):
        if isinstance(node, BRANCHES):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
    return total


def depth(node: ast.AST) -> int:
    """How deep the syntax tree goes below `node`."""
    deepest, level = 0, [node]
    while level := [child for parent in level for child in ast.iter_child_nodes(parent)]:
        deepest += 1
    return deepest


def measure(name: str, text: bytes, table: Table) -> ModuleMetrics:
    """Parse one module and count.

    Raises:
        SyntaxError: the text is not Python of this version.
        ValueError: the text holds null bytes.
    """
    tree = ast.parse(text, filename=name)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return ModuleMetrics(
        name=name,
        lines=text.count(b"\n"),
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree)),
        branches=complexity(tree) - 1,
        deepest=depth(tree),
        worst=max(((complexity(function), f"{name}:{function.name}") for function in functions), default=(0, name)),
        density=density(text, table),
    )


def measure_files(root: str, names: list[str], table: Table) -> tuple[list[ModuleMetrics], list[str]]:
    """Measure the named files below `root`; return the metrics, and the names that do not parse."""
    measured, skipped = [], []
    for name in names:
        try:
            measured.append(measure(name, Path(root, name).read_bytes(), table))
        except (SyntaxError, ValueError):
            skipped.append(name)
    return measured, skipped


def stdlib_files(root: Path) -> list[tuple[str, int]]:
    """(relative name, bytes) of each module of the library, its tests apart."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(folder, name)
                found.append((path.relative_to(root).as_posix(), path.stat().st_size))
    return found


def batches(files: Iterable[tuple[str, int]], size: int = BATCH_BYTES) -> Iterator[list[str]]:
    """Group the files, large ones first, into batches of about `size` bytes: the last to start are short."""
    batch: list[str] = []
    total = 0
    for name, length in sorted(files, key=lambda item: (-item[1], item[0])):
        if batch and total + length > size:
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += length
    if batch:
        yield batch


class Tally:
    """Adds reports up. The program runs it as an actor; the plain loop uses it as it is."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.worst: list[tuple[int, str]] = []
        self.density = 0.0
        self.deepest = (0, "")

    def add(self, modules: list[ModuleMetrics]) -> int:
        """Take in a batch; return how many modules there are so far."""
        for module in modules:
            self.totals.update(
                modules=1,
                lines=module.lines,
                functions=module.functions,
                classes=module.classes,
                branches=module.branches,
            )
            self.density += module.density
            self.deepest = max(self.deepest, (module.deepest, module.name))
            self.worst = sorted([*self.worst, module.worst], reverse=True)[:5]
        return self.totals["modules"]

    def summary(self) -> dict[str, object]:
        count = max(self.totals["modules"], 1)
        return {
            **self.totals,
            "mean density": round(self.density / count, 6),
            "deepest tree": self.deepest,
            "most complex": self.worst,
        }


def same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two summaries agree; sums of floats may differ in the last places with the order of the batches."""
    return all(
        value == other[key]
        or (isinstance(value, float) and isinstance(total := other[key], float) and abs(value - total) < 2e-6)
        for key, value in one.items()
    )
