"""Reloading: noticing that sources have changed, and importing them anew."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ray_async import cloudpickle

__all__ = ("Sources",)

_PERIOD = 0.5  # seconds between two looks


class Sources:
    """The Python sources below a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._seen = self._look()

    def wait_for_change(self) -> list[Path]:
        """Wait until sources have changed, come or gone; gives those."""
        while True:
            time.sleep(_PERIOD)
            before, self._seen = self._seen, self._look()
            changed = [path for path, _ in set(before.items()) ^ set(self._seen.items())]
            if changed:
                return sorted(set(changed))

    def forget_modules(self) -> None:
        """Let the modules of the folder be imported anew."""
        for name in self._modules():
            del sys.modules[name]

    def travel_by_value(self) -> None:
        """Let classes of the folder's modules travel with their code: replicas must not find it imported already."""
        for name in self._modules():
            cloudpickle.register_pickle_by_value(sys.modules[name])

    def _modules(self) -> list[str]:
        files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
        return [
            name
            for name, file in files.items()
            if file is not None and name != "__main__" and Path(file).resolve() in self._seen
        ]

    def _look(self) -> dict[Path, int]:
        found = {}
        for path in self._folder.rglob("*.py"):
            parts = path.relative_to(self._folder).parts
            if not any(part.startswith(".") or part in ("node_modules", "site-packages") for part in parts):
                found[path] = path.stat().st_mtime_ns
        return found
