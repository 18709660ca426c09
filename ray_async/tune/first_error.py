"""First error: what is raised of several steps that are all made, whichever of them fail."""

from __future__ import annotations

from types import TracebackType

__all__ = ("FirstError",)


class FirstError:
    """Keeps the first error of its ``with`` blocks; later ones become notes of it.

    Ctrl-C is not kept: whoever presses it does not want the steps that are left.

    Example:
        >>> first = FirstError()
        >>> with first:
        ...     raise OSError("the disk is full")
        >>> with first:
        ...     raise ValueError("nothing was written")
        >>> first.error, first.error.__notes__
        (OSError('the disk is full'), ['later, ValueError: nothing was written'])
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> FirstError:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt):
            return False
        if self.error is None:
            self.error = error
        elif error is not self.error:
            self.error.add_note(f"later, {type(error).__name__}: {error}")
        return True

    def raise_it(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error
