"""Import paths: applications, or functions that build them, by their names."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import sys
import typing
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pydantic

from ray_async.serve.application import Application
from ray_async.serve.deploying.schema import ConfigError

__all__ = ("find_application", "find_attribute")


def find_application(import_path: str, arguments: Mapping[str, Any]) -> Application:
    """Import an application, or build it.

    Args:
        import_path: As ``module:attribute`` or ``module.attribute``; an application, or a function that makes one of a
            dict or a Pydantic model.
        arguments: What such a function gets.

    Raises:
        ConfigError: There is nothing there, or something else.
    """
    found = find_attribute(import_path)
    if isinstance(found, Application):
        if arguments:
            raise ConfigError(f"{import_path} is an application, which takes no arguments; got {sorted(arguments)}")
        return found
    if not inspect.isfunction(found):
        raise ConfigError(f"{import_path} must be an application, as `.bind()` gives it, or a function that builds one")
    built = found(_argument(found, arguments))
    if not isinstance(built, Application):
        raise ConfigError(f"{import_path} must give an application, as `.bind()` gives it, but gave {type(built)}")
    return built


def find_attribute(import_path: str) -> Any:
    """Import what a path names.

    Args:
        import_path: As ``module:attribute`` or ``module.attribute``.

    Raises:
        ConfigError: There is nothing there.
    """
    module_name, _, attribute = import_path.partition(":") if ":" in import_path else import_path.rpartition(".")
    if not module_name or not attribute or "/" in import_path or _is_source(import_path):
        raise ConfigError(_no_path(import_path))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        near = _nearest(error.name, _modules_beside(error.name))
        raise ConfigError(
            f"there is no module {error.name!r}, which the import path {import_path!r} names{near}"
        ) from None
    if ":" not in import_path and _is_module(found, import_path):
        raise ConfigError(f"{import_path!r} is a module: write {_example(import_path)}")
    for name in attribute.split("."):
        if not hasattr(found, name):
            near = _nearest(name, [one for one in dir(found) if not one.startswith("_")])
            raise ConfigError(
                f"there is no {name!r} in {module_name}, which the import path {import_path!r} names{near}"
            )
        found = getattr(found, name)
    return found


def _no_path(text: str) -> str:
    """What is wrong with a text that names no module, or nothing in it."""
    if _is_source(text):
        return f"{text!r} is a file: write {_example(Path(text).stem)}"
    return f"{text!r} names no application: write it as module:attribute, or name a YAML file (.yaml, .yml)"


def _is_module(package: Any, path: str) -> bool:
    """Whether a path names a module of a package, and nothing else that the package has under that name."""
    name = path.rpartition(".")[2]
    if hasattr(package, name):
        return inspect.ismodule(getattr(package, name))
    return hasattr(package, "__path__") and importlib.util.find_spec(path) is not None


def _example(module: str) -> str:
    return f"{module}:app, where `app` is the application in it"


def _modules_beside(name: str) -> list[str]:
    """The names of the modules that lie where one was looked for."""
    package, dot, _ = name.rpartition(".")
    folders = getattr(sys.modules[package], "__path__", ()) if dot else None
    return [f"{package}{dot}{one.name}" for one in pkgutil.iter_modules(folders)]


def _is_source(text: str) -> bool:
    return text.endswith(".py") and Path(text).is_file()


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _argument(builder: Any, arguments: Mapping[str, Any]) -> Any:
    """What a builder takes: a dict, or the Pydantic model that its parameter is annotated with."""
    parameters = list(inspect.signature(builder).parameters)
    if len(parameters) != 1:
        raise ConfigError(f"{builder.__name__} must take one argument, a dict or a Pydantic model, not {parameters}")
    model = typing.get_type_hints(builder).get(parameters[0])
    if inspect.isclass(model) and issubclass(model, pydantic.BaseModel):
        return model.model_validate(dict(arguments))
    return dict(arguments)
