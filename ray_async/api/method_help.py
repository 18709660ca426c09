"""Help on an actor's method: the signature and docstring that editors and notebooks show for a handle's attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.spec.descriptors import MethodDescriptor

if TYPE_CHECKING:
    import inspect

__all__ = ("MethodDoc", "MethodHelp", "method_signature")


class MethodDoc:
    """A class's docstring on the class, and the method's on its instances.

    Args:
        doc: The class's.
    """

    def __init__(self, doc: str) -> None:
        self._doc = doc

    def __get__(self, instance: Any, owner: type) -> str | None:
        if instance is None:
            return self._doc
        descriptor: MethodDescriptor = instance._descriptor
        return descriptor.doc


class MethodHelp:
    """Stands behind a ``.remote`` as the function that it wraps, for whoever inspects it.

    Args:
        descriptor: The method.
    """

    __slots__ = ("_descriptor",)

    __doc__ = MethodDoc("Help on a method.")

    def __init__(self, descriptor: MethodDescriptor) -> None:
        self._descriptor = descriptor

    @property
    def __signature__(self) -> inspect.Signature:
        return method_signature(self._descriptor)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self._descriptor.signature.name}() is a method of an actor: call it with .remote()")


def method_signature(descriptor: MethodDescriptor) -> inspect.Signature:
    """Give a method's signature without ``self``: with annotations and defaults where its class is known."""
    import inspect

    function = descriptor.function
    if function is not None:
        bound = not isinstance(function, staticmethod)
        found = inspect.signature(function if bound else function.__func__)
        return found.replace(parameters=list(found.parameters.values())[1:]) if bound else found
    accepts, parameter = descriptor.signature, inspect.Parameter
    parameters = [
        parameter(
            name,
            parameter.POSITIONAL_ONLY if index < accepts.positional_only else parameter.POSITIONAL_OR_KEYWORD,
            default=parameter.empty if index < accepts.required else ...,
        )
        for index, name in enumerate(accepts.positional)
    ]
    if accepts.varargs:
        parameters.append(parameter("args", parameter.VAR_POSITIONAL))
    parameters += [
        parameter(name, parameter.KEYWORD_ONLY, default=parameter.empty if name in accepts.keyword_required else ...)
        for name in accepts.keyword_only
    ]
    if accepts.varkeywords:
        parameters.append(parameter("kwargs", parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)
