"""Reading of functions' bytecode: which columns a row function looks at, where its code leaves no doubt."""

from __future__ import annotations

import dis
import inspect
from types import CodeType
from typing import Any

__all__ = ("columns_read",)


def columns_read(function: Any) -> frozenset[str] | None:
    """The columns that a function of one row reads; None where it may do anything else with the row.

    Only a plain Python function that uses its argument in the form ``row["name"]``, reading, and in no other, tells.

    Args:
        function: what is called with a dict.

    Example:
        >>> sorted(columns_read(lambda row: row["a"] > row["b"]))
        ['a', 'b']
    """
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or inspect.ismethod(function) or code.co_argcount < 1:
        return None
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return None
    row = code.co_varnames[0]
    if row in code.co_cellvars or {"locals", "vars", "eval", "exec", "dir"} & set(code.co_names):
        return None
    found = set()
    instructions = list(dis.get_instructions(code))
    for place, instruction in enumerate(instructions):
        used = instruction.argval
        if used != row and not (isinstance(used, tuple) and row in used):
            continue
        if instruction.opname == "LOAD_CONST":
            continue  # a text that happens to be the name
        if not instruction.opname.startswith("LOAD_FAST") or used != row:
            return None
        column = _subscript(instructions[place + 1 : place + 3])
        if column is None:
            return None
        found.add(column)
    return frozenset(found)


def _subscript(following: list[dis.Instruction]) -> str | None:
    """The constant text with which two instructions subscript what is on the stack."""
    if len(following) < 2 or following[0].opname != "LOAD_CONST" or not isinstance(following[0].argval, str):
        return None
    operation = following[1]
    if operation.opname == "BINARY_SUBSCR" or (operation.opname == "BINARY_OP" and operation.argrepr == "[]"):
        return following[0].argval
    return None
