"""Sound files, by libsndfile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.block.tensors import tensor_column
from ray_async.data.sources.optional import library

__all__ = ("AudioReadFormat",)


@dataclass(frozen=True)
class AudioReadFormat:
    """A row for each file: ``amplitude``, of channels and samples from -1 to 1, and ``sample_rate``, in hertz."""

    name = "Audio"
    growth = 8.0
    compressed = False
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        soundfile = library("soundfile", "soundfile", "read_audio")
        try:
            sound, rate = soundfile.read(io.BytesIO(content), always_2d=True, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise ValueError(f"Failed to read audio file: {path}: {error}") from error
        yield pa.table({"amplitude": tensor_column(sound.T[None]), "sample_rate": pa.array([rate], pa.int64())})

    def schema(self) -> None:
        return None
