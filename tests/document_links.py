"""The documents as text: their blocks of Python, their links, and the places that links may lead to."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Every page of the site, as a path from the root.
DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def blocks(document: str) -> list[str]:
    """The Python programs in a document."""
    return BLOCK.findall((ROOT / document).read_text())


def links(document: str) -> list[str]:
    """Where the links of a document lead to, those in code apart."""
    return LINK.findall(CODE.sub("", FENCE.sub("", (ROOT / document).read_text())))


def places(path: Path) -> set[str]:
    """The names of the places in a document: of each heading what the site and code hosts make of it."""
    headings = HEADING.findall(FENCE.sub("", path.read_text()))
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in plain}
