"""An object's attributes as a table in HTML."""

from __future__ import annotations

from html import escape

__all__ = ("make_table_html_repr",)


def make_table_html_repr(obj: object, title: str | None = None, max_height: str = "none") -> str:
    """Give an object's attributes as an HTML table of names and values.

    Args:
        obj: Any object with attributes of its own.
        title: A heading over the table.
        max_height: The table's height in CSS, above which it scrolls.

    Raises:
        TypeError: The object has no attributes of its own.
    """
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in vars(obj).items()
        if not name.startswith("_")
    )
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    style = escape(f"max-height: {max_height}; overflow: auto", quote=True)
    return f'{heading}<div style="{style}"><table>{rows}</table></div>'
