"""Builds the extension modules of `ray_async._core`; everything else is in pyproject.toml.

Environment switches (each kind of build keeps its own generated C and object files under `build/`):

    RAY_ASYNC_DEBUG=1                  -O0 -g, assertions, counts of native objects (RA_DEBUG=1), line tracing
    RAY_ASYNC_COVERAGE=1               line tracing everywhere, for Cython.Coverage
    RAY_ASYNC_SANITIZE=address|thread  that sanitizer (address brings the undefined-behaviour one with it)
    RAY_ASYNC_NO_EXTENSIONS=1          an installation whose extension modules `make build` puts in place
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
CORE = Path("ray_async", "_core")
SANITIZERS = {"address": "address,undefined", "thread": "thread"}


@dataclass(frozen=True)
class Variant:
    """One kind of build, as the environment asks for it."""

    debug: bool
    coverage: bool
    sanitizer: str

    @classmethod
    def from_environment(cls) -> "Variant":
        sanitizer = os.environ.get("RAY_ASYNC_SANITIZE", "")
        if sanitizer and sanitizer not in SANITIZERS:
            raise SystemExit(f"RAY_ASYNC_SANITIZE must be one of {', '.join(SANITIZERS)}, not {sanitizer!r}")
        return cls(_switch("RAY_ASYNC_DEBUG"), _switch("RAY_ASYNC_COVERAGE"), sanitizer)

    @property
    def name(self) -> str:
        parts = ["debug" if self.debug else "release", "coverage" if self.coverage else "", self.sanitizer]
        return "-".join(part for part in parts if part)

    @property
    def directory(self) -> Path:
        return Path("build", self.name)

    def directives(self) -> dict[str, object]:
        return {
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "embedsignature": True,
            "freethreading_compatible": False,
            "linetrace": self.debug or self.coverage,
        }

    def macros(self) -> list[tuple[str, str | None]]:
        macros: list[tuple[str, str | None]] = [("_GNU_SOURCE", None)]
        if self.debug:
            macros += [("RA_DEBUG", "1"), ("CYTHON_TRACE", "1")]
        else:
            macros.append(("CYTHON_WITHOUT_ASSERTIONS", "1"))
        if self.coverage:
            macros += [("CYTHON_TRACE_NOGIL", "1")]
        return macros

    def compile_args(self) -> list[str]:
        if sys.platform == "win32":
            return ["/std:c11", "/experimental:c11atomics", "/Od" if self.debug else "/O2"]
        # gnu11: the headers use syscall(2) and GNU attributes beside C11 atomics. No -march: wheels must be portable.
        args = [
            "-std=gnu11",
            "-fvisibility=hidden",
            "-Wall",
            "-Wno-unused-function",
            "-Wno-unused-variable",
            "-Wno-sign-compare",
        ]
        args += ["-O0", "-g3"] if self.debug else ["-O3"]
        if self.sanitizer:
            args += [f"-fsanitize={SANITIZERS[self.sanitizer]}", "-fno-omit-frame-pointer", "-g"]
        return args

    def link_args(self) -> list[str]:
        return [f"-fsanitize={SANITIZERS[self.sanitizer]}"] if self.sanitizer else []


def _switch(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def extensions(variant: Variant) -> list[Extension]:
    """One extension module for each .pyx of the core; none, when there are none."""
    sources = sorted(path.relative_to(ROOT) for path in (ROOT / CORE).rglob("*.pyx"))
    if not sources or _switch("RAY_ASYNC_NO_EXTENSIONS"):
        return []
    from Cython.Build import cythonize

    headers = [str(path.relative_to(ROOT)) for path in sorted((ROOT / CORE / "includes").glob("*.h"))]
    modules = [
        Extension(
            ".".join(source.with_suffix("").parts),
            [source.as_posix()],
            include_dirs=[(CORE / "includes").as_posix()],
            depends=headers,
            define_macros=variant.macros(),
            # CPython's own flags carry -DNDEBUG; a debug build wants its assertions.
            undef_macros=["NDEBUG"] if variant.debug else [],
            extra_compile_args=variant.compile_args(),
            # shm_open, the fallback where memfd_create is not allowed, is in librt before glibc 2.34.
            libraries=["rt"] if sys.platform == "linux" else [],
            extra_link_args=variant.link_args(),
        )
        for source in sources
    ]
    return cythonize(
        modules,
        build_dir=str(variant.directory / "cython"),
        compiler_directives=variant.directives(),
        include_path=["."],
        nthreads=0 if len(modules) == 1 else min(len(modules), os.cpu_count() or 1),
    )


class Build(build):
    """`build` in a directory of the variant's own, so that objects of one variant never pass for another's."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = str(Variant.from_environment().directory)


class BuildExtensions(build_ext):
    """`build_ext` that compiles in parallel, and in place puts this variant over any other."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count() or 1

    def copy_extensions_to_source(self) -> None:
        # Without force, an older module of this variant would not replace a newer one of another variant.
        force, self.force = self.force, True
        super().copy_extensions_to_source()
        self.force = force


if __name__ == "__main__":
    os.chdir(ROOT)
    setup(ext_modules=extensions(Variant.from_environment()), cmdclass={"build": Build, "build_ext": BuildExtensions})
