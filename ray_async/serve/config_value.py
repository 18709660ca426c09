"""Configuration values: those that programs also make of plain dicts, and give out as such."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any, Self

__all__ = ("ConfigValue",)


class ConfigValue(ABC):
    """A dataclass with the methods by which programs for Ray turn configurations into dicts and back."""

    @classmethod
    @abstractmethod
    def of(cls, value: Any) -> Any:
        """The configuration that an option names."""

    @classmethod
    def _made_of(cls, value: Any, option: str) -> Self:
        """The configuration that an option names: one, or its fields.

        Args:
            value: What is given.
            option: The option's name, for errors.

        Raises:
            TypeError: Neither a configuration nor a mapping.
            ValueError: An unknown field, or a value that is not allowed.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise TypeError(f"{option} must be a dict or a {cls.__name__}, got {type(value)}")
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        unknown = sorted(str(name) for name in value if name not in known)
        if unknown:
            near = [nearest for name in unknown for nearest in get_close_matches(name, known, 1)]
            hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(known)}"
            raise ValueError(f"unknown key of {option}: {unknown}{hint}")
        return cls(**value)

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """Make a configuration of a dict, and check the values.

        Args:
            obj: A dict of the fields that are not the default, or a configuration.

        Raises:
            pydantic.ValidationError: An unknown field, or a value that is not allowed; it is a ValueError.

        Example:
            >>> serve.schema.LoggingConfig.model_validate({"encoding": "JSON"}).encoding
            'JSON'
        """
        from pydantic import PlainValidator, TypeAdapter  # which few programs need

        made: Self = TypeAdapter(Annotated[Any, PlainValidator(cls._checked)]).validate_python(obj)
        return made

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """Give the fields as a dict, of which `model_validate` makes an equal configuration.

        Args:
            exclude_none: Whether fields that are None are left out.

        Example:
            >>> serve.schema.LoggingConfig(encoding="JSON").model_dump(exclude_none=True)["encoding"]
            'JSON'
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {
            name: value.model_dump(exclude_none=exclude_none) if isinstance(value, ConfigValue) else _copied(value)
            for name, value in values.items()
            if not (exclude_none and value is None)
        }

    @classmethod
    def _checked(cls, value: Any) -> Any:
        if value is None:
            raise ValueError(f"a {cls.__name__} or a dict is needed, but not None")
        try:
            return cls.of(value)
        except TypeError as error:
            raise ValueError(str(error)) from error  # Pydantic passes on no TypeErrors


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict | list) else value
