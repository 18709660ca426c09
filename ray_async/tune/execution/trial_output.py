"""Trial output: what a trial prints and logs, in files of its directory beside where it goes anyway."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import IO, Any

from ray_async.tune.error import TuneError

__all__ = ("log_names", "output_to_files")


def log_names(log_to_file: Any) -> tuple[str, str] | None:
    """Names of the files for standard output and standard error.

    Args:
        log_to_file: What the user has given: True, one name for both, two names, or False for none.

    Raises:
        ValueError: Anything else.
    """
    if log_to_file is None or log_to_file is False:
        return None
    if log_to_file is True:
        return "stdout", "stderr"
    names = (log_to_file, log_to_file) if isinstance(log_to_file, str) else tuple(log_to_file)
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"log_to_file is True, a name, or a pair of names, but got {log_to_file!r}")
    return names


class _Tee:
    """A stream that writes to another one and to a file.

    Args:
        stream: The other one; all that is not writing goes there.
        file: The file.
    """

    def __init__(self, stream: Any, file: IO[str]) -> None:
        self._stream = stream
        self._file = file

    def write(self, text: str) -> int:
        """Write text to both."""
        self._file.write(text)
        return int(self._stream.write(text))

    def writelines(self, lines: Any) -> None:
        """Write lines to both."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush both."""
        self._file.flush()
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def output_to_files(names: tuple[str, str], folder: str) -> Iterator[None]:
    """Write what is printed and logged into files too, for a ``with`` block.

    Args:
        names: Names of the files for standard output and standard error, or one twice.
        folder: The trial's directory.
    """
    with contextlib.ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for name in names:
            if name not in files:
                files[name] = stack.enter_context(_opened(os.path.join(folder, name)))
        out, err = files[names[0]], files[names[1]]
        stack.enter_context(contextlib.redirect_stdout(_Tee(sys.stdout, out)))
        stack.enter_context(contextlib.redirect_stderr(_Tee(sys.stderr, err)))
        stack.enter_context(_logged(err))
        yield


def _opened(path: str) -> IO[str]:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # A retry adds to what the earlier start has written; a line is there when it is ended.
        return open(path, "a", buffering=1, errors="backslashreplace")
    except OSError as error:
        raise TuneError(f"log_to_file: {path} cannot be written: {error}") from error


@contextlib.contextmanager
def _logged(file: IO[str]) -> Iterator[None]:
    """Write what loggers tell: their own handlers have taken hold of the stream before."""
    handler = logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    root = logging.getLogger()
    if not root.handlers:
        # Python's last resort writes to the stream of now, and so into the file; a handler would end that.
        yield
        return
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
