"""Templates: files of HTML with ``{{ name }}`` where a value goes."""

from __future__ import annotations

import os
import re

__all__ = ("Template",)

_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Template:
    """A file of HTML with places for values.

    Args:
        file: The file's path.

    Raises:
        OSError: The file cannot be read.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        with open(file, encoding="utf-8") as source:
            self.template = source.read()

    def render(self, **values: object) -> str:
        """Put values into their places.

        Args:
            values: HTML for each place, by the place's name; places without a value become empty.

        Raises:
            ValueError: A value that the template has no place for.
        """
        places = set(_PLACE.findall(self.template))
        unknown = sorted(set(values) - places)
        if unknown:
            raise ValueError(f"the template has no place for {', '.join(unknown)}: its places are {sorted(places)}")
        return _PLACE.sub(lambda match: str(values.get(match[1], "")), self.template)

    @staticmethod
    def list_templates() -> list[str]:
        """Give the templates that come with the package: none."""
        return []
