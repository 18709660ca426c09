"""Tables and templates in HTML, for objects that notebooks show."""

from ray_async.widgets.render import Template
from ray_async.widgets.util import make_table_html_repr

__all__ = ("Template", "make_table_html_repr")
