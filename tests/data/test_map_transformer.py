"""Chains of functions over blocks under Ray's private import path."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from ray_async.data._internal.execution.operators.map_transformer import (
    BatchMapTransformFn,
    BlockMapTransformFn,
    MapTransformCallable,
    MapTransformer,
)


def test_links_run_one_after_the_other() -> None:
    seen: list[Any] = []

    def double(blocks: Iterable[pa.Table], context: Any) -> Iterator[dict[str, Any]]:
        for block in blocks:
            yield {"id": [2 * value for value in block["id"].to_pylist()]}

    def note(batches: Iterable[dict[str, Any]], context: Any) -> Iterator[dict[str, Any]]:
        for batch in batches:
            seen.append((batch["id"].tolist(), context))
            yield batch

    links = [BlockMapTransformFn(double), BatchMapTransformFn(note, batch_size=2, batch_format="numpy")]
    chain = MapTransformer(links, init_fn=lambda: seen.append("made"))
    chain.init()
    found = list(chain.apply_transform([pa.table({"id": [1, 2, 3]})], "context"))
    assert [value for block in found for value in block["id"].to_pylist()] == [2, 4, 6]
    assert seen == ["made", ([2, 4], "context"), ([6], "context")]
    assert MapTransformCallable[int, str] is not None
