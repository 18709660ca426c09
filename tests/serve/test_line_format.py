"""The format of access lines."""

import json
import re
import time
from time import perf_counter

import pytest

from ray_async.serve.telemetry.line_format import Origin, Told, access_lines, json_access_lines, stamp

SOURCE = Origin("app", "Model", "r1")


def told(request_id: str = "id", took_ms: float = 1.26, before_s: float = 0.0, status: int | str = 200) -> Told:
    ended = perf_counter() - before_s
    return SOURCE, request_id, "GET", "/a", status, ended - took_ms / 1000, ended


@pytest.mark.parametrize(
    ("took_ms", "shown"), [(0.0, "0.0"), (1.26, "1.3"), (99.93, "99.9"), (99.97, "100.0"), (12345.67, "12345.7")]
)
def test_a_latency_is_shown_to_a_tenth_of_a_millisecond(took_ms: float, shown: str) -> None:
    (line,) = access_lines([told(took_ms=took_ms)])
    assert line.endswith(f" app_Model r1 id -- GET /a 200 {shown}ms\n")
    (line,) = json_access_lines([told(took_ms=took_ms)])
    assert json.loads(line)["latency_ms"] == pytest.approx(took_ms, abs=0.001)


def test_each_line_has_the_time_at_which_its_request_has_ended() -> None:
    before = time.time()
    requests = [told(before_s=seconds) for seconds in (86_400.0, 1.5, 1.0, 0.0)]
    after = time.time()
    found = [json.loads(line) for line in json_access_lines(requests)]
    for facts, line, seconds in zip(found, access_lines(requests), (86_400.0, 1.5, 1.0, 0.0), strict=True):
        assert before - seconds - 0.01 <= facts["timestamp_ns"] / 1e9 <= after - seconds + 0.01
        assert re.match(r"INFO \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} app_Model", line)
        assert facts["asctime"] == stamp(facts["timestamp_ns"] / 1e9)


def test_what_clients_send_looks_like_nothing_else_of_a_line() -> None:
    bad = ["two words", "a\nINFO b", "x" * 300, 'quote"', "é\x1b"]
    texts = access_lines([told(text) for text in bad])
    assert [line.count("\n") for line in texts] == [1] * len(bad)
    assert '"two words"' in texts[0] and '"a\\nINFO b"' in texts[1]
    assert " " + "x" * 200 + " --" in texts[2] and ' quote" --' in texts[3]
    assert [json.loads(line)["request_id"] for line in json_access_lines([told(text) for text in bad])] == [
        text[:200] for text in bad
    ]


def test_unlike_requests_in_one_batch_have_their_own_lines() -> None:
    other = Origin("app", "Other", "r2")
    requests: list[Told] = [told(), told(status="OK"), (other, *told()[1:])[:7], told()]
    assert [line.split(" -- ")[1].split()[2] for line in access_lines(requests)] == ["200", "OK", "200", "200"]
    found = [json.loads(line) for line in json_access_lines(requests)]
    assert [facts["deployment"] for facts in found] == ["Model", "Model", "Other", "Model"]
    assert [facts["status"] for facts in found] == ["200", "OK", "200", "200"]
