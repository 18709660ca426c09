"""Parsing of filters that are written as texts, such as ``"age > 30 and name != 'x'"``."""

from __future__ import annotations

import ast
from typing import Any

from ray_async.data.expressions.expr import Expr, col, lit

__all__ = ("parsed",)

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.Div: "__truediv__",
    ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__",
    ast.BitAnd: "__and__",
    ast.BitOr: "__or__",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}


def parsed(text: str) -> Expr:
    """The expression that a text means: names are columns; and, or, not, in, is None, comparisons and arithmetic.

    Raises:
        ValueError: It is no such expression.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no expression: {error.msg} at column {error.offset}") from None
    return _expr(tree.body, text)


def _expr(node: ast.expr, text: str) -> Expr:
    if isinstance(node, ast.Name):
        return col(node.id)
    if isinstance(node, ast.Constant):
        return lit(node.value)
    if isinstance(node, ast.BoolOp):
        found = _expr(node.values[0], text)
        for value in node.values[1:]:
            right = _expr(value, text)
            found = found & right if isinstance(node.op, ast.And) else found | right
        return found
    if isinstance(node, ast.UnaryOp):
        operand = _expr(node.operand, text)
        if isinstance(node.op, (ast.Not, ast.Invert)):
            return ~operand
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        found = getattr(_expr(node.left, text), _BINARY[type(node.op)])(_expr(node.right, text))
        return found  # type: ignore[no-any-return]
    if isinstance(node, ast.Compare):
        return _comparison(node, text)
    raise ValueError(f"Unsupported syntax in {text!r}: {ast.unparse(node)}")


def _comparison(node: ast.Compare, text: str) -> Expr:
    left = node.left
    found: Expr | None = None
    for op, right in zip(node.ops, node.comparators, strict=True):
        part = _compared(_expr(left, text), op, right, text)
        found = part if found is None else found & part
        left = right
    assert found is not None
    return found


def _compared(left: Expr, op: ast.cmpop, right: ast.expr, text: str) -> Expr:
    if type(op) in _COMPARE:
        return getattr(left, _COMPARE[type(op)])(_expr(right, text))  # type: ignore[no-any-return]
    if isinstance(op, (ast.In, ast.NotIn)):
        values = _literal(right, text)
        return left.is_in(values) if isinstance(op, ast.In) else left.not_in(values)
    if isinstance(right, ast.Constant) and right.value is None:
        return left.is_null() if isinstance(op, ast.Is) else left.is_not_null()
    raise ValueError(f"Unsupported comparison in {text!r}: only None can follow 'is'")


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"'in' needs a list of constants in {text!r}, but has {ast.unparse(node)}") from None
