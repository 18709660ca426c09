import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from ray_async.runtime_env.packaging import package, package_env, package_root, unpack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/__init__.py").write_text("VALUE = 7\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "big.bin").write_bytes(b"\0" * 2000)
    return root


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return tmp_path / "session"


def test_equal_content_has_one_address(project: Path, session: Path, tmp_path: Path) -> None:
    root = package_root(session)
    first = package(str(project), root)
    data = (root / first.removeprefix("pkg://")).read_bytes()
    os.utime(project / "run.sh", (0, 0))
    assert package(str(project), root) == first
    assert package(str(project), tmp_path / "other") == first
    assert (tmp_path / "other" / first.removeprefix("pkg://")).read_bytes() == data
    (project / "run.sh").chmod(0o644)
    changed = package(str(project), root)
    (project / "run.sh").write_text("#!/bin/bash\n")
    assert len({first, changed, package(str(project), root)}) == 3


def test_unpacking_gives_the_files_back(project: Path, session: Path) -> None:
    address = package(str(project), package_root(session), ["*.bin"])
    directory = unpack(address, session)
    files = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    assert files == ["pkg/__init__.py", "run.sh"]
    assert os.access(directory / "run.sh", os.X_OK)
    assert not os.access(directory / "pkg/__init__.py", os.X_OK)
    assert unpack(address, session) == directory


def test_many_unpack_at_once(project: Path, session: Path) -> None:
    address = package(str(project), package_root(session))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(unpack(address, session))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    left = {path.name.split("-")[0] for path in package_root(session).iterdir()}
    assert "unpack" not in left
    assert "write" not in left


def test_a_package_that_is_too_large_names_the_largest_files(project: Path, session: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)limit of .* MiB.*big\.bin.*excludes"):
        package(str(project), package_root(session), size_limit=1000)
    assert package(str(project), package_root(session), ["big.bin"], size_limit=1000)


def test_archives_are_taken_as_they_are(project: Path, session: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(project / "run.sh", "run.sh")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(project / "run.sh", "run.sh")
    for name in ("a.zip", "a.tar.gz"):
        address = package(str(tmp_path / name), package_root(session))
        assert (unpack(address, session) / "run.sh").read_text() == "#!/bin/sh\n"


def test_an_archive_cannot_write_outside(session: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("../../escaped.txt", "x")
    unpack(package(str(tmp_path / "a.zip"), package_root(session)), session)
    assert not list(tmp_path.glob("escaped.txt"))
    assert not list(session.glob("escaped.txt"))


def test_unknown_addresses(session: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no package"):
        unpack("pkg://00.zip", session)
    with pytest.raises(NotImplementedError, match="network"):
        unpack("https://example.org/a.zip", session)


def test_a_packaged_environment_can_be_sent(project: Path, session: Path) -> None:
    local = {
        "working_dir": str(project),
        "py_modules": [str(project / "pkg"), "https://example.org/m.zip"],
        "excludes": ["*.bin"],
        "worker_process_setup_hook": lambda: None,
    }
    env = package_env(local, session)
    assert env["working_dir"].startswith("pkg://")
    assert env["py_modules"][1] == "https://example.org/m.zip"
    assert "excludes" not in env
    assert env.deserialize(env.serialize()) == env
    assert local["working_dir"] == str(project)
    module_dir = unpack(env["py_modules"][0], session)
    code = "import pkg; print(pkg.VALUE)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=module_dir, capture_output=True, text=True, check=True)
    assert shown.stdout == "7\n"


def test_a_missing_folder_is_named_with_its_field(tmp_path: Path) -> None:
    for env in ({"working_dir": "/not/there"}, {"py_modules": ["/not/there"]}):
        with pytest.raises(FileNotFoundError, match=f"{next(iter(env))} of the runtime environment.*'/not/there'"):
            package_env(env, tmp_path)
