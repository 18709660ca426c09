"""Remote callables: base of remote functions, actor classes and actors' methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("RemoteCallable",)


class RemoteCallable:
    """Something with ``.remote()`` and ``.options()``."""

    __slots__ = ()

    def _remote(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Call it with arguments and options at once, as programs do that make calls for others."""
        this: Any = self
        target = this.options(**options) if options else this
        return target.remote(*(args or ()), **(kwargs or {}))

    def _call_name(self) -> str:
        """What messages call it."""
        raise NotImplementedError

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """Write a call down without making it.

        Args:
            args: Arguments, which may be nodes: their results are passed on.
            kwargs: Keyword arguments, likewise.

        Returns:
            A node of a graph, whose ``execute`` makes the call and those that it depends on; of a method with several
            returns, a node for each.
        """
        raise NotImplementedError
