"""The node's parts: each is given what it uses of the others, and none the node with all of them."""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

from tests.test_layers import PACKAGE, ROOT, imports, modules

NODE = f"{PACKAGE}.runtime.node"
HALL = f"{NODE}.node"


@cache
def parts() -> dict[str, Path]:
    """The node's modules by their dotted names."""
    inside = {name.removesuffix(".__init__"): path for name, path in modules(ROOT / PACKAGE).items()}
    return {name: path for name, path in inside.items() if name.startswith(f"{NODE}.")}


def neighbours(name: str, path: Path) -> set[str]:
    """Parts that a part imports, for their types too."""
    found = set()
    for _, imported in imports(name, path):
        whole = imported if imported in parts() else imported.rpartition(".")[0]
        if whole in parts() and whole != name:
            found.add(whole)
    return found


def hands_itself_over(source: str) -> list[int]:
    """Lines of calls that are given ``self``."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        for given in (*node.args, *(keyword.value for keyword in node.keywords))
        if isinstance(given, ast.Name) and given.id == "self"
    ]


def test_no_part_knows_the_node() -> None:
    knowing = {name for name, path in parts().items() if HALL in neighbours(name, path)}
    assert knowing == set()


def test_parts_know_each_other_in_one_direction() -> None:
    graphlib.TopologicalSorter({name: neighbours(name, path) for name, path in parts().items()}).prepare()


def test_the_node_hands_itself_to_nobody() -> None:
    assert hands_itself_over(parts()[HALL].read_text()) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [("class Node:\n    def __init__(self):\n        self.tasks = Tasks(self)\n", [3]),
     ("class Node:\n    def __init__(self):\n        self.tasks = Tasks(self.view, node=self)\n", [3]),
     ("class Node:\n    def __init__(self):\n        self.tasks = Tasks(self.view)\n", [])],
)  # fmt: skip
def test_handing_over_is_seen(source: str, lines: list[int]) -> None:
    assert hands_itself_over(source) == lines
