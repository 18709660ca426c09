"""The driver's thread that prints workers' output."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ray_async.runtime.logs import driver_output as output
from ray_async.runtime.logs.driver_output import Output
from ray_async.transport.frames import pack
from tests.resources import wait_until


def line(pid: int, text: str) -> dict[str, Any]:
    return {"kind": "log", "name": "f", "pid": pid, "stream": "out", "ip": "127.0.0.1", "lines": [text]}


def test_a_line_held_back_is_shown_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_DEDUP_LOGS_AGG_WINDOW_S", "1")
    monkeypatch.setattr(output, "_TICK_S", 0.01)  # several looks before it is due
    ours, theirs = socket.socketpair()
    with theirs:
        printer = Output(ours, 1, True, "127.0.0.1")
        printer.start()
        theirs.sendall(pack(line(1, "working 0")) + pack(line(2, "working 1")))
        shown = ""

        def look() -> str:
            nonlocal shown
            shown += capsys.readouterr().out
            return shown

        try:
            wait_until(lambda: "working 1" in look())
            assert shown.splitlines() == ["(f pid=1) working 0", "(f pid=2) working 1"]
        finally:
            theirs.sendall(pack({"kind": "end"}))
            printer.stop()
