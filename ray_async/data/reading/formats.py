"""Datasets of files whose formats need a library of their own, or are rarer."""

from __future__ import annotations

from typing import Any, Unpack

from ray_async.data.dataset.dataset import Dataset
from ray_async.data.reading.options import FileOptions, Paths, dataset_of_files
from ray_async.data.sources.arrow_ipc import ArrowReadFormat
from ray_async.data.sources.audio import AudioReadFormat
from ray_async.data.sources.avro import AvroReadFormat
from ray_async.data.sources.optional import check_installed
from ray_async.data.sources.orc import ORCReadFormat
from ray_async.data.sources.partitioning import Partitioning
from ray_async.data.sources.tfrecords import TFRecordReadFormat, types_of_schema
from ray_async.data.sources.video import VideoReadFormat
from ray_async.data.sources.webdataset import WebDatasetReadFormat
from ray_async.data.unused import note_unused

__all__ = (
    "read_arrow",
    "read_audio",
    "read_avro",
    "read_orc",
    "read_tfrecords",
    "read_videos",
    "read_webdataset",
)

_SOUNDS = ("mp3", "wav", "flac", "ogg", "opus", "aiff", "aif", "au", "caf", "w64", "rf64")
_FILMS = (
    "mp4", "mkv", "mov", "avi", "wmv", "flv", "webm", "m4v", "3gp", "mpeg", "mpg", "ts", "ogv", "vob", "asf", "f4v",
    "m2ts", "mts", "mxf",
)  # fmt: skip
_COMPRESSED = ("", ".gz", ".bz2", ".zst", ".lz4")


def read_arrow(paths: Paths, **options: Unpack[FileOptions]) -> Dataset:
    """Rows of Arrow's files: of the file format, also called Feather, and of the stream format.

    Args:
        paths: files, folders with all that is in them, patterns, or URIs.
        options: as `FileOptions` describes them.

    Raises:
        FileNotFoundError: A path does not exist.
        ValueError: There is no file; when it is run, a file is damaged, with its path.
        TypeError: The files' columns have types that do not fit together, or an unknown option.

    Example:
        >>> ds = ray.data.read_arrow("data/*.feather")
    """
    return dataset_of_files(paths, ArrowReadFormat(), ("arrow", "feather", "ipc", "arrows"), **_with_hive(options))


def read_orc(paths: Paths, **options: Unpack[FileOptions]) -> Dataset:
    """Rows of ORC files. Options and errors as of `read_arrow`."""
    return dataset_of_files(paths, ORCReadFormat(), ("orc",), **_with_hive(options))


def read_avro(paths: Paths, **options: Unpack[FileOptions]) -> Dataset:
    """Records of Avro files. Options and errors as of `read_arrow`.

    Raises:
        ImportError: fastavro is not installed.
    """
    check_installed("fastavro", "fastavro", "read_avro")
    return dataset_of_files(paths, AvroReadFormat(), ("avro",), **_with_hive(options))


def read_tfrecords(paths: Paths, *, tf_schema: Any = None, **options: Unpack[FileOptions]) -> Dataset:
    """Features of the ``tf.train.Example`` records of TFRecord files, without TensorFlow.

    A feature that has one value in each row of a file is a column of plain values, else of lists; texts are bytes.

    Args:
        tf_schema: a schema of TensorFlow Metadata, which says what is a list and what is not.
        options: as `FileOptions` describes them.

    Raises:
        ImportError: protobuf or google-crc32c is not installed.

    Other errors: as `read_arrow`; a checksum that does not match is a damaged file.
    """
    check_installed("google_crc32c", "google-crc32c", "read_tfrecords")
    types = () if tf_schema is None else types_of_schema(tf_schema)
    endings = [f"{stem}{ending}" for stem in ("tfrecords", "tfrecord") for ending in _COMPRESSED]
    return dataset_of_files(paths, TFRecordReadFormat(types), endings, **options)


def read_webdataset(
    paths: Paths,
    *,
    decoder: Any = True,
    fileselect: Any = None,
    filerename: Any = None,
    suffixes: Any = None,
    verbose_open: bool = False,
    expand_json: bool = False,
    **options: Unpack[FileOptions],
) -> Dataset:
    """Samples of tar files: a row for each name, a column for each ending, ``__key__`` for the name itself.

    Args:
        decoder: True decodes members by their endings: texts, numbers, JSON, NumPy arrays, pictures, MessagePack; never
            pickles. A mode of Pillow's does the same with pictures in that mode; a function takes and returns a sample;
            several of these in a list. None leaves bytes.
        fileselect: members that are read: a function of the name, or patterns such as ``"*.jpg"``.
        filerename: new names: a function, or pairs of an old and a new piece.
        suffixes: columns that are read: a function, or patterns.
        verbose_open: accepted.
        expand_json: whether the items of JSON objects become columns.
        options: as `FileOptions` describes them.

    Errors: as `read_arrow`; a member that is there twice is a ValueError.
    """
    note_unused("read_webdataset", "files are opened as all others are", verbose_open=verbose_open)
    format = WebDatasetReadFormat(decoder, _kept(fileselect), _kept(filerename), _kept(suffixes), expand_json)
    endings = [f"tar{ending}" for ending in _COMPRESSED] + ["tgz"]
    return dataset_of_files(paths, format, endings, **options)


def _kept(choice: Any) -> Any:
    """A choice that cannot change any more: None, a function, or a tuple."""
    return tuple(choice) if isinstance(choice, (list, tuple)) else choice


def read_audio(paths: Paths, **options: Unpack[FileOptions]) -> Dataset:
    """Sounds, a row for each file: ``amplitude``, an array of channels and samples, and ``sample_rate`` in hertz.

    Raises:
        ImportError: soundfile is not installed.

    Options and other errors: as of `read_arrow`.
    """
    check_installed("soundfile", "soundfile", "read_audio")
    return dataset_of_files(paths, AudioReadFormat(), _SOUNDS, **options)


def read_videos(
    paths: Paths,
    *,
    include_timestamps: bool = False,
    fps: float | None = None,
    resize: tuple[int, int] | None = None,
    **options: Unpack[FileOptions],
) -> Dataset:
    """Frames of films, a row for each: ``frame``, an RGB array, and ``frame_index``.

    Args:
        include_timestamps: whether to add ``frame_timestamp``: from when to when it is shown, in seconds.
        fps: frames for each second of the film; None: all.
        resize: height and width to which frames are brought.
        options: as `FileOptions` describes them.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: ``fps`` or a size is not positive.

    Other errors: as of `read_arrow`.
    """
    check_installed("av", "av", "read_videos")
    if fps is not None and fps <= 0:
        raise ValueError(f"fps must be positive, but is {fps}")
    if resize is not None and min(resize) < 1:
        raise ValueError(f"resize must be a height and a width, but is {resize}")
    return dataset_of_files(paths, VideoReadFormat(include_timestamps, fps, resize), _FILMS, **options)


def _with_hive(options: FileOptions) -> FileOptions:
    return {"partitioning": Partitioning("hive"), **options}
