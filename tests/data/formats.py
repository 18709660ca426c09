"""Files of every format, written by the formats' own libraries: what sources must read."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet

import ray_async as ray

Row = dict[str, Any]
ROWS: list[Row] = [{"n": 1, "s": "é"}, {"n": 2, "s": ""}, {"n": None, "s": "x" * 40}, {"n": -(2**62), "s": None}]


@dataclass(frozen=True)
class Case:
    """One format.

    Attributes:
        extension: ending of its files.
        read: reads paths.
        encode: makes a file's bytes of rows, by a library that is not ours.
        rows: rows that a file holds, as they are read.
        damaged: whether a file that is cut in half is an error.
        empty: whether a file without a byte is passed over with a warning.
    """

    extension: str
    read: Callable[..., Any]
    encode: Callable[[list[Row]], bytes]
    rows: tuple[Row, ...] = tuple(ROWS)
    damaged: bool = True
    empty: bool = True


def parquet(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def arrow_file(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.feather.write_feather(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def arrow_stream(rows: list[Row]) -> bytes:
    table, sink = pa.Table.from_pylist(rows), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def orc(rows: list[Row]) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.orc.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def avro(rows: list[Row]) -> bytes:
    import fastavro

    fields = [{"name": "n", "type": ["null", "long"]}, {"name": "s", "type": ["null", "string"]}]
    buffer = io.BytesIO()
    fastavro.writer(buffer, {"type": "record", "name": "row", "fields": fields}, rows, codec="deflate")
    return buffer.getvalue()


def csv(rows: list[Row]) -> bytes:
    lines = [f"{'' if row['n'] is None else row['n']},{row['s']}" for row in rows]
    return "\n".join(["n,s", *lines, ""]).encode()


def json_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def crc(data: bytes) -> bytes:
    """The masked CRC-32C, bit by bit, as RFC 3720 defines it."""
    found = 0xFFFFFFFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    found ^= 0xFFFFFFFF
    return struct.pack("<I", ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecords(rows: list[Row]) -> bytes:
    """Records byte by byte: nothing of the code under test, and no TensorFlow."""
    found = b""
    for row in rows:
        features = b""
        for name, value in row.items():
            items = [] if value is None else value if isinstance(value, list) else [value]
            if not items:
                feature = b""
            elif isinstance(items[0], int):
                feature = field(3, field(1, b"".join(map(varint, items))))
            elif isinstance(items[0], float):
                feature = field(2, field(1, struct.pack(f"<{len(items)}f", *items)))
            else:
                texts = [item.encode() if isinstance(item, str) else item for item in items]
                feature = field(1, b"".join(field(1, text) for text in texts))
            features += field(1, field(1, name.encode()) + field(2, feature))
        record = field(1, features)
        size = struct.pack("<Q", len(record))
        found += size + crc(size) + record + crc(record)
    return found


def tar(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def webdataset(rows: list[Row]) -> bytes:
    members = []
    for index, row in enumerate(rows):
        members.append((f"d.x/{index:03d}.json", json.dumps(row["n"]).encode()))
        if row["s"] is not None:
            members.append((f"d.x/{index:03d}.a.txt", row["s"].encode()))
    return tar(members)


def numpy(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([row["n"] or 0 for row in rows]))
    return buffer.getvalue()


def sound(rows: list[Row]) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.full((len(rows), 2), 0.5), 8000, format="WAV")
    return buffer.getvalue()


def picture(rows: list[Row]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.arange(len(rows) * 300, dtype=np.uint8).reshape(-1, 100, 3)).save(buffer, format="png")
    return buffer.getvalue()


def film(rows: list[Row]) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as target:
        stream: Any = target.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 8, "bgr0"
        for index in range(len(rows)):
            image = np.full((8, 16, 3), 40 * index, dtype=np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        target.mux(stream.encode())
    return buffer.getvalue()


CASES = {
    "parquet": Case("parquet", ray.data.read_parquet, parquet, empty=False),
    "arrow": Case("arrow", ray.data.read_arrow, arrow_file),
    "arrow stream": Case("arrows", ray.data.read_arrow, arrow_stream),
    "orc": Case("orc", ray.data.read_orc, orc),
    "avro": Case("avro", ray.data.read_avro, avro),
    "csv": Case("csv", ray.data.read_csv, csv, tuple({"n": r["n"], "s": str(r["s"])} for r in ROWS), damaged=False),
    "json": Case("json", ray.data.read_json, json_lines, empty=False),
    "text": Case(
        "txt", ray.data.read_text, json_lines, tuple({"text": json.dumps(r)} for r in ROWS), damaged=False, empty=False
    ),
    "binary": Case(
        "bin", ray.data.read_binary_files, json_lines, ({"bytes": json_lines(ROWS)},), damaged=False, empty=False
    ),
    "numpy": Case("npy", ray.data.read_numpy, numpy, tuple({"data": r["n"] or 0} for r in ROWS)),
    "tfrecords": Case(
        "tfrecords",
        ray.data.read_tfrecords,
        tfrecords,
        tuple({"n": r["n"], "s": None if r["s"] is None else r["s"].encode()} for r in ROWS),
        empty=False,
    ),
    "webdataset": Case(
        "tar",
        ray.data.read_webdataset,
        webdataset,
        tuple({"__key__": f"d.x/{i:03d}", "json": r["n"], "a.txt": r["s"]} for i, r in enumerate(ROWS)),
    ),
    "audio": Case(
        "wav",
        ray.data.read_audio,
        sound,
        ({"amplitude": np.full((2, 4), 0.5, dtype=np.float32), "sample_rate": 8000},),
        damaged=False,  # a header that says more than there is, is usual: what there is, is read
    ),
    "images": Case(
        "png",
        ray.data.read_images,
        picture,
        ({"image": np.arange(1200, dtype=np.uint8).reshape(-1, 100, 3)},),
    ),
}
