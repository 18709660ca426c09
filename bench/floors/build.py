"""Compiles the floors on first use, with the flags of a release build."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ("FLAGS", "BuildError", "bare_queue", "native")

SOURCES = Path(__file__).parent
FLAGS = ("-O3", "-DNDEBUG", "-std=gnu11", "-fPIC", "-shared", "-fno-strict-aliasing")


class BuildError(Exception):
    """The compiler refused a floor; the message holds what it said."""


def native() -> ctypes.CDLL:
    """The C floors: `socketpair_round_trips`, `futex_round_trips`, `copy_into_shared`, each returning seconds.

    Raises:
        BuildError: there is no working C compiler.
    """
    library = ctypes.CDLL(str(_directory() / "native.so"))
    for name in ("socketpair_round_trips", "futex_round_trips"):
        function = getattr(library, name)
        function.argtypes, function.restype = [ctypes.c_long], ctypes.c_double
    library.copy_into_shared.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_int]
    library.copy_into_shared.restype = ctypes.c_double
    return library


def bare_queue() -> Any:
    """The class `BareQueue` of the Cython floor.

    Raises:
        BuildError: there is no working C compiler, or no Cython.
    """
    return _load(_directory() / f"bare_queue{sysconfig.get_config_var('EXT_SUFFIX')}").BareQueue


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bare_queue", path)
    if spec is None or spec.loader is None:
        raise BuildError(f"{path} is not an extension module of this Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _directory() -> Path:
    """The directory of this source's build; built there when it does not exist."""
    sources = sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".h", ".pyx"))
    digest = hashlib.sha256(repr((sys.version, _compiler(), FLAGS)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    root = SOURCES / ".build"
    target = root / digest.hexdigest()[:16]
    if target.is_dir():
        return target
    root.mkdir(exist_ok=True)
    (root / ".gitignore").write_text("*\n")
    scratch = Path(tempfile.mkdtemp(dir=root))
    try:
        _build(scratch)
        _publish(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _publish(scratch: Path, target: Path) -> None:
    """Move a finished build into place; another process that was faster has built the same."""
    try:
        scratch.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def _build(directory: Path) -> None:
    compiler = _compiler()
    plain = [str(SOURCES / "pingpong.c"), str(SOURCES / "copying.c")]
    _run([*compiler, *FLAGS, *plain, "-o", str(directory / "native.so")])
    generated = directory / "bare_queue.c"
    _run([sys.executable, "-m", "cython", "-3", str(SOURCES / "bare_queue.pyx"), "-o", str(generated)])
    includes = [f"-I{SOURCES}", f"-I{sysconfig.get_path('include')}"]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    _run([*compiler, *FLAGS, *includes, str(generated), "-o", str(directory / f"bare_queue{suffix}")])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} was not found; the floors need a C compiler") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{shlex.join(command)} failed:\n{error.stderr}") from error
