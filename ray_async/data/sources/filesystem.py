"""File systems: paths and URIs to a file system of pyarrow's and a path in it."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.fs as pafs

__all__ = ("is_local", "resolved")


def resolved(path: str | os.PathLike[str], filesystem: Any = None) -> tuple[pafs.FileSystem, str]:
    """The file system and the path in it.

    Args:
        path: a path, or a URI such as ``s3://bucket/key`` or ``file:///folder``.
        filesystem: a file system of pyarrow's or fsspec's; None takes the one that the path names.

    Raises:
        ValueError: Nothing is installed that knows the URI's scheme.
        TypeError: The file system is of neither kind, or the path is no text.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a path is a text or a pathlib.Path, but got {path!r} ({type(path).__name__})")
    text = os.fspath(path)
    scheme = urlparse(text).scheme if "://" in text else ""
    if filesystem is not None:
        return _known(filesystem), text.split("://", 1)[1] if scheme else text
    if scheme == "local":
        text, scheme = text.removeprefix("local://"), ""
    if not scheme:
        return pafs.LocalFileSystem(), os.path.abspath(os.path.expanduser(text))
    if scheme == "file":
        return pafs.LocalFileSystem(), unquote(urlparse(text).path)
    try:
        found: tuple[pafs.FileSystem, str] = pafs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        return _by_fsspec(text, scheme, error)
    return found


def _known(filesystem: Any) -> pafs.FileSystem:
    if isinstance(filesystem, pafs.FileSystem):
        return filesystem
    if hasattr(filesystem, "protocol") and hasattr(filesystem, "open"):
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem))
    raise TypeError(f"filesystem must be one of pyarrow's or fsspec's, but is {type(filesystem).__name__}")


def _by_fsspec(uri: str, scheme: str, error: Exception) -> tuple[pafs.FileSystem, str]:
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError:
        raise ValueError(f"{uri!r}: pyarrow has no file system for {scheme}:// here, and fsspec is missing") from error
    try:
        filesystem, path = url_to_fs(uri)
    except (ImportError, ValueError) as missing:
        raise ValueError(f"{uri!r} cannot be opened: {missing}") from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path


def is_local(filesystem: pafs.FileSystem) -> bool:
    """Whether files can be renamed there in one step."""
    return isinstance(filesystem, pafs.LocalFileSystem)
