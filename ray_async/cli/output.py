"""Rows as text: a table for people, JSON and YAML for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("FORMATS", "render", "table")

FORMATS = ("table", "json", "yaml")
_WIDEST = 60  # letters of a cell


def render(rows: Sequence[Mapping[str, Any]], style: str, columns: Sequence[str] = ()) -> str:
    """Write rows.

    Args:
        rows: What is shown.
        style: One of `FORMATS`.
        columns: Those of a table; all that the rows have by default.

    Raises:
        ImportError: YAML is wanted and PyYAML is not installed.
    """
    plain = [dict(row) for row in rows]
    if style == "json":
        return json.dumps(plain, indent=2, default=str)
    if style == "yaml":
        try:
            import yaml
        except ImportError as error:
            raise ImportError("--format yaml needs PyYAML: pip install PyYAML") from error
        return str(
            yaml.safe_dump(json.loads(json.dumps(plain, default=str)), sort_keys=False, allow_unicode=True)
        ).rstrip()
    return table(plain, columns or list(dict.fromkeys(key for row in plain for key in row)))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Write rows as a table, a line for each. What a terminal would obey is shown as its escape."""
    head = [column.upper() for column in columns]
    lines = [head, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    lines = text.strip().splitlines() or [""]
    # Of an error the last line says most: it names the exception.
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in lines[-1])
    return shown if len(shown) <= _WIDEST else shown[: _WIDEST - 1] + "…"
