"""Thousands of references at once: waited for, passed, got and returned."""

from bench.subject import Bar, Row, Subject

__all__ = ("SUBJECT",)


def row(name: str, case: str, count: int, times: float | None) -> Row:
    """The bar, if any, is so many times Ray's speed."""
    bar = Bar.faster_than("Ray", times, case) if times else None
    return Row(name, case, bar=bar, params={"seconds": 0.5, "count": count}, quick={"seconds": 0.01, "count": 50})


SUBJECT = Subject(
    "many_references",
    "Many references",
    (
        row("wait for 1,000 finished refs", "wait_finished", 1_000, 5),
        row("single client wait 1k refs", "wait_one_by_one", 1_000, 5),
        row("a task with 10,000 reference arguments", "reference_arguments", 10_000, 20),
        row("get of 10,000 objects", "get_many", 10_000, 20),
        row("a task with 3,000 returns", "many_returns", 3_000, 20),
        row("single client get object containing 10k refs", "get_references", 10_000, None),
    ),
)
