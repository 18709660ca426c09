"""Copies of directories and modules under the hash of their content.

A package is a zip file `<session_dir>/runtime_env/<sha256>.zip`, addressed as `pkg://<sha256>.zip`. Workers unpack it
once a machine, into a directory beside it: the first unpacks under a lock to a temporary name and renames, so that
nobody ever sees half a directory.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray_async.exceptions import pickler
from ray_async.runtime_env.ignore import included_files
from ray_async.runtime_env.runtime_env import RuntimeEnv
from ray_async.runtime_env.validation import local_path
from ray_async.runtime_env.worker_setup import PICKLED_HOOK

__all__ = ("DEFAULT_SIZE_LIMIT", "package", "package_env", "package_root", "unpack")

DEFAULT_SIZE_LIMIT = 512 * 1024 * 1024
"""Bytes that the files of one package may have together."""

_SCHEME = "pkg://"
_ARCHIVES = (".zip", ".whl", ".tar.gz", ".tgz", ".tar.xz")
# The earliest time that a zip file can hold: equal content makes equal files.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def package_root(session_dir: str | os.PathLike[str]) -> Path:
    """Return the directory of packages in a session's directory."""
    return Path(session_dir) / "runtime_env"


def package_env(
    env: Mapping[str, Any],
    session_dir: str | os.PathLike[str],
    size_limit: int = DEFAULT_SIZE_LIMIT,
    dumps: Callable[[object], bytes] = pickler.dumps,
) -> RuntimeEnv:
    """Return the environment in a form that other processes can use: local paths and functions are replaced.

    Args:
        env: the environment.
        session_dir: the session's directory, which gets the packages.
        size_limit: bytes that a package's files may have together.
        dumps: pickles a setup hook.

    Raises:
        ValueError: a package is too large.
        OSError: a file cannot be read.
    """
    packaged = RuntimeEnv(_validate=False, **env)
    excludes = packaged.pop("excludes", [])
    root = package_root(session_dir)
    wanted = packaged.working_dir()
    if wanted and (directory := local_path(wanted)) is not None:
        with _naming("working_dir"):
            dict.__setitem__(packaged, "working_dir", package(directory, root, excludes, size_limit=size_limit))
    if modules := packaged.py_modules():
        with _naming("py_modules"):
            addresses = [
                module
                if (path := local_path(module)) is None
                else package(path, root, excludes, keep_name=True, size_limit=size_limit)
                for module in modules
            ]
        dict.__setitem__(packaged, "py_modules", addresses)
    hook = packaged.get("worker_process_setup_hook")
    if callable(hook):
        pickled = base64.b64encode(dumps(hook)).decode()
        dict.__setitem__(packaged, "worker_process_setup_hook", PICKLED_HOOK + pickled)
    return packaged


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Say of which field a file is that cannot be read."""
    try:
        yield
    except OSError as error:
        text = f"{field} of the runtime environment: {error.strerror or error}"
        raise OSError(error.errno, text, error.filename) from error


def package(
    path: str,
    root: Path,
    excludes: Iterable[str] = (),
    *,
    keep_name: bool = False,
    size_limit: int = DEFAULT_SIZE_LIMIT,
) -> str:
    """Store a directory, a file or an archive as a package and return its address.

    Args:
        path: what to store.
        root: the directory of packages.
        excludes: patterns as in .gitignore.
        keep_name: put a directory under its own name rather than its content at the top, so that it can be imported.
        size_limit: bytes that the files may have together.

    Raises:
        ValueError: the files are too large together.
        OSError: a file cannot be read.
    """
    if path.endswith(_ARCHIVES) and os.path.isfile(path):
        files = [(os.path.basename(path), path)]
        _check_size(path, files, size_limit)
        return _store_archive(path, root)
    if os.path.isfile(path):
        files = [(os.path.basename(path), path)]
    else:
        prefix = f"{os.path.basename(path.rstrip('/'))}/" if keep_name else ""
        files = [(prefix + name, file) for name, file in included_files(path, excludes)]
    _check_size(path, files, size_limit)
    address = f"{_digest(files)}.zip"
    with _write_once(root / address) as target:
        if target is not None:
            _write_zip(target, files)
    return _SCHEME + address


def unpack(address: str, session_dir: str | os.PathLike[str]) -> Path:
    """Return the directory with the content of a package; the first process that asks unpacks it.

    Raises:
        FileNotFoundError: the session has no such package.
        NotImplementedError: the address is that of a store on the network.
    """
    if not address.startswith(_SCHEME):
        raise NotImplementedError(f"{address}: fetching from the network is not available yet; use a local path")
    root = package_root(session_dir)
    name = os.path.basename(address)
    archive, directory = root / name, root / name.split(".")[0]
    if directory.is_dir():
        return directory
    if not archive.is_file():
        raise FileNotFoundError(f"the session has no package {address}")
    with _locked(root):
        if not directory.is_dir():
            temporary = Path(tempfile.mkdtemp(dir=root, prefix="unpack-"))
            try:
                _extract(archive, temporary)
                temporary.chmod(0o755)
                temporary.rename(directory)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
    return directory


def _check_size(path: str, files: list[tuple[str, str]], size_limit: int) -> None:
    sizes = {name: os.path.getsize(file) for name, file in files}
    total = sum(sizes.values())
    if total > size_limit:
        largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
        listed = ", ".join(f"{name} ({sizes[name] / 2**20:.1f} MiB)" for name in largest)
        raise ValueError(
            f"{path} has {total / 2**20:.1f} MiB, more than the limit of {size_limit / 2**20:g} MiB for a package. "
            f"The largest files: {listed}. Leave out what workers do not need with `excludes` or a .gitignore."
        )


def _digest(files: list[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, file in files:
        with open(file, "rb") as content:
            executable = os.fstat(content.fileno()).st_mode & stat.S_IXUSR
            inner = hashlib.file_digest(content, "sha256").digest()
        digest.update(f"{len(name)}:{name}:{bool(executable)}:".encode("utf-8", "surrogateescape") + inner)
    return digest.hexdigest()


def _store_archive(path: str, root: Path) -> str:
    with open(path, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    suffix = next(suffix for suffix in _ARCHIVES if path.endswith(suffix))
    address = f"{digest}{'.zip' if suffix == '.whl' else suffix}"
    with _write_once(root / address) as target:
        if target is not None:
            shutil.copyfile(path, target)
    return _SCHEME + address


def _write_zip(target: Path, files: list[tuple[str, str]]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, file in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            executable = os.stat(file).st_mode & stat.S_IXUSR
            entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            with open(file, "rb") as source, archive.open(entry, "w", force_zip64=True) as packed:
                shutil.copyfileobj(source, packed, 1 << 20)


def _extract(archive: Path, directory: Path) -> None:
    if archive.suffix != ".zip":
        with tarfile.open(archive) as tar:
            tar.extractall(directory, filter="data")
        return
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            path = packed.extract(entry, directory)
            mode = entry.external_attr >> 16
            if mode & stat.S_IXUSR and not entry.is_dir():
                os.chmod(path, 0o755)


@contextmanager
def _write_once(path: Path) -> Iterator[Path | None]:
    """Give a temporary name to write to, which becomes `path` at the end; None if `path` is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        yield None
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix="write-")
    os.close(descriptor)
    try:
        yield Path(name)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    descriptor = os.open(root / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
