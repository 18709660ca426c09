"""The type that annotations of Ray's map transformations name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

__all__ = ("MapTransformCallable",)

Input = TypeVar("Input", contravariant=True)
Output = TypeVar("Output", covariant=True)


class MapTransformCallable(Protocol[Input, Output]):
    """A function from an iterable of inputs to one of outputs."""

    def __call__(self, inputs: Iterable[Input], context: Any) -> Iterable[Output]: ...
