"""Ignored files of a directory, by patterns as in .gitignore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ("IgnoreRules", "included_files")

_IGNORE_FILES = (".gitignore", ".rayignore")
_DEFAULT_EXCLUDES = ".git,.venv,venv,__pycache__"


@dataclass(frozen=True, slots=True)
class _Rule:
    regex: re.Pattern[str]
    negated: bool
    directories_only: bool


class IgnoreRules:
    """Patterns that hold below one directory; the last that matches decides.

    Args:
        patterns: lines as in .gitignore.
        base: the directory that they are relative to, relative to the packaged one, with "/" at its end unless empty.
    """

    def __init__(self, patterns: Iterable[str], base: str = "") -> None:
        self._base = base
        self._rules = [rule for pattern in patterns if (rule := _parse(pattern)) is not None]

    def verdict(self, path: str, is_directory: bool) -> bool | None:
        """Whether to leave the path out (True), to keep it in spite of earlier rules (False), or neither (None)."""
        if not path.startswith(self._base):
            return None
        relative, decision = path.removeprefix(self._base), None
        for rule in self._rules:
            if (is_directory or not rule.directories_only) and rule.regex.fullmatch(relative):
                decision = not rule.negated
        return decision


def included_files(
    root: str, excludes: Iterable[str] = (), environ: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, str]]:
    """Yield the files below `root` that no pattern excludes, in the order of their names.

    The patterns are those of `excludes`, of ignore files at any level, and a few defaults
    (`RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES` replaces them; `RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1` passes over
    .gitignore). Links to directories are followed, unless they lead back to a directory on the way.

    Yields:
        The path relative to `root`, with "/", and the path of the file.
    """
    defaults = environ.get("RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES", _DEFAULT_EXCLUDES)
    names = _IGNORE_FILES[environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0") == "1" :]
    rules = [IgnoreRules([pattern for pattern in defaults.split(",") if pattern])]
    # What the caller excludes comes last, over the ignore files.
    yield from _walk(root, "", rules, IgnoreRules(excludes), names, (os.path.realpath(root),))


def _walk(
    directory: str,
    base: str,
    rules: list[IgnoreRules],
    excludes: IgnoreRules,
    names: tuple[str, ...],
    ancestors: tuple[str, ...],
) -> Iterator[tuple[str, str]]:
    entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    present = {entry.name for entry in entries}
    for name in names:
        if name in present:
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as lines:
                rules = [*rules, IgnoreRules(lines.read().splitlines(), base)]
    for entry in entries:
        path, is_directory = base + entry.name, entry.is_dir()
        if _is_excluded(path, is_directory, [*rules, excludes]):
            continue
        if not is_directory:
            if entry.is_file():
                yield path, entry.path
            continue
        real = os.path.realpath(entry.path)
        if real not in ancestors:
            yield from _walk(entry.path, path + "/", rules, excludes, names, (*ancestors, real))


def _is_excluded(path: str, is_directory: bool, rules: list[IgnoreRules]) -> bool:
    for rule in reversed(rules):
        verdict = rule.verdict(path, is_directory)
        if verdict is not None:
            return verdict
    return False


def _parse(line: str) -> _Rule | None:
    pattern = re.sub(r"(?<!\\)\s+$", "", line)
    if not pattern or pattern.startswith("#"):
        return None
    negated = pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    directories_only = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    if not pattern:
        return None
    # A slash inside ties the pattern to its directory; without one it matches at any depth.
    anchored = "/" in pattern
    regex = ("" if anchored else "(?:.*/)?") + _translate(pattern.lstrip("/"))
    try:
        return _Rule(re.compile(regex, re.DOTALL), negated, directories_only)
    except re.error as error:
        raise ValueError(f"bad exclude pattern {line!r}: {error}") from error


_TOKEN = re.compile(r"\A/\*\*|(?:(?<=/)|\A)\*\*/|/\*\*\Z|\*+|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _translate(pattern: str) -> str:
    return "".join(_translate_token(match[0]) for match in _TOKEN.finditer(pattern))


def _translate_token(token: str) -> str:
    if token == "**/":
        return "(?:.*/)?"
    if token == "/**":
        return "/.+"
    if token.startswith("*"):
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 2 and token[0] == "[":
        body = token[1:-1].replace("\\", "\\\\")
        return f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token[1] if token[0] == "\\" and len(token) == 2 else token)
