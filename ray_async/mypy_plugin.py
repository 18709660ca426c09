"""The plugin for mypy: classes under ``@ray.remote``, methods of handles, and references as any argument.

Put it into mypy's configuration: ``plugins = ["ray_async.mypy_plugin"]``. Without it, mypy takes a class under
``@ray.remote`` for the plain class, gives calls of a handle's methods the type Any, and refuses references by keyword.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mypy.expandtype import expand_type_by_instance
from mypy.nodes import ARG_STAR, ARG_STAR2, Argument, Decorator, Expression, FuncDef, OverloadedFuncDef, TypeInfo, Var
from mypy.plugin import AttributeContext, ClassDefContext, FunctionContext, MethodContext, MethodSigContext, Plugin
from mypy.plugins.common import add_method_to_class
from mypy.typeops import bind_self
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    Overloaded,
    Parameters,
    Type,
    TypeOfAny,
    TypeVarType,
    UnionType,
    get_proper_type,
)

__all__ = ("RayAsyncPlugin", "plugin")

_DECORATOR = "ray_async.api.remote_decorator.remote"
_DECORATOR_CALLS = (
    "ray_async.api.remote_decorator._Decorator.__call__",
    "ray_async.api.remote_decorator._CountDecorator.__call__",
)
_FUNCTION = "ray_async.api.remote_function.RemoteFunction"
_HANDLE = "ray_async.api.actor.ActorHandle"
# The checker looks these up as attributes of modules, one after the other.
_METHOD = "ray_async.actor.ActorMethod"
_REFERENCE = "ray_async.ObjectRef"
_STREAM = "ray_async.ObjectRefGenerator"
_CALL = "ray_async.call_types.TypedCall"
_MARKED = "ray_async.call_types.TypedMethod"
_METADATA = "ray_async"
_OWN_NAMES = frozenset({"_actor_id", "_ray_actor_id", "_ray_core", "_ray_meta"})


class RayAsyncPlugin(Plugin):
    """What mypy asks about names of this package."""

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        """Give classes under the decorator their ``remote`` and ``options``."""
        return _make_actor_class if fullname in (_DECORATOR, "ray_async.remote") else None

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """Keep type variables of a function under the decorator."""
        return _remote_function if fullname == _DECORATOR else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """Keep them under a decorator with options too."""
        return _remote_function if fullname in _DECORATOR_CALLS else None

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        """Let arguments be references; construct actors as the class is constructed."""
        if fullname == f"{_CALL}.__call__":
            return _call_signature
        owner, _, name = fullname.rpartition(".")
        if name in ("remote", "options") and _is_actor_class(self.lookup_fully_qualified(owner)):
            return _constructor_signature if name == "remote" else _options_signature
        return None

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Type the methods of a handle."""
        owner, _, name = fullname.rpartition(".")
        return _handle_method(name) if owner == _HANDLE and name not in _OWN_NAMES else None


def plugin(version: str) -> type[Plugin]:
    """Give mypy the plugin.

    Args:
        version: mypy's.
    """
    return RayAsyncPlugin


def _is_actor_class(symbol: object) -> bool:
    node = getattr(symbol, "node", None)
    return isinstance(node, TypeInfo) and _METADATA in node.metadata


def _make_actor_class(context: ClassDefContext) -> bool:
    """Add the class methods that the decorator gives a class."""
    api, info = context.api, context.cls.info
    handle = api.named_type_or_none(_HANDLE, [_instance(info)])
    if handle is None:
        return False
    info.metadata[_METADATA] = {"actor": True}
    anything = AnyType(TypeOfAny.explicit)
    rest = [
        Argument(Var("args", anything), anything, None, ARG_STAR),
        Argument(Var("kwargs", anything), anything, None, ARG_STAR2),
    ]
    add_method_to_class(api, context.cls, "remote", rest, handle, is_classmethod=True)
    made = api.named_type_or_none("ray_async.api.actor.ActorClass", [_instance(info)])
    add_method_to_class(api, context.cls, "options", rest[1:], made or anything, is_classmethod=True)
    return True


def _instance(info: TypeInfo) -> Instance:
    return Instance(info, [AnyType(TypeOfAny.explicit) for _ in info.defn.type_vars])


def _remote_function(context: FunctionContext | MethodContext) -> Type:
    """Type a function under the decorator from the function itself, where its result is one of its type variables.

    Overloads know coroutine functions by their result, and a result that may be anything could be a coroutine.
    """
    made = get_proper_type(context.default_return_type)
    if not (isinstance(made, Instance) and made.type.fullname == _FUNCTION and context.arg_types[0]):
        return made
    function = get_proper_type(context.arg_types[0][0])
    if not isinstance(function, CallableType) or not isinstance(get_proper_type(function.ret_type), TypeVarType):
        return made
    result = get_proper_type(made.args[1])
    if not isinstance(result, AnyType):  # with num_returns, it stays Any
        result = context.api.named_generic_type(_REFERENCE, [function.ret_type])
    return made.copy_modified(args=[_parameters(function), result])


def _parameters(function: CallableType) -> Parameters:
    return Parameters(function.arg_types, function.arg_kinds, function.arg_names, variables=function.variables)


def _or_reference(context: MethodSigContext, argument: Type, given: Sequence[Expression] = ()) -> Type:
    """A formal argument that takes references; for a bare type variable, which fits all, what is given decides."""
    reference = context.api.named_generic_type(_REFERENCE, [argument])
    if isinstance(get_proper_type(argument), TypeVarType) and given:
        kind = get_proper_type(context.api.get_expression_type(given[0]))
        is_reference = isinstance(kind, Instance) and kind.type.fullname == reference.type.fullname
        return reference if is_reference else argument
    return UnionType([argument, reference])


def _call_signature(context: MethodSigContext) -> FunctionLike:
    """Take a value or a reference to one as each argument of a call."""
    call, default = get_proper_type(context.type), context.default_signature
    if not isinstance(call, Instance) or call.type.fullname != _CALL:
        return default
    accepts = get_proper_type(call.args[0])
    if not isinstance(accepts, Parameters) or accepts.is_ellipsis_args:
        return default
    # The first of the overloads has the function's own arguments; the others, made for mypy alone, become the same.
    own = default.arg_names == accepts.arg_names and default.arg_kinds == accepts.arg_kinds
    given = context.args if own else [[] for _ in accepts.arg_types]
    return default.copy_modified(
        arg_types=[_or_reference(context, *each) for each in zip(accepts.arg_types, given, strict=True)],
        arg_kinds=accepts.arg_kinds,
        arg_names=accepts.arg_names,
        ret_type=call.args[1],
        variables=accepts.variables,
    )


def _constructor_signature(context: MethodSigContext) -> FunctionLike:
    """Take what the class's own constructor takes."""
    made, default = get_proper_type(context.type), context.default_signature
    if isinstance(made, Overloaded) or not isinstance(made, CallableType) or not made.is_type_obj():
        return default
    return default.copy_modified(
        arg_types=[_or_reference(context, argument) for argument in made.arg_types],
        arg_kinds=made.arg_kinds,
        arg_names=made.arg_names,
        variables=made.variables,
    )


def _options_signature(context: MethodSigContext) -> FunctionLike:
    """Take the options of actor classes."""
    default = context.default_signature
    made = get_proper_type(default.ret_type)
    symbol = made.type.get("options") if isinstance(made, Instance) else None
    kind = get_proper_type(symbol.node.type) if symbol is not None and isinstance(symbol.node, FuncDef) else None
    if not isinstance(made, Instance) or not isinstance(kind, CallableType):
        return default
    return expand_type_by_instance(bind_self(kind, made), made)


def _handle_method(name: str) -> Callable[[AttributeContext], Type]:
    def find(context: AttributeContext) -> Type:
        handle, default = get_proper_type(context.type), context.default_attr_type
        if not isinstance(handle, Instance) or not handle.args:
            return default
        actor = get_proper_type(handle.args[0])
        if not isinstance(actor, Instance) or actor.type.fullname == "builtins.object" or name.startswith("__ray_"):
            return default
        found = actor.type.get(name)
        if found is None:
            if actor.type.fallback_to_any or actor.type.get("__getattr__"):
                return default
            context.api.fail(f'The actor\'s class "{actor.type.name}" has no method "{name}"', context.context)
            return AnyType(TypeOfAny.from_error)
        return _method_type(context, actor, found.node) or default

    return find


def _method_type(context: AttributeContext, actor: Instance, node: object) -> Type | None:
    """The type of a handle's attribute for a method of the class; None for what is not plain enough."""
    if isinstance(node, OverloadedFuncDef):
        return None
    kind = get_proper_type(node.type) if isinstance(node, FuncDef) else None
    if isinstance(node, Decorator):
        kind = get_proper_type(node.var.type)
        if isinstance(kind, Instance) and kind.type.fullname == _MARKED:
            return context.api.named_generic_type(_METHOD, [kind.args[1], kind.args[3]])
    if not isinstance(kind, CallableType):
        return None
    static = isinstance(node, Decorator) and node.func.is_static
    bound = kind if static else bind_self(kind, actor)
    return context.api.named_generic_type(_METHOD, [_parameters(bound), _result(context, bound)])


def _result(context: AttributeContext, method: CallableType) -> Type:
    """The type that a call of a method gives: a reference, or a stream of references for a generator."""
    given = get_proper_type(method.ret_type)
    if isinstance(given, Instance) and given.args:
        if given.type.fullname == "typing.Coroutine":
            return context.api.named_generic_type(_REFERENCE, [given.args[2]])
        if given.type.fullname in (
            "typing.Generator",
            "typing.Iterator",
            "typing.AsyncGenerator",
            "typing.AsyncIterator",
        ):
            return context.api.named_generic_type(_STREAM, [given.args[0]])
    return context.api.named_generic_type(_REFERENCE, [method.ret_type])
