"""An extension of griffe, which reads docstrings for the site: what it does not know of how they are written here."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ("House",)

# "first, second: text", with the lines that go on below it, in a section.
SEVERAL = re.compile(r"^( {4})([\w.]+(?:, [\w.]+)+)(: .*(?:\n {5,}.*)*)$", re.MULTILINE)


def is_record(cls: griffe.Class) -> bool:
    """Whether the annotated names of a class are its fields, as of a dataclass."""
    decorators = [str(decorator.value).partition("(")[0] for decorator in cls.decorators]
    bases = [str(base).rpartition(".")[2] for base in cls.bases]
    return "dataclass" in decorators or not {"Record", "NamedTuple"}.isdisjoint(bases)


def one_by_one(found: re.Match[str]) -> str:
    """Arguments or errors that share a description, each with its own."""
    indent, names, text = found.groups()
    return "\n".join(indent + name + text for name in names.split(", "))


class House(griffe.Extension):
    """Gives records their constructors, and examples and shared descriptions the form that griffe reads."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Add `__init__` to a record, as griffe itself does for the standard library's dataclasses."""
        if "__init__" in cls.members or not is_record(cls):
            return
        kind = griffe.ParameterKind.positional_or_keyword
        parameters = [griffe.Parameter("self", kind=kind)]
        for name, field in cls.attributes.items():
            if field.annotation is not None and not str(field.annotation).startswith("ClassVar"):
                parameters.append(griffe.Parameter(name, annotation=field.annotation, kind=kind, default=field.value))
        cls.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters)))

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mend the docstring."""
        if obj.docstring is not None:
            text = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
            obj.docstring.value = SEVERAL.sub(one_by_one, text)
