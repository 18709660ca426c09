"""The API's tests run against a session of their own process."""

from collections.abc import Iterator
from importlib import import_module

import pytest

from ray_async.engine.current import current_session
from tests.api.fake_session import FakeSession, Ref, RefGenerator


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    """A fake session, current for the test, with its references in place of the compiled ones."""
    for name in ("api.objects", "api.termination", "internal"):
        module = import_module(f"ray_async.{name}")
        monkeypatch.setattr(module, "ObjectRef", Ref)
        if hasattr(module, "ObjectRefGenerator"):
            monkeypatch.setattr(module, "ObjectRefGenerator", RefGenerator)
    fake = FakeSession()
    monkeypatch.setattr(current_session, "session", fake)
    yield fake
