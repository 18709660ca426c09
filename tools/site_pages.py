"""Build the documentation site and look it over: `make docs`.

The generator must have nothing to warn of, every link inside must lead somewhere, and no page may ask another host for
anything that it shows or runs.
"""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ("Page", "faults", "main")

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
# What a browser loads by itself, by tag.
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
WARNS = ("griffe:", "Warning")
# The generator's page for addresses that do not exist: its links are those of a site at the root of a host.
UNPLACED = "404.html"


class Page(HTMLParser):
    """What one page of the site names, links to and loads.

    Args:
        text: its HTML.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag has."""
        values = {key: value for key, value in attrs if value is not None}
        self.names |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADED and LOADED[tag] in values and values.get("rel") != "canonical":
            self.loads.append(values[LOADED[tag]])


def faults(site: Path) -> list[str]:
    """What is wrong with a site that lies in a folder: a line for each link to nowhere, and each host that is asked."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html")) if path.name != UNPLACED}
    found = []
    for path, page in pages.items():
        where = path.relative_to(site)
        for address in page.links + page.loads:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loads and parts.scheme != "data":
                    found.append(f"{where}: loads {address}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                found.append(f"{where}: {address} does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{where}: {address} has no such place")
    return found


def main() -> int:
    """Build and look: 0 where all is well."""
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    warnings = [line for line in done.stdout.splitlines() if line.startswith(WARNS)]
    if done.returncode or warnings:
        print(f"{len(warnings)} warnings", file=sys.stderr)
        return done.returncode or 1
    wrong = faults(SITE)
    print("\n".join(wrong) or f"The site is in {SITE.relative_to(ROOT)}; begin at {SITE.relative_to(ROOT)}/index.html.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
