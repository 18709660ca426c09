"""Drawings of graphs, by Graphviz."""

from __future__ import annotations

import shutil
import subprocess
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from ray_async.dag.node import DAGNode

__all__ = ("plot", "to_dot", "write_dot")


def to_dot(nodes: Sequence[DAGNode], edge_labels: bool = False) -> str:
    """A graph in Graphviz's language.

    Args:
        nodes: Its nodes.
        edge_labels: Whether edges say what goes through.
    """
    numbers = {id(node): number for number, node in enumerate(nodes)}
    lines = ["digraph {", "  rankdir=LR;"]
    for node, number in zip(nodes, numbers.values(), strict=True):
        lines.append(f'  n{number} [label="{_quoted(node._label())}", shape=box];')
        for before in node._dependencies():
            label = f' [label="{_quoted(before._tensor_transport or "object")}"]' if edge_labels else ""
            lines.append(f"  n{numbers[id(before)]} -> n{number}{label};")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def write_dot(source: str, filename: str, format: str, view: bool = False) -> None:
    """Have Graphviz draw.

    Args:
        source: In its language.
        filename: Of the drawing, without its ending.
        format: One that it knows: "png", "svg", "pdf" and others.
        view: Whether to open the drawing.

    Raises:
        FileNotFoundError: Its program is not there.
        CalledProcessError: It does not know the format.
    """
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError(
            'Drawings are made by the program "dot", which is not there: install Graphviz, or take the format "dot".'
        )
    drawing = Path(f"{filename}.{format}")
    subprocess.run([program, f"-T{format}", "-o", str(drawing)], input=source, text=True, check=True)
    if view:
        webbrowser.open(drawing.absolute().as_uri())


def plot(dag: DAGNode, to_file: str | None = None) -> str:
    """Draw a graph that is not compiled.

    Args:
        dag: Its last node.
        to_file: The file; its ending says the format, and "dot" needs no other program. None: no file.

    Returns:
        The graph in Graphviz's language.

    Raises:
        FileNotFoundError: The program of Graphviz is not there, and the format needs it.
    """
    source = to_dot(dag._in_order())
    if to_file is not None:
        path = Path(to_file)
        if path.suffix == ".dot":
            path.write_text(source)
        else:
            write_dot(source, str(path.with_suffix("")), path.suffix[1:] or "png")
    return source
