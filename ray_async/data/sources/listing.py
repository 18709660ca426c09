"""Listings: the files that paths, folders and patterns stand for, in the order of their paths."""

from __future__ import annotations

import fnmatch
import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

from ray_async.data.sources.filesystem import resolved

__all__ = ("FileListing", "SourceFile", "listed_files")

_PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class SourceFile:
    """One file.

    Attributes:
        path: in its file system.
        size: bytes.
        base: the folder that was named, under which partitions begin.
    """

    path: str
    size: int
    base: str


@dataclass(frozen=True)
class FileListing:
    """Files of one file system."""

    filesystem: pafs.FileSystem
    files: tuple[SourceFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def listed_files(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    filesystem: Any = None,
    extensions: Sequence[str] | None = None,
    ignore_missing: bool = False,
    keep: Callable[[list[str]], list[str]] | None = None,
) -> FileListing:
    """The files that paths stand for.

    Args:
        paths: files, folders (with all folders inside), and patterns with ``* ? []``.
        filesystem: as for `resolved`.
        extensions: endings, without the dot, of files that are read out of folders; None: all. A file that is named is
            read whatever its ending. Names that begin with a dot or an underscore are left out of folders.
        ignore_missing: whether a path that does not exist is passed over.
        keep: given the paths, returns those to keep.

    Raises:
        FileNotFoundError: A path does not exist, or nothing matches a pattern.
        ValueError: There is no file at all, or the paths lie in different file systems.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    if not paths:
        raise ValueError("Must provide at least one path")
    chosen, inside = _in_one_system(paths, filesystem)
    found: list[SourceFile] = []
    # One question for all paths: stores answer many at a time.
    for given, info in zip(paths, chosen.get_file_info(inside), strict=True):
        found += _expanded(chosen, info, str(given), extensions, ignore_missing)
    if keep is not None:
        kept = set(keep([file.path for file in found]))
        found = [file for file in found if file.path in kept]
    if not found and not ignore_missing:
        endings = f" that end in {', '.join('.' + ending for ending in extensions)}" if extensions else ""
        raise ValueError(f"no files found under {[str(path) for path in paths]}{endings}")
    return FileListing(chosen, tuple(found))


def _in_one_system(paths: Sequence[str | os.PathLike[str]], filesystem: Any) -> tuple[pafs.FileSystem, list[str]]:
    """The file system of all paths, and the paths in it."""
    chosen: pafs.FileSystem | None = None
    inside = []
    for given in paths:
        system, path = resolved(given, filesystem)
        if chosen is not None and not chosen.equals(system):
            raise ValueError("the paths of one read must lie in one file system")
        chosen = chosen or system
        inside.append(path)
    assert chosen is not None
    return chosen, inside


def _expanded(
    system: pafs.FileSystem, info: pafs.FileInfo, given: str, extensions: Sequence[str] | None, ignore_missing: bool
) -> list[SourceFile]:
    path = info.path
    if info.type == pafs.FileType.NotFound and _PATTERN & set(path):
        found = _matching(system, path, extensions)
        if not found and not ignore_missing:
            raise FileNotFoundError(f"nothing matches {given}")
        return found
    if info.type == pafs.FileType.NotFound:
        if ignore_missing:
            return []
        raise FileNotFoundError(f"there is no file or folder {given}")
    if info.type == pafs.FileType.File:
        return [SourceFile(path, info.size, posixpath.dirname(path))]
    return _inside(system, path, extensions)


def _inside(system: pafs.FileSystem, folder: str, extensions: Sequence[str] | None) -> list[SourceFile]:
    infos = system.get_file_info(pafs.FileSelector(folder, recursive=True))
    root = folder.rstrip("/")
    found = []
    for info in infos:
        if info.type != pafs.FileType.File:
            continue
        parts = info.path.removeprefix(root).strip("/").split("/")
        if any(part.startswith((".", "_")) for part in parts):
            continue
        if extensions is None or _ends(parts[-1], extensions):
            found.append(SourceFile(info.path, info.size, root))
    return sorted(found, key=lambda file: file.path)


def _ends(name: str, extensions: Sequence[str]) -> bool:
    return name.lower().endswith(tuple("." + ending.lower().lstrip(".") for ending in extensions))


def _matches(name: str, pattern: str) -> bool:
    """Whether a name matches; one that begins with a dot or an underscore does if the pattern begins so too."""
    hidden = name.startswith((".", "_")) and name[0] != pattern[:1]
    return not hidden and fnmatch.fnmatchcase(name, pattern)


def _matching(system: pafs.FileSystem, pattern: str, extensions: Sequence[str] | None) -> list[SourceFile]:
    parts = pattern.split("/")
    first = next(index for index, part in enumerate(parts) if _PATTERN & set(part))
    base = "/".join(parts[:first]) or "/"
    selector = pafs.FileSelector(base, allow_not_found=True, recursive=True)
    found = []
    for info in system.get_file_info(selector):
        steps = info.path.split("/")
        if len(steps) != len(parts) or not all(map(_matches, steps[first:], parts[first:])):
            continue
        if info.type == pafs.FileType.File:
            found.append(SourceFile(info.path, info.size, base))
        elif info.type == pafs.FileType.Directory:
            found += _inside(system, info.path, extensions)
    return sorted(found, key=lambda file: file.path)
