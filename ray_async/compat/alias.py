"""The module `ray`: an alias of this package that the import system gives to whoever imports it.

``ray.x`` is the very module ``ray_async.x``, so there is one copy of everything. The top module alone is an object of
its own, since programs compare ``ray.__version__`` with versions of Ray.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import ray_async
from ray_async.engine.worker_imports import worker_imports
from ray_async.version import RAY_VERSION

__all__ = ("install", "is_installed", "uninstall")

_NAME = "ray"
_AS_RAY = "ray_async.compat.as_ray"


class _RayModule(ModuleType):
    """The top of the alias: what is not set on the module itself is looked up in this package."""

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(ray_async, name)
        except AttributeError:
            # Without the package's own words: they name another module.
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}", name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(ray_async)})

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (_NAME,)  # as any module: by its name


class _AliasLoader(Loader):
    """Hands out a module that is imported under another name."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has set the alias's


class _Distribution(metadata.Distribution):
    """Ray as an installed distribution, for who asks `importlib.metadata` for the version."""

    def read_text(self, filename: str) -> str | None:
        if filename not in ("METADATA", "PKG-INFO"):
            return None
        return f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {RAY_VERSION}\nSummary: The API of Ray, by ray_async\n"

    def locate_file(self, path: Any) -> Any:
        return os.path.join(os.path.dirname(ray_async.__file__), path)


class _Finder:
    """Meta-path finder of `ray` and `ray.*`, and of the distribution `ray`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if top != _NAME:
            return None
        if not rest:
            return ModuleSpec(fullname, _AliasLoader(_top()), is_package=True)
        real = f"{ray_async.__name__}.{rest}"
        try:
            module = importlib.import_module(real)
        except ModuleNotFoundError as error:
            if error.name != real:
                raise
            return None
        # Should that import have imported the alias too, the import system would load the module a second time.
        sys.modules.pop(fullname, None)
        # What is imported already must not be loaded again by its other name: the import system would put the module
        # in its parent, where something else may have that name, as the function `serve.deployment` has.
        for name, known in list(sys.modules.items()):
            if name.startswith(f"{real}."):
                sys.modules.setdefault(_NAME + name.removeprefix(ray_async.__name__), known)
        return ModuleSpec(fullname, _AliasLoader(module), is_package=hasattr(module, "__path__"))

    def find_distributions(
        self, context: metadata.DistributionFinder.Context | None = None
    ) -> Iterable[metadata.Distribution]:
        if context is None or context.name in (None, _NAME):
            yield _Distribution()


_finder = _Finder()


def _top() -> ModuleType:
    module = _RayModule(_NAME, ray_async.__doc__)
    module.__path__ = []
    module.__version__ = RAY_VERSION  # type: ignore[attr-defined]
    module.__file__ = ray_async.__file__
    return module


def install() -> None:
    """Make ``import ray`` mean this package, in this process and in the workers of sessions that it starts or joins.

    Raises:
        ImportError: Ray itself has been imported already.
        RuntimeError: A session runs already, whose workers would not know the alias.

    Example:
        >>> from ray_async import compat
        >>> compat.install()
        >>> import ray
        >>> ray.__version__
        '2.60.0'
    """
    if is_installed():
        return
    if _NAME in sys.modules:
        where = getattr(sys.modules[_NAME], "__file__", None)
        raise ImportError(
            f"the module 'ray' was imported already, from {where}: install ray_async.compat before that",
            name=_NAME,
        )
    if ray_async.is_initialized():
        raise RuntimeError("install ray_async.compat before init(): the workers of a running session do not know 'ray'")
    sys.meta_path.insert(0, _finder)
    worker_imports.append(_AS_RAY)


def is_installed() -> bool:
    """Return whether ``import ray`` means this package here."""
    return _finder in sys.meta_path


def uninstall() -> None:
    """Take the alias away again; modules that have imported `ray` keep what they have."""
    if is_installed():
        sys.meta_path.remove(_finder)
        worker_imports.remove(_AS_RAY)
        for name in [name for name in sys.modules if name == _NAME or name.startswith(f"{_NAME}.")]:
            del sys.modules[name]
