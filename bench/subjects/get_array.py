"""Getting arrays of three sizes: a view of the store, so size must not matter."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)


def row(name: str, size: int) -> Row:
    """The same bar for every size."""
    params = {"seconds": 0.2, "bytes": size}
    return Row(name, "get_array", bar=Bar.at_most(20e-6, Unit.TIME), params=params, quick={"seconds": 0.01})


SUBJECT = Subject(
    "get_array",
    "Get of an array",
    (
        row("get of an array of 1 KB", 1_000),
        row("get of an array of 1 MB", 1_000_000),
        row("get of an array of 100 MB", 100_000_000),
    ),
)
