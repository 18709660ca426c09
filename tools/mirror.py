"""Copies the source tree (what git tracks, or would) into a folder, for a build that must not touch this tree.

    python tools/mirror.py FOLDER

Files that did not change keep their times, so that a rebuild there compiles only what changed. Files that are gone
here go there too; what was built there stays.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTING = ".mirrored"


def source_files(root: Path) -> list[str]:
    """The files of the tree that belong to the project, relative to it, as git sees them."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(name for name in set(names) if name and (root / name).is_file())


def mirror(root: Path, target: Path) -> int:
    """Bring `target` up to date with `root`; return how many files were copied."""
    target.mkdir(parents=True, exist_ok=True)
    listing = target / LISTING
    before = set(listing.read_text().split("\n")) if listing.exists() else set()
    names = source_files(root)
    for gone in before - set(names) - {""}:
        (target / gone).unlink(missing_ok=True)
    copied = 0
    for name in names:
        source, copy = root / name, target / name
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
        copied += 1
    listing.write_text("\n".join(names))
    return copied


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    target = Path(sys.argv[1])
    print(f"{mirror(ROOT, target)} files brought up to date in {target}")


if __name__ == "__main__":
    main()
