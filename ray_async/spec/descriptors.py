"""Descriptors: what is known about a remote function, an actor class and its methods, and what of it travels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, NamedTuple

from ray_async.spec.method_options import MethodOptions
from ray_async.spec.signature import Signature, constructor_signature, function_signature

__all__ = (
    "METHOD_OPTIONS_ATTRIBUTE",
    "ActorMeta",
    "ClassDescriptor",
    "FunctionDescriptor",
    "MethodDescriptor",
    "is_async_callable",
    "is_generator_callable",
    "is_plain_function",
)

METHOD_OPTIONS_ATTRIBUTE = "__ray_method_options__"
_INVOCATION_DECORATOR = "__ray_invocation_decorator__"
_GENERATOR = 0x20
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200
_NOT_METHODS = frozenset({"__init__", "__new__", "__del__", "__init_subclass__", "__class_getitem__"})

InvocationDecorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def is_plain_function(value: object) -> bool:
    """Return whether a value is a function written in Python or Cython."""
    return isinstance(value, FunctionType) or type(value).__name__ in (
        "cython_function_or_method",
        "fused_cython_function",
    )


def is_generator_callable(function: Any) -> bool:
    """Return whether calling gives a generator or an asynchronous generator."""
    return bool(_flags(function) & (_GENERATOR | _ASYNC_GENERATOR))


def is_async_callable(function: Any) -> bool:
    """Return whether a function is ``async def`` (a coroutine or an asynchronous generator)."""
    return bool(_flags(function) & (_COROUTINE | _ASYNC_GENERATOR))


def _flags(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return int(getattr(code, "co_flags", 0))


class FunctionDescriptor:
    """A function that tasks run.

    The signature is read at the first call: a function that refers to itself is unpickled before it is complete.

    Args:
        function: The function as the user wrote it.
    """

    __slots__ = ("__weakref__", "_signature", "function", "is_async", "is_generator", "module", "name", "qualname")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.module: str = getattr(function, "__module__", None) or "__main__"
        self.name: str = function.__name__
        self.qualname: str = function.__qualname__
        self.is_generator = is_generator_callable(function)
        self.is_async = is_async_callable(function)
        self._signature: Signature | None = None

    @property
    def signature(self) -> Signature:
        """What the function accepts."""
        if self._signature is None:
            self._signature = function_signature(self.function)
        return self._signature

    @property
    def invocation_decorator(self) -> InvocationDecorator | None:
        """What wraps ``.remote`` of this function, if the function names one."""
        decorator: InvocationDecorator | None = getattr(self.function, _INVOCATION_DECORATOR, None)
        return decorator

    def __repr__(self) -> str:
        return f"FunctionDescriptor({self.module}.{self.qualname})"


class MethodDescriptor(NamedTuple):
    """A method of an actor: small, and shipped with the handle.

    Args:
        name: Its name.
        signature: What it accepts, without ``self``.
        options: Its defaults, from the ``method`` decorator.
        is_generator: Whether it is a generator (asynchronous ones too).
        is_async: Whether it is ``async def``.
        invocation_decorator: What wraps ``.remote`` of it, or None.
        doc: Its docstring.
        function: The function, where the class is known; it is not shipped.
    """

    name: str
    signature: Signature
    options: MethodOptions = MethodOptions()
    is_generator: bool = False
    is_async: bool = False
    invocation_decorator: InvocationDecorator | None = None
    doc: str | None = None
    function: Any = None


BUILTIN_METHODS: Mapping[str, MethodDescriptor] = {
    "__ray_ready__": MethodDescriptor("__ray_ready__", Signature("__ray_ready__")),
    "__ray_terminate__": MethodDescriptor("__ray_terminate__", Signature("__ray_terminate__")),
    "__ray_call__": MethodDescriptor(
        "__ray_call__", Signature("__ray_call__", ("fn",), 1, 1, varargs=True, varkeywords=True)
    ),
}


class ActorMeta:
    """What a handle must know to call its actor.

    Args:
        class_name: Qualified name of the class, for messages.
        module: Module of the class.
        methods: Its methods by name.
        is_async: Whether the methods run on an event loop.
        concurrency_groups: Names of the declared groups.
    """

    __slots__ = ("__weakref__", "class_name", "concurrency_groups", "is_async", "methods", "module", "pickled")

    def __init__(
        self,
        class_name: str,
        module: str,
        methods: Mapping[str, MethodDescriptor],
        is_async: bool = False,
        concurrency_groups: tuple[str, ...] = (),
    ) -> None:
        self.class_name = class_name
        self.module = module
        self.methods = methods
        self.is_async = is_async
        self.concurrency_groups = concurrency_groups
        self.pickled: bytes | None = None  # made once, for all handles that are sent

    def __reduce__(self) -> tuple[Any, ...]:
        methods = {name: method._replace(function=None) for name, method in self.methods.items()}
        return ActorMeta, (self.class_name, self.module, methods, self.is_async, self.concurrency_groups)

    def find(self, name: str) -> MethodDescriptor | None:
        """Look a method up, those that every actor has included."""
        return self.methods.get(name) or BUILTIN_METHODS.get(name)


class ClassDescriptor:
    """A class that actors are made of.

    Args:
        cls: The class as the user wrote it.
        concurrency_groups: Names of the declared groups.

    Raises:
        AssertionError: A method names a concurrency group that is not declared.
    """

    __slots__ = ("__weakref__", "_signature", "cls", "is_async", "meta", "module", "name", "qualname")

    def __init__(self, cls: type, concurrency_groups: tuple[str, ...] = ()) -> None:
        self.cls = cls
        self.module: str = cls.__module__
        self.name: str = cls.__name__
        self.qualname: str = cls.__qualname__
        self._signature: Signature | None = None
        methods = _methods(cls)
        self.is_async = any(method.is_async for method in methods.values())
        self.meta = ActorMeta(self.name, self.module, methods, self.is_async, concurrency_groups)
        for method in methods.values():
            group = method.options.concurrency_group
            if group is not None and group not in concurrency_groups:
                raise AssertionError(
                    f"Method {self.name}.{method.name} uses concurrency group {group!r}, which is not declared: "
                    f"declared are {list(concurrency_groups)}."
                )

    @property
    def class_name(self) -> str:
        """The class's name, as listings show it."""
        return self.name

    @property
    def modified_class(self) -> type:
        """The class that actors are made of; here it is the user's own."""
        return self.cls

    @property
    def signature(self) -> Signature:
        """What the constructor accepts."""
        if self._signature is None:
            self._signature = constructor_signature(self.cls)
        return self._signature

    def __repr__(self) -> str:
        return f"ClassDescriptor({self.module}.{self.qualname})"


def _methods(cls: type) -> dict[str, MethodDescriptor]:
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):  # the last is object
        members.update(base.__dict__)
    found = {}
    for name, member in sorted(members.items()):
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if name not in _NOT_METHODS and is_plain_function(function):
            found[name] = _method(cls, name, function, bound=not isinstance(member, staticmethod))
    return found


def _method(cls: type, name: str, function: Any, *, bound: bool) -> MethodDescriptor:
    generator = is_generator_callable(function)
    defaults = MethodOptions(num_returns="streaming" if generator else 1)
    given = getattr(function, METHOD_OPTIONS_ATTRIBUTE, {})
    return MethodDescriptor(
        name,
        function_signature(function, bound=bound, name=f"{cls.__name__}.{name}"),
        defaults.merge(given, is_generator=generator),
        generator,
        is_async_callable(function),
        getattr(function, _INVOCATION_DECORATOR, None),
        function.__doc__,
        function if bound else staticmethod(function),
    )
