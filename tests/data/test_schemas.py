"""One schema for blocks that differ."""

from typing import Any

import pyarrow as pa
import pytest

from ray_async.data.block.rows import rows_of, table_of_rows
from ray_async.data.block.schema import concatenated, unified


def together(*blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(rows_of(concatenated([table_of_rows(rows) for rows in blocks])))


def test_structs_with_different_fields() -> None:
    rows = together([{"s": {"x": 1}}], [{"s": None}], [{"s": {"y": "q"}}])
    assert rows == [{"s": {"x": 1, "y": None}}, {"s": None}, {"s": {"x": None, "y": "q"}}]


def test_structs_inside_lists_and_structs() -> None:
    rows = together([{"s": [{"d": {"e": {"x": 1}}}]}], [{"s": [None, {"d": {"e": {"y": 2}}}]}], [{"s": []}])
    assert rows[0] == {"s": [{"d": {"e": {"x": 1, "y": None}}}]}
    assert rows[1] == {"s": [None, {"d": {"e": {"x": None, "y": 2}}}]} and rows[2] == {"s": []}


def test_conflicts_inside_structs_name_the_field_and_both_types() -> None:
    with pytest.raises(TypeError, match=r"s\.inner.*int64.*struct"):
        together([{"s": {"inner": 1}}], [{"s": {"inner": {"z": 1}}}])


def test_null_gives_way() -> None:
    assert together([{"a": None}], [{"a": "x"}]) == [{"a": None}, {"a": "x"}]
    assert together([{"a": []}], [{"a": [1]}]) == [{"a": []}, {"a": [1]}]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.decimal128(4, 2), pa.decimal128(6, 1), pa.decimal128(7, 2)),
        (pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("s", "UTC"), pa.timestamp("ms", "Europe/Rome"), pa.timestamp("ms", "UTC")),
        (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8())),
    ],
)
def test_wider_types(one: pa.DataType, other: pa.DataType, both: pa.DataType) -> None:
    for pair in ((one, other), (other, one)):
        assert unified(pa.schema([("a", kind)]) for kind in pair).field("a").type == both


def test_times_with_and_without_zone_are_not_put_together() -> None:
    with pytest.raises(TypeError, match="'a'"):
        unified([pa.schema([("a", pa.timestamp("us"))]), pa.schema([("a", pa.timestamp("us", "UTC"))])])


def test_numbers_and_texts_are_kept_as_they_are() -> None:
    assert together([{"a": 1}], [{"a": "x"}]) == [{"a": 1}, {"a": "x"}]


def test_a_date_beyond_nanoseconds_raises() -> None:
    early = pa.table({"a": pa.array([-(10**17)], pa.timestamp("us"))})
    fine = pa.table({"a": pa.array([0], pa.timestamp("ns"))})
    with pytest.raises(pa.ArrowInvalid):
        concatenated([early, fine])
