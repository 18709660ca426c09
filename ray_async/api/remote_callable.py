"""What remote functions, actor classes and actors' methods have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

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

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to build a task graph.

        Raises:
            NotImplementedError: Always: this release has no ``dag`` module.
        """
        raise NotImplementedError(
            f"bind() of {self._call_name()} needs the dag module, which is not part of this release: make calls with "
            ".remote(), and pass what they return to other calls instead."
        )
