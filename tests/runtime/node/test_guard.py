"""Steps of the node that fail."""

from __future__ import annotations

import logging

import pytest

from ray_async.runtime.node.guard import guarded


def test_a_step_that_fails_is_logged_and_the_next_one_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[int] = []

    def step(number: int) -> None:
        if number == 1:
            raise ValueError("there is no queue at that offset")
        taken.append(number)

    with caplog.at_level(logging.ERROR):
        for number in range(3):
            guarded(step, number, what=f"step {number}")
    assert taken == [0, 2]
    assert "step 1 failed" in caplog.text
    assert "there is no queue at that offset" in caplog.text


def test_an_exit_is_no_failure() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        guarded(leave)
