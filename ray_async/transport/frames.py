"""Frames: four bytes of length, then UTF-8 JSON."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

__all__ = ("FrameError", "FrameReader", "decode_bytes", "encode_bytes", "pack")

_LENGTH = struct.Struct("<I")
MAX_FRAME = 1 << 28


class FrameError(ValueError):
    """What a peer sent is no frame: it is cut off."""


def encode_bytes(data: bytes) -> str:
    """Bytes as text that JSON can hold."""
    return base64.b64encode(data).decode("ascii")


def decode_bytes(text: str) -> bytes:
    """The bytes behind `encode_bytes`.

    Raises:
        FrameError: the text is not base64.
    """
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, AttributeError) as error:
        raise FrameError("not base64") from error


def pack(message: Mapping[str, object]) -> bytes:
    """One message as a frame."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Collects bytes and gives the messages that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes in; return the messages that they complete.

        Raises:
            FrameError: the bytes cannot be frames.
        """
        self._buffer += data
        messages = []
        while len(self._buffer) >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise FrameError(f"a frame of {length} bytes")
            if len(self._buffer) < 4 + length:
                break
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            try:
                message = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise FrameError("a frame that is not JSON") from error
            if not isinstance(message, dict):
                raise FrameError("a frame that is not a JSON object")
            messages.append(message)
        return messages
