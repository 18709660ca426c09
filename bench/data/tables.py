"""The tables that the cases read: Parquet files, made once for each size and kept for the run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ("FILES", "TPCH_TABLES", "Tables")

FILES = 16
KEYS = 1000
TPCH_TABLES = ("lineitem", "orders", "customer", "supplier", "nation", "region", "part", "partsupp")
_WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not")
_CHUNK = 1_000_000


class Tables:
    """Folders of Parquet files below one folder.

    Args:
        root: the folder; what is there already is used.

    Example: `Tables(root).folder("facts", rows=1000)` has files with columns id, key, value and text.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, kind: str, rows: int = 0, scale: float = 0) -> Path:
        """The folder of a table (facts, sides, wide), or of the tables of TPC-H at that scale."""
        target = self._root / (f"{kind}-{rows}" if kind != "tpch" else f"tpch-{scale:g}")
        if target.exists():
            return target
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        if kind == "tpch":
            _write_tpch(part, scale)
        else:
            _write(part, kind, rows)
        part.rename(target)
        return target


def _write(folder: Path, kind: str, rows: int) -> None:
    import pyarrow.parquet as pq

    random = np.random.default_rng(rows)
    files = FILES if rows >= FILES else 1
    bounds = [rows * index // files for index in range(files + 1)]
    for index in range(files):
        start, stop = bounds[index], bounds[index + 1]
        with pq.ParquetWriter(folder / f"part-{index:02d}.parquet", _table(kind, random, 0, 0).schema) as writer:
            for first in range(start, stop, _CHUNK):
                writer.write_table(_table(kind, random, first, min(first + _CHUNK, stop)), row_group_size=_CHUNK // 4)


def _table(kind: str, random: np.random.Generator, start: int, stop: int) -> Any:
    """Rows `start` to `stop`: texts of 0 to 99 characters, or a hundred bytes of noise in the wide table."""
    import pyarrow as pa

    count = stop - start
    ids = pa.array(np.arange(start, stop, dtype=np.int64))
    if kind == "sides":
        return pa.table({"id": ids, "side": pa.array(random.random(count))})
    if kind == "wide":
        noise = pa.Array.from_buffers(
            pa.list_(pa.uint8(), 92), count, [None], children=[pa.array(random.integers(0, 256, 92 * count, np.uint8))]
        )
        noise = noise.cast(pa.list_(pa.uint8(), 92)) if count else noise
        return pa.table({"value": pa.array(random.random(count)), "payload": _binary(noise, count)})
    return pa.table(
        {
            "id": ids,
            "key": pa.array(random.integers(0, KEYS, count)),
            "other": pa.array(random.integers(0, max(1, stop // 10), count)),
            "value": pa.array(random.random(count)),
            "text": _texts(random, count),
        }
    )


def _binary(values: Any, count: int) -> Any:
    """Fixed lists of bytes as byte strings, without a copy."""
    import pyarrow as pa

    offsets = pa.array(np.arange(0, 92 * count + 1, 92, dtype=np.int32))
    data = values.values.buffers()[1]
    return pa.Array.from_buffers(pa.binary(), count, [None, offsets.buffers()[1], data])


def _texts(random: np.random.Generator, count: int) -> Any:
    """Slices of one long text, so that making them costs no loop of Python's."""
    import pyarrow as pa

    sizes = random.integers(0, 100, count)
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    words = " ".join(random.choice(_WORDS, 20_000)).encode()
    total = int(offsets[-1])
    data = pa.py_buffer((words * (total // len(words) + 1))[:total])
    wide = pa.Array.from_buffers(pa.large_string(), count, [None, pa.py_buffer(offsets), data])
    return wide.cast(pa.string())


def _write_tpch(folder: Path, scale: float) -> None:
    """The tables of TPC-H by `tpchgen-cli`, each in a folder of its own; its decimals become floats for all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    program = Path(sys.executable).with_name("tpchgen-cli")
    if not program.exists():
        raise FileNotFoundError("tpchgen-cli is not installed here: pip install tpchgen-cli")
    made = folder / "made"
    for table in TPCH_TABLES:
        command = [str(program), "parquet", "--scale-factor", f"{scale:g}", "--tables", table]
        subprocess.run([*command, "--output-dir", str(made)], check=True, capture_output=True)
        (folder / table).mkdir()
        source = pq.ParquetFile(made / f"{table}.parquet")
        plain = pa.schema([(field.name, _plain(field.type)) for field in source.schema_arrow])
        with pq.ParquetWriter(folder / table / "part-00.parquet", plain) as writer:
            for batch in source.iter_batches(_CHUNK // 4):
                writer.write_table(pa.table(batch).cast(plain))
    shutil.rmtree(made)


def _plain(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.string() if not pa.types.is_primitive(kind) else kind
