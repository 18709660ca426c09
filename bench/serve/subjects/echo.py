"""A handler that answers by a short text: rates, CPU time and latencies over the number of connections."""

from bench.serve.rows import FLOOR, load_row, percentile_row
from bench.subject import Bar, Subject

__all__ = ("CONNECTIONS", "FULL", "PERCENTILES", "SUBJECT", "name_of")

CONNECTIONS = (1, 4, 16, 32, 128)
PERCENTILES = {"p50": "50", "p75": "75", "p90": "90", "p95": "95", "p99": "99", "p999": "99.9"}
FULL = 32


def name_of(connections: int) -> str:
    """The name of the row that shows the rate with so many connections."""
    return "echo, 1 connection" if connections == 1 else f"echo, {connections} connections"


_rates = {
    connections: load_row(
        name_of(connections),
        "echo",
        connections,
        floor="bare_echo",
        bar=Bar.share_of_floor(0.95, "bare_echo", FLOOR) if connections == FULL else None,
    )
    for connections in CONNECTIONS
}
_cpu = percentile_row(
    _rates[FULL],
    f"{name_of(FULL)}: CPU time per request",
    "cpu",
    Bar.of_floor(1.1, "bare_echo", FLOOR, "cpu"),
)
_alone = percentile_row(_rates[1], f"{name_of(1)}: p50", "p50", Bar.of_floor(1.2, "bare_echo", FLOOR, "p50"))
_latencies = [
    percentile_row(_rates[FULL], f"{name_of(FULL)}: p{percent}", metric) for metric, percent in PERCENTILES.items()
]

SUBJECT = Subject("echo", "Echo, 1 replica", (*_rates.values(), _cpu, _alone, *_latencies))
