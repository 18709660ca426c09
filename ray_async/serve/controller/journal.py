"""The journal: what the controller knows, in Serve's folder, so that a new one begins where a killed one was.

One file, replaced as a whole before what it says is carried out. Deployments' specifications, which may have large
code, are files of their own, named by their contents and written once. Only this session's owner can write there.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray_async import cloudpickle
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.records import ControllerRecord

__all__ = ("Journal",)


class Journal:
    """Reads and replaces the journal.

    Args:
        folder: Serve's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "journal"
        self._names: dict[int, tuple[DeploymentSpec, str]] = {}  # by the specification's id, which lives while it does
        self._last = b""

    def read(self) -> ControllerRecord | None:
        """What was written last; None where nothing was."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        found: dict[str, DeploymentSpec] = {}

        def load(name: str) -> DeploymentSpec:
            if name not in found:
                spec: DeploymentSpec = cloudpickle.loads((self._folder / name).read_bytes())
                found[name] = spec
                self._names[id(spec)] = spec, name
            return found[name]

        record: ControllerRecord = _Unpickler(data, load).load()
        return record

    def write(self, record: ControllerRecord) -> None:
        """Replace what was written, unless it says the same."""
        used: dict[int, tuple[DeploymentSpec, str]] = {}

        def name_of(spec: DeploymentSpec) -> str:
            known = self._names.get(id(spec))
            if known is None:
                known = self._names[id(spec)] = spec, self._store(spec)
            used[id(spec)] = known
            return known[1]

        file = io.BytesIO()
        _Pickler(file, name_of).dump(record)
        data = file.getvalue()
        if data == self._last:
            return
        _replace(self._path, data)
        self._last = data
        names = {name for _, name in used.values()}
        for _, name in self._names.values():
            if name not in names:
                (self._folder / name).unlink(missing_ok=True)
        self._names = used

    def _store(self, spec: DeploymentSpec) -> str:
        data = cloudpickle.dumps(spec)
        name = f"spec-{hashlib.sha256(data).hexdigest()[:32]}"
        if not (self._folder / name).exists():
            _replace(self._folder / name, data)
        return name


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, name_of: Callable[[DeploymentSpec], str]) -> None:
        super().__init__(file, protocol=5)
        self._name_of = name_of

    def persistent_id(self, value: Any) -> str | None:
        """The name of the file that stands for a specification; other values are written here."""
        return self._name_of(value) if isinstance(value, DeploymentSpec) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, load_spec: Callable[[str], DeploymentSpec]) -> None:
        super().__init__(io.BytesIO(data))
        self._load_spec = load_spec

    def persistent_load(self, name: Any) -> DeploymentSpec:
        """The specification that a file has."""
        return self._load_spec(name)


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # it may have a password
        file.write(data)
    new.replace(path)
