"""The thread pools of native libraries that the zygote has loaded: their size was decided there, for no task."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ("ThreadPools", "loaded_pools")

# What a library's file is called, the functions that set the size of its pool, and the variables by which users do.
_LIBRARIES = (
    (
        re.compile(r"openblas"),
        tuple(f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "")),
        ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS"),
    ),
    (re.compile(r"libmkl_rt"), ("MKL_Set_Num_Threads",), ("MKL_NUM_THREADS",)),
    (re.compile(r"libblis"), ("bli_thread_set_num_threads",), ("BLIS_NUM_THREADS",)),
    (re.compile(r"libgomp|libiomp|libomp\b"), ("omp_set_num_threads",), ()),
)


def loaded_pools() -> list[str]:
    """Paths of the libraries with a pool of threads that are loaded in this process."""
    with contextlib.suppress(OSError), open("/proc/self/maps") as file:
        paths = {line[line.index("/") :].rstrip("\n") for line in file if "/" in line}
        return sorted(path for path in paths if any(name.search(os.path.basename(path)) for name, _, _ in _LIBRARIES))
    return []  # a system without /proc


class ThreadPools:
    """Sets how many threads libraries use that are loaded already, and read no variable any more.

    A number that the user has chosen for a library, by its own variable, stays. OpenMP keeps one for each thread of
    the program: that of the caller is set.

    Args:
        paths: the libraries.
        environ: this process's variables.
    """

    def __init__(self, paths: Iterable[str], environ: Mapping[str, str] = os.environ) -> None:
        self._paths = list(paths)
        self._environ = environ
        self._setters: list[Callable[[int], Any]] | None = None
        self._size = 0

    def resize(self, size: int) -> None:
        """Have each library use so many threads, as far as there are CPUs for them."""
        if not self._paths or size == self._size:
            return
        if self._setters is None:
            self._setters = self._find_setters()
        self._size = size
        for setter in self._setters:
            setter(min(size, len(os.sched_getaffinity(0))))

    def _find_setters(self) -> list[Callable[[int], Any]]:
        import ctypes

        setters = []
        for path in self._paths:
            name = os.path.basename(path)
            functions, variables = next((f, v) for pattern, f, v in _LIBRARIES if pattern.search(name))
            if any(self._environ.get(variable) for variable in variables):
                continue
            with contextlib.suppress(OSError):  # it is not loaded in a worker with an interpreter of its own
                library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
                setters += [getattr(library, function) for function in functions if hasattr(library, function)][:1]
        return setters
