"""Actors: classes whose instances live in processes of their own, and handles to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, Unpack

from ray_async.api.actor_method import ActorMethod, method
from ray_async.api.remote_callable import RemoteCallable
from ray_async.engine.current import get_session, has_session
from ray_async.engine.protocol import ActorCore, Session
from ray_async.spec.actor_options import ActorOptions
from ray_async.spec.descriptors import BUILTIN_METHODS, ActorMeta, ClassDescriptor
from ray_async.spec.option_values import merge_options

if TYPE_CHECKING:
    from ray_async.call_types import AnyResult
    from ray_async.dag.class_node import ClassNode
    from ray_async.spec.option_types import ActorKeywords

__all__ = (
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "exit_actor",
    "method",
    "typed",
)

T = TypeVar("T", covariant=True)


class ActorClassInheritanceException(TypeError):
    """An actor class was used as a base class."""


class ActorClass(RemoteCallable, Generic[T]):
    """A class whose instances are actors.

    Args:
        cls: The class.
        options: Validated options of the decorator.

    Raises:
        AssertionError: A method names a concurrency group that is not declared.

    Example:
        >>> @ray.remote
        ... class Counter:
        ...     def __init__(self): self.n = 0
        ...     def add(self): self.n += 1; return self.n
        >>> counter = Counter.remote()
        >>> ray.get(counter.add.remote())
        1
    """

    _restored: type[Any]
    _default_options: dict[str, Any]

    def __init__(self, cls: type[Any], options: Mapping[str, Any]) -> None:
        descriptor = ClassDescriptor(cls, tuple(options.get("concurrency_groups") or ()))
        self._install(descriptor, dict(options))

    def _install(self, descriptor: ClassDescriptor, options: dict[str, Any]) -> None:
        self.__ray_metadata__ = descriptor
        self._default_options = options
        self.__name__ = descriptor.name
        self.__qualname__ = descriptor.qualname
        self.__module__ = descriptor.module
        self.__doc__ = descriptor.cls.__doc__

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle[T]:
        """Create an actor; returns at once.

        Args:
            args: Arguments of the constructor.
            kwargs: Its keyword arguments.

        Returns:
            A handle. An error of the constructor is raised by the calls of its methods.

        Raises:
            TypeError: The arguments do not fit the constructor.
            ValueError: An option that is not allowed, or a name that is taken (`ActorAlreadyExistsError`).
        """
        descriptor = self.__ray_metadata__
        descriptor.signature.check(len(args), kwargs)
        options = ActorOptions.resolve(self._default_options, is_async=descriptor.is_async)
        session = get_session()
        if options.get_if_exists:
            return _get_or_create(session, descriptor, options, args, kwargs)
        return ActorHandle(session.create_actor(descriptor, options, args, kwargs or None), descriptor.meta)

    def options(self, **options: Unpack[ActorKeywords]) -> ActorClass[T]:
        """Give the same class with other options, which go over the decorator's key by key.

        Args:
            options: Any actor option but ``concurrency_groups``.

        Raises:
            TypeError: A value of the wrong type.
            ValueError: An unknown option, or a value that is not allowed.
        """
        from ray_async.spec.option_checks import validate_actor_options  # the table, where it is used

        validate_actor_options(options, in_options=True)
        clone: ActorClass[T] = ActorClass.__new__(ActorClass)
        clone._install(self.__ray_metadata__, merge_options(self._default_options, options))
        return clone

    @property
    def __ray_actor_class__(self) -> type[Any]:
        """The class as the user wrote it; programs written for Ray ask for it by this name."""
        return self.__ray_metadata__.cls

    def _call_name(self) -> str:
        return self.__name__

    def bind(self, *args: Any, **kwargs: Any) -> ClassNode:
        from ray_async.dag.class_node import ClassNode  # graphs are not paid for by importing the package

        return ClassNode(self, args, kwargs, self._default_options)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to make a local instance.

        Raises:
            TypeError: Always.
        """
        name = self.__name__
        raise TypeError(f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'.")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        raise ActorClassInheritanceException(
            f"Inheriting from actor classes is not currently supported. Inherit from the plain class behind "
            f"{self.__name__}, and apply the decorator to both."
        )

    def __dir__(self) -> list[str]:
        methods = (name for name in self.__ray_metadata__.meta.methods if not name.startswith("_"))
        return sorted({*object.__dir__(self), *methods})

    def __getattr__(self, name: str) -> Any:
        if name in ("__ray_metadata__", "__name__", "__qualname__") and "_restored" in self.__dict__:
            self.__init__(self._restored, self._default_options)  # type: ignore[misc]
            return self.__dict__[name]
        if name.startswith("_"):
            raise AttributeError(f"Actor class has no attribute {name!r}")
        return getattr(self.__ray_metadata__.cls, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_class, (self.__ray_metadata__.cls, self._default_options)

    def __repr__(self) -> str:
        return f"ActorClass({self.__name__})"


class ActorHandle(Generic[T]):
    """A reference to an actor: its methods are attributes, called with ``.remote``.

    The actor lives for as long as there are handles to it, unless it is detached. Handles can be passed to tasks and
    other actors, compared and hashed (by the actor's id).

    Args:
        core: The actor, as the compiled core holds it.
        meta: Its methods.
    """

    def __init__(self, core: ActorCore, meta: ActorMeta) -> None:
        # methods found are kept in the instance's dictionary; they hold the core, not this handle: no cycle
        self._ray_core = core
        self._ray_meta = meta

    def __getattr__(self, name: str) -> ActorMethod[..., AnyResult]:
        if name in ("_ray_core", "_ray_meta"):  # not yet unpickled
            raise AttributeError(name)
        meta = self._ray_meta
        descriptor = meta.find(name)
        if descriptor is None:
            raise AttributeError(f"'{meta.class_name}' object has no attribute '{name}'", name=name, obj=self)
        found: ActorMethod[..., AnyResult] = ActorMethod(
            self._ray_core, meta.class_name, descriptor, descriptor.options, meta.concurrency_groups
        )
        self.__dict__[name] = found
        return found

    @property
    def _actor_id(self) -> Any:
        return self._ray_core.actor_id

    @property
    def _ray_actor_id(self) -> Any:
        return self._ray_core.actor_id

    def __dir__(self) -> list[str]:
        return sorted({"__init__", *self._ray_meta.methods, *BUILTIN_METHODS})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and bool(self._actor_id == other._actor_id)

    def __hash__(self) -> int:
        return hash(self._actor_id)

    def __reduce__(self) -> tuple[Any, ...]:
        from ray_async.serialization.actor_metas import pack  # not needed before a handle is sent

        return _restore_handle, (self._ray_core, pack(self._ray_meta))

    def __repr__(self) -> str:
        return f"Actor({self._ray_meta.class_name}, {self._actor_id.hex()})"


def typed(handle: ActorHandle[T]) -> T:
    """Give a handle the type of its actor's class, for type checkers that cannot look through handles.

    Methods that `method` has marked have ``.remote``, with the types of the method: pyright needs that, and mypy where
    the plugin `ray_async.mypy_plugin` is not used.

    Args:
        handle: A handle.

    Returns:
        The same handle.

    Example:
        >>> counter = ray.typed(ray.remote(Counter).remote(1))
        >>> counter.add.remote(2)  # an ObjectRef[int]
    """
    return handle  # type: ignore[return-value]


def _restore_handle(core: ActorCore, pickled: bytes) -> ActorHandle[Any]:
    """A handle out of a pickle."""
    from ray_async.serialization.actor_metas import unpack

    return ActorHandle(core, unpack(pickled))


def _restore_class(cls: type[Any], options: Mapping[str, Any]) -> ActorClass[Any]:
    """An actor class out of a pickle. One that refers to itself has no methods yet: they are looked up later."""
    found: ActorClass[Any] = ActorClass.__new__(ActorClass)
    found._restored, found._default_options = cls, dict(options)
    return found


ActorProxy = ActorHandle  # the name that typed programs use


def exit_actor() -> NoReturn:
    """End the actor whose method is running, after its exit handlers.

    Raises:
        TypeError: Called outside an actor.
        SystemExit: Otherwise; the worker knows it as an end that was asked for.
    """
    if not has_session() or get_session().context().actor_id is None:
        raise TypeError("exit_actor API is called on a non-actor worker: it is for methods of actors.")
    raise get_session().actor_exit()


def _get_or_create(
    session: Session,
    descriptor: ClassDescriptor,
    options: ActorOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> ActorHandle[Any]:
    from ray_async.exceptions import ActorAlreadyExistsError

    assert options.name is not None
    found = _find(session, options.name, options.namespace)
    if found is not None:
        return found
    try:
        return ActorHandle(session.create_actor(descriptor, options, args, kwargs or None), descriptor.meta)
    except ActorAlreadyExistsError:  # another caller was first
        return ActorHandle(*session.get_actor(options.name, options.namespace))


def _find(session: Session, name: str, namespace: str | None) -> ActorHandle[Any] | None:
    try:
        return ActorHandle(*session.get_actor(name, namespace))
    except ValueError:
        return None
