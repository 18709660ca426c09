"""Options of Ray's that change nothing: each that is given is noted once."""

from __future__ import annotations

import logging

import pytest

import ray_async as ray
from ray_async import ignored_option


def test_what_changes_nothing_is_noted_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignored_option, "_noted", set())
    with caplog.at_level(logging.WARNING, "ray_async"):
        assert ray.data.range(2).repartition(2).count() == 2
        assert caplog.messages == []
        for _ in range(2):
            assert ray.data.range(2, concurrency=3).repartition(2, strict=True).count() == 2
    assert [message.partition(" has no effect: ")[0] for message in caplog.messages] == [
        "range(concurrency=...)",
        "repartition(strict=...)",
    ]
