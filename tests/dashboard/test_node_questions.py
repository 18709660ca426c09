"""Questions of the dashboard: the node is not asked more than it can bear."""

from typing import Any

import pytest

from ray_async.dashboard.node_questions import NodeQuestions


async def test_a_node_that_takes_long_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    asked = 0

    def answer() -> dict[str, Any]:
        nonlocal now, asked
        now += takes
        asked += 1
        return {"asked": asked}

    questions = NodeQuestions("nowhere", lambda: now)
    monkeypatch.setattr(questions, "_ask_overview", answer)
    try:
        takes = 0.001
        assert (await questions.overview(), questions.pause_s) == ({"asked": 1}, 1.0)
        now += 0.4
        assert await questions.overview() == {"asked": 1}, "many browsers ask as much as one"
        now += 0.2
        takes = 0.5
        assert (await questions.overview(), questions.pause_s) == ({"asked": 2}, 20.0)
        now += 9.9
        assert await questions.overview() == {"asked": 2}
        now += 0.2
        takes = 0.001
        assert (await questions.overview(), questions.pause_s) == ({"asked": 3}, 1.0)
    finally:
        questions.close()
