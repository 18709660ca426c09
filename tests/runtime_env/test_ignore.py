from pathlib import Path

import pytest

from ray_async.runtime_env.ignore import IgnoreRules, included_files


@pytest.mark.parametrize(
    ("pattern", "path", "is_directory", "expected"),
    [
        ("*.log", "a.log", False, True),
        ("*.log", "deep/down/a.log", False, True),
        ("*.log", "a.log.txt", False, None),
        ("/a.log", "a.log", False, True),
        ("/a.log", "sub/a.log", False, None),
        ("sub/*.log", "sub/a.log", False, True),
        ("sub/*.log", "sub/deep/a.log", False, None),
        ("build/", "build", True, True),
        ("build/", "build", False, None),
        ("**/cache", "x/y/cache", True, True),
        ("**/cache", "cache", True, True),
        ("a/**/b", "a/b", False, True),
        ("a/**/b", "a/x/y/b", False, True),
        ("a/**", "a/x/y", False, True),
        ("a/**", "a", True, None),
        ("file?.txt", "file1.txt", False, True),
        ("file[0-4].txt", "file5.txt", False, None),
        ("file[!0-4].txt", "file5.txt", False, True),
        (r"\#x", "#x", False, True),
        ("#x", "#x", False, None),
        ("", "x", False, None),
        ("a.b", "aXb", False, None),
    ],
)
def test_patterns(pattern: str, path: str, is_directory: bool, expected: bool | None) -> None:
    assert IgnoreRules([pattern]).verdict(path, is_directory) is expected


def test_the_last_match_decides() -> None:
    rules = IgnoreRules(["*.log", "!keep.log"])
    assert (rules.verdict("a.log", False), rules.verdict("keep.log", False)) == (True, False)


def make(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)


def names(root: Path, *excludes: str, **environ: str) -> list[str]:
    return [name for name, _ in included_files(str(root), excludes, environ)]


def test_walk(tmp_path: Path) -> None:
    make(
        tmp_path, "a.py", "data/x.bin", "data/y.txt", ".git/config", "venv/lib.py", "pkg/__pycache__/a.pyc", "pkg/m.py"
    )
    assert names(tmp_path, "*.bin") == ["a.py", "data/y.txt", "pkg/m.py"]
    assert "venv/lib.py" in names(tmp_path, RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES=".git")


def test_ignore_files_hold_below_their_directory(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "sub/a.txt", "sub/b.txt", "sub/deep/a.txt")
    (tmp_path / "sub/.gitignore").write_text("a.txt\n")
    (tmp_path / ".rayignore").write_text("b.txt\n")
    assert names(tmp_path) == [".rayignore", "a.txt", "sub/.gitignore"]
    kept = names(tmp_path, RAY_RUNTIME_ENV_IGNORE_GITIGNORE="1")
    assert kept == [".rayignore", "a.txt", "sub/.gitignore", "sub/a.txt", "sub/deep/a.txt"]
    assert "sub/b.txt" in names(tmp_path, "!b.txt")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.txt")
    (tmp_path / "sub/up").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == ["sub/a.txt"]
