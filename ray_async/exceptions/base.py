"""`RayError`, the root of the error tree."""

from __future__ import annotations

from typing import Any

__all__ = ("CrossLanguageError", "RayError", "UnserializableException")


class RayError(Exception):
    """Base of every error that ray_async raises on its own account.

    Example:
        >>> error = RayError("the store is closed")
        >>> RayError.from_bytes(error.to_bytes()).args
        ('the store is closed',)
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructors of the tree take different arguments, so a copy is rebuilt from state, without calling them.
        return restore_error, (type(self), self.args, dict(self.__dict__))

    def to_bytes(self) -> bytes:
        """The error as bytes that `from_bytes` reads; never fails for an attribute that cannot be pickled."""
        from .payload import to_payload

        return to_payload(self)

    @staticmethod
    def from_bytes(payload: bytes) -> BaseException:
        """The error that `to_bytes` wrote, or an `UnserializableException` that keeps its text."""
        from .payload import from_payload

        return from_payload(payload)

    @staticmethod
    def from_ray_exception(ray_exception: bytes) -> BaseException:
        """The same as `from_bytes`, under the name that programs written for Ray know."""
        return RayError.from_bytes(ray_exception)


class UnserializableException(RayError):
    """An error of a task or actor could be sent, but not be rebuilt here.

    Args:
        original_stack_trace: text of the original error with its remote traceback.
    """

    def __init__(self, original_stack_trace: str) -> None:
        super().__init__(original_stack_trace)
        self._original_stack_trace = original_stack_trace

    def __str__(self) -> str:
        return (
            "The remote exception could not be rebuilt in this process. Usual reasons: its class cannot be imported "
            "here, or what its __reduce__ gives cannot be called. Give the class a __reduce__ method that works, or "
            "register a serializer for it with ray_async.util.register_serializer.\n"
            f"Original exception:\n{self._original_stack_trace}"
        )


class CrossLanguageError(RayError):
    """A worker that runs another language raised an error.

    Args:
        ray_exception: text of that error, or an object with `language` and `formatted_exception_string`.
    """

    def __init__(self, ray_exception: object) -> None:
        text = getattr(ray_exception, "formatted_exception_string", ray_exception)
        language = getattr(ray_exception, "language", "another language")
        super().__init__(f"A worker of {language} raised an error:\n{text}")


def restore_error(cls: type[RayError], args: tuple[object, ...], state: dict[str, object]) -> RayError:
    """Build an error of the tree from its class, `args` and attributes (used by pickle)."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
