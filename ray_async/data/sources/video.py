"""Video files, by PyAV: a row for each frame."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.tensors import tensor_column
from ray_async.data.sources.optional import library

__all__ = ("VideoReadFormat",)

_TABLE_BYTES = 32 << 20


@dataclass(frozen=True)
class VideoReadFormat:
    """Frames in the order in which they are shown: ``frame``, an RGB array, and ``frame_index``.

    Attributes:
        include_timestamps: whether ``frame_timestamp`` says from when to when each is shown, in seconds.
        fps: frames for each second of the film, of those that are there; None: all.
        resize: height and width to which they are brought.
    """

    include_timestamps: bool = False
    fps: float | None = None
    resize: tuple[int, int] | None = None
    name = "Video"
    growth = 50.0
    compressed = False
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        av = library("av", "av", "read_videos")
        try:
            with av.open(io.BytesIO(content)) as film:
                if not film.streams.video:
                    raise ValueError(f"Failed to read video file: {path}: it has no pictures")
                yield from self._of_film(film)
        except av.FFmpegError as error:
            raise ValueError(f"Failed to read video file: {path}: {error}") from error

    def schema(self) -> None:
        return None

    def _of_film(self, film: Any) -> Iterator[pa.Table]:
        held: list[tuple[Any, int, list[float]]] = []
        size = 0
        for index, frame in self._chosen(film):
            options = {} if self.resize is None else {"height": self.resize[0], "width": self.resize[1]}
            picture = frame.to_ndarray(format="rgb24", **options)
            begin = float(frame.time or 0.0)
            held.append((picture, index, [begin, begin + _seconds(frame, film)]))
            size += picture.nbytes
            if size >= _TABLE_BYTES:
                yield self._table(held)
                held, size = [], 0
        if held:
            yield self._table(held)

    def _chosen(self, film: Any) -> Iterator[tuple[int, Any]]:
        """The frames with their numbers; with `fps`, the first one of each interval."""
        next_number = 0
        for index, frame in enumerate(film.decode(video=0)):
            if self.fps is not None:
                # Times of frames are rational numbers that floats round down at times.
                number = int(float(frame.time or 0.0) * self.fps + 1e-6)
                if number < next_number:
                    continue
                next_number = number + 1
            yield index, frame

    def _table(self, held: list[tuple[Any, int, list[float]]]) -> pa.Table:
        columns: dict[str, pa.Array] = {
            "frame": tensor_column(np.stack([picture for picture, _, _ in held])),
            "frame_index": pa.array([index for _, index, _ in held], pa.int64()),
        }
        if self.include_timestamps:
            columns["frame_timestamp"] = tensor_column(np.array([times for _, _, times in held]))
        return pa.table(columns)


def _seconds(frame: Any, film: Any) -> float:
    """How long a frame is shown."""
    if getattr(frame, "duration", None):
        return float(frame.duration * frame.time_base)
    rate = film.streams.video[0].average_rate
    return float(1 / rate) if rate else 0.0
