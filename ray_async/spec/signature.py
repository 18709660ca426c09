"""Signatures of remote callables: a cheap arity check for the hot path and a full check that explains itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any, NamedTuple

__all__ = ("Signature", "constructor_signature", "function_signature")

_VARARGS = 0x04
_VARKEYWORDS = 0x08


class Signature(NamedTuple):
    """What a callable accepts, without defaults' values, so that it is small to ship.

    Args:
        name: How error messages call the function.
        positional: Names of the parameters that may be given by position, in order.
        positional_only: How many of these, from the left, may not be given by keyword.
        required: How many of these, from the left, have no default.
        keyword_only: Names of keyword-only parameters.
        keyword_required: Those of them without a default.
        varargs: Whether ``*args`` is there.
        varkeywords: Whether ``**kwargs`` is there.

    Example:
        >>> function_signature(lambda x, y=0: x).positional
        ('x', 'y')
    """

    name: str
    positional: tuple[str, ...] = ()
    positional_only: int = 0
    required: int = 0
    keyword_only: tuple[str, ...] = ()
    keyword_required: tuple[str, ...] = ()
    varargs: bool = False
    varkeywords: bool = False

    @property
    def minimum(self) -> int:
        """Least number of positional arguments that alone satisfies the signature (``sys.maxsize``: none does)."""
        return sys.maxsize if self.keyword_required else self.required

    @property
    def maximum(self) -> int:
        """Largest number of positional arguments."""
        return sys.maxsize if self.varargs else len(self.positional)

    def check(self, count: int, keywords: Iterable[str]) -> None:
        """Match a call, as the interpreter would.

        Args:
            count: Number of positional arguments.
            keywords: Names of the keyword arguments.

        Raises:
            TypeError: The call does not fit; the message names the parameter.
        """
        given = set(keywords)
        by_keyword = self.positional[self.positional_only :]
        if not self.varkeywords:
            self._check_unexpected(given, by_keyword)
        for name in self.positional[self.positional_only : count]:
            if name in given:
                raise TypeError(f"{self.name}() got multiple values for argument {name!r}")
        if count > len(self.positional) and not self.varargs:
            raise TypeError(self._too_many(count))
        missing = [
            name
            for index, name in enumerate(self.positional[: self.required])
            if index >= count and (index < self.positional_only or name not in given)
        ]
        if missing:
            raise TypeError(_missing(self.name, "positional", missing))
        absent = [name for name in self.keyword_required if name not in given]
        if absent:
            raise TypeError(_missing(self.name, "keyword-only", absent))

    def _check_unexpected(self, given: set[str], by_keyword: tuple[str, ...]) -> None:
        unexpected = sorted(given.difference(by_keyword, self.keyword_only))
        if not unexpected:
            return
        only = [name for name in self.positional[: self.positional_only] if name in given]
        if only:
            names = ", ".join(only)
            raise TypeError(f"{self.name}() got some positional-only arguments passed as keyword arguments: {names!r}")
        raise TypeError(f"{self.name}() got an unexpected keyword argument {unexpected[0]!r}")

    def _too_many(self, count: int) -> str:
        most = len(self.positional)
        takes = f"{most}" if self.required == most else f"from {self.required} to {most}"
        plural = "" if takes == "1" else "s"
        verb = "was" if count == 1 else "were"
        return f"{self.name}() takes {takes} positional argument{plural} but {count} {verb} given"


def function_signature(function: Callable[..., Any], *, bound: bool = False, name: str | None = None) -> Signature:
    """Read a function's signature.

    Args:
        function: The callable; ``functools.wraps`` and ``__signature__`` are honoured.
        bound: Leave out the first parameter (``self`` or ``cls``).
        name: How error messages call it; its ``__name__`` by default.

    Returns:
        The signature; one that accepts everything when the callable does not say (some builtins).
    """
    label = name or str(getattr(function, "__name__", function))
    plain = isinstance(function, FunctionType) and not (
        "__wrapped__" in function.__dict__ or "__signature__" in function.__dict__
    )
    if plain:
        return _from_code(function, label, 1 if bound else 0)
    return _from_inspect(function, label, 1 if bound else 0)


def constructor_signature(cls: type) -> Signature:
    """Read the signature with which a class is constructed, without ``self``.

    Args:
        cls: The class.

    Returns:
        The signature of ``__init__``; of ``__new__`` when only that is defined; no parameters when neither is.
    """
    label = f"{cls.__name__}.__init__"
    initializer: Any = cls.__init__  # type: ignore[misc]
    maker: Any = cls.__new__
    if initializer is not object.__init__:
        return function_signature(initializer, bound=True, name=label)
    if maker is not object.__new__:
        return function_signature(maker, bound=True, name=f"{cls.__name__}.__new__")
    return Signature(label)


def _from_code(function: Any, label: str, drop: int) -> Signature:
    code: CodeType = function.__code__
    names = code.co_varnames
    positional = names[: code.co_argcount]
    keyword_only = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    defaults = function.__kwdefaults__ or {}
    required = code.co_argcount - len(function.__defaults__ or ())
    return Signature(
        label,
        positional[drop:],
        max(code.co_posonlyargcount - drop, 0),
        max(required - drop, 0),
        keyword_only,
        tuple(name for name in keyword_only if name not in defaults),
        bool(code.co_flags & _VARARGS),
        bool(code.co_flags & _VARKEYWORDS),
    )


def _from_inspect(function: Callable[..., Any], label: str, drop: int) -> Signature:
    import inspect  # only odd callables pay for it

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return Signature(label, varargs=True, varkeywords=True)
    kinds = inspect.Parameter
    by_position = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)][drop:]
    by_keyword = [p for p in parameters if p.kind is kinds.KEYWORD_ONLY]
    return Signature(
        label,
        tuple(p.name for p in by_position),
        sum(p.kind is kinds.POSITIONAL_ONLY for p in by_position),
        sum(p.default is kinds.empty for p in by_position),
        tuple(p.name for p in by_keyword),
        tuple(p.name for p in by_keyword if p.default is kinds.empty),
        any(p.kind is kinds.VAR_POSITIONAL for p in parameters),
        any(p.kind is kinds.VAR_KEYWORD for p in parameters),
    )


def _missing(label: str, kind: str, names: list[str]) -> str:
    quoted = [repr(name) for name in names]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    plural = "" if len(names) == 1 else "s"
    return f"{label}() missing {len(names)} required {kind} argument{plural}: {listed}"
