"""The parser of the package's commands: it says which word was probably meant."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ray_async.suggestion import did_you_mean

__all__ = ("CommandParser",)

_CHOICE = re.compile(r"invalid choice: '(?P<word>.*)' \(choose from (?P<known>.*)\)$")
_NAME = re.compile(r"[\w.-]+")


class CommandParser(argparse.ArgumentParser):
    """A parser that names the nearest command, option or choice in place of one that is not known.

    Takes what argparse's takes; parsers of its commands are of this class too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._flags: set[str] = set()
        self._commands: dict[str, CommandParser] = {}
        super().__init__(*args, **kwargs)

    def add_argument(self, *names: Any, **kwargs: Any) -> argparse.Action:
        """Add an argument."""
        self._flags.update(name for name in names if name.startswith("--"))
        return super().add_argument(*names, **kwargs)

    def add_subparsers(self, **kwargs: Any) -> Any:
        """Have commands."""
        commands: Any = super().add_subparsers(**kwargs)
        self._commands = commands.choices
        return commands

    def parse(self, words: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse a command's words, or end the process with status 2 and a message.

        Args:
            words: The words; those of this process by default.
        """
        given = sys.argv[1:] if words is None else list(words)
        found, unknown = self.parse_known_args(given)
        if unknown:
            command = next((self._commands[word] for word in given if word in self._commands), self)
            flags = (word.partition("=")[0] for word in unknown if word.startswith("--"))
            near = "".join(did_you_mean(flag, command._flags) for flag in flags)
            command.error(_ended(f"unrecognized arguments: {' '.join(unknown)}", near))
        return found

    def error(self, message: str) -> NoReturn:
        """End the process with status 2 and a message."""
        choice = _CHOICE.search(message)
        near = "" if choice is None else did_you_mean(choice["word"], _NAME.findall(choice["known"]))
        super().error(_ended(message, near))


def _ended(message: str, near: str) -> str:
    return f"{message}.{near}" if near else message
