"""What is read of wrk's report."""

from pathlib import Path

import pytest

from bench.serve import cli, wrk

ERRORS = '"connect": 0, "read": 1, "write": 0, "status": 2, "timeout": 0'
LATENCIES = '"p50": 100, "p75": 200, "p90": 300, "p95": 350, "p99": 400, "p999": 500'


def output(requests: int) -> str:
    return f'Running 1s test\nREPORT {{"requests": {requests}, "duration": 2000000, {ERRORS}, {LATENCIES}}}\n'


def test_a_report_becomes_metrics() -> None:
    found = wrk.parse(output(1000))
    assert (found["wall"], found["requests"], found["failed"]) == (0.002, 1000, 3)
    assert (found["p50"], found["p999"]) == pytest.approx((1e-4, 5e-4))


@pytest.mark.parametrize(("text", "message"), [(output(0), "not one"), ("unable to connect", "unable to connect")])
def test_without_answers_there_is_no_report(text: str, message: str) -> None:
    with pytest.raises(wrk.LoadError, match=message):
        wrk.parse(text)


def test_the_script_is_there() -> None:
    assert "REPORT" in wrk.SCRIPT.read_text()


def test_without_wrk_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(wrk.LoadError, match="apt-get install wrk"):
        wrk.Process(80, wrk.Load(1, 1))
    assert cli.main([]) == 2
    assert "apt-get install wrk" in capsys.readouterr().err
