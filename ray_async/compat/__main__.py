"""`python -m ray_async.compat PROGRAM [ARGUMENT ...]` runs a program whose ``import ray`` means this package."""

from __future__ import annotations

import os
import sys
from types import CodeType, ModuleType

from ray_async.compat.alias import install

_USAGE = """usage: python -m ray_async.compat [-m MODULE | PROGRAM] [ARGUMENT ...]

Runs a Python program, or a module as a program, with `import ray` meaning ray_async.
"""


def main(arguments: list[str]) -> None:
    """Run the program that the arguments name as `__main__`, as the interpreter would.

    Args:
        arguments: the command line, without the interpreter's part.

    Raises:
        SystemExit: the usage was asked for, or there is no such program.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, end="", file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    install()
    if arguments[0] == "-m":
        if len(arguments) == 1:
            raise SystemExit("python -m ray_async.compat: -m needs the name of a module")
        _run_module(arguments[1], arguments[2:])
    else:
        _run_file(arguments[0], arguments[1:])


def _run_module(name: str, arguments: list[str]) -> None:
    import runpy

    sys.argv = [name, *arguments]
    sys.path[0] = os.getcwd()
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except ImportError as error:
        if error.name is None and name in str(error):  # runpy's word for a module that is not there
            raise SystemExit(f"python -m ray_async.compat: {error}") from None
        raise


def _run_file(path: str, arguments: list[str]) -> None:
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise SystemExit(f"python -m ray_async.compat: can't open {path!r}: {error.strerror}") from None
    code: CodeType = compile(source, path, "exec")
    # The module stays: handlers that run at the interpreter's end, and threads, look at its names.
    module = ModuleType("__main__")
    module.__file__ = path
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


if __name__ == "__main__":
    main(sys.argv[1:])
