"""The documentation site: its navigation has every page, its links lead somewhere, and nothing public is left out."""

import re
import tomllib
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

import ray_async as ray
from ray_async.data.exceptions import RayDataUserCodeException, SystemException, UnknownColumnError
from ray_async.data.preprocessor import PreprocessorNotFittedException
from ray_async.exceptions import RayError
from ray_async.serve import exceptions as serve_errors
from ray_async.train import error as train_errors
from ray_async.tune import TuneError
from ray_async.util.state import RayStateApiException, ServerUnavailable
from tests.document_links import DOCS, ROOT, links, places
from tools.site_pages import faults

# What programs import: each has its part of the reference. Modules that only pass on names of these are left out.
FACES = (
    "ray_async",
    "ray_async.aio",
    "ray_async.cluster_utils",
    "ray_async.compat",
    "ray_async.dag",
    "ray_async.data",
    "ray_async.data.aggregate",
    "ray_async.data.expressions",
    "ray_async.data.preprocessors",
    "ray_async.exceptions",
    "ray_async.gpu.backend",
    "ray_async.gpu.fake",
    "ray_async.job_config",
    "ray_async.logging_config",
    "ray_async.runtime_context",
    "ray_async.runtime_env",
    "ray_async.serve",
    "ray_async.serve.exceptions",
    "ray_async.serve.metrics",
    "ray_async.train",
    "ray_async.tune",
    "ray_async.tune.schedulers",
    "ray_async.tune.search",
    "ray_async.util",
    "ray_async.util.collective",
    "ray_async.util.iter",
    "ray_async.util.joblib",
    "ray_async.util.metrics",
    "ray_async.util.multiprocessing",
    "ray_async.util.placement_group",
    "ray_async.util.queue",
    "ray_async.util.scheduling_strategies",
    "ray_async.util.state",
)


def public_errors() -> list[type[BaseException]]:
    """The error classes that programs may catch."""
    homes = (ray.exceptions, serve_errors, train_errors)
    found = [getattr(home, name) for home in homes for name in home.__all__]
    errors: set[type[BaseException]] = {
        value for value in found if isinstance(value, type) and issubclass(value, RayError)
    }
    errors |= {TuneError, RayDataUserCodeException, SystemException, UnknownColumnError, PreprocessorNotFittedException}
    return sorted(errors | {RayStateApiException, ServerUnavailable}, key=lambda error: error.__name__)


def pages(nav: list[Any]) -> list[str]:
    """The pages of a navigation, in order."""
    found: list[str] = []
    for entry in nav:
        for value in entry.values():
            found += [value] if isinstance(value, str) else pages(value)
    return found


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *DOCS])
def test_links_lead_somewhere(document: str) -> None:
    lost = []
    for link in links(document):
        path, _, place = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if "://" not in link and (not target.exists() or (place and place not in places(target))):
            lost.append(link)
    assert lost == []


def test_the_navigation_has_every_page_once() -> None:
    found = pages(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    assert sorted(f"docs/{page}" for page in found) == DOCS


@pytest.mark.parametrize("error", public_errors(), ids=lambda error: error.__name__)
def test_each_error_has_its_entry(error: type[BaseException]) -> None:
    text = (ROOT / "docs" / "error-messages.md").read_text()
    assert len(re.findall(rf"^### {error.__name__}\n\n\S", text, re.MULTILINE)) == 1


def test_each_entry_has_its_error() -> None:
    text = (ROOT / "docs" / "error-messages.md").read_text()
    assert sorted(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == [error.__name__ for error in public_errors()]


def test_each_face_has_its_part_of_the_reference() -> None:
    reference = "".join(path.read_text() for path in (ROOT / "docs" / "api").glob("*.md"))
    named = re.findall(r"^::: (\S+)$", reference, re.MULTILINE)
    assert sorted(set(FACES) - set(named)) == [] and len(named) == len(set(named))
    assert all(resolve_name(name) is not None for name in named)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ('<a href="other.html#here">', []),
        ('<a href="#top"><p id="top">', []),
        ('<a href="https://example.org/x">', []),
        ('<a href="none.html">', ["page.html: none.html does not exist"]),
        ('<a href="other.html#gone">', ["page.html: other.html#gone has no such place"]),
        ('<script src="https://example.org/x.js">', ["page.html: loads https://example.org/x.js"]),
        ('<link rel="stylesheet" href="//example.org/x.css">', ["page.html: loads //example.org/x.css"]),
        ('<img src="lost.png">', ["page.html: lost.png does not exist"]),
    ],
)
def test_the_site_is_looked_over(page: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "other.html").write_text('<h2 id="here">')
    assert faults(tmp_path) == found
