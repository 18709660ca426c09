"""Functions of users' that the cases of Data run; they travel by value, so that workers need not import this file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ("http_calls", "identity", "image_model", "keeps_long", "plus_one", "row_plus_one", "with_length")


def with_length(batch: Any) -> Any:
    """The seed's function of a batch of pandas."""
    batch["text_length"] = [len(text) for text in batch["text"]]
    return batch


def keeps_long(row: Any) -> bool:
    """The seed's function of a row."""
    return bool(row["text_length"] > 50)


def identity(batch: Any) -> Any:
    """The batch."""
    return batch


def row_plus_one(row: Any) -> dict[str, Any]:
    """A row with another number."""
    return {"id": row["id"] + 1}


def plus_one() -> Callable[[Any], Any]:
    """A trivial function of batches, another object at each call."""

    def add(batch: Any) -> Any:
        return {"id": batch["id"] + 1}

    return add


def image_model() -> type:
    """A class that decodes JPEG, resizes, and runs a small network of torch on the CPU, with one thread."""

    class Model:
        def __init__(self) -> None:
            import torch

            torch.set_num_threads(1)
            torch.manual_seed(0)
            self.network = torch.nn.Sequential(
                torch.nn.Conv2d(3, 16, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, 2), torch.nn.ReLU(),
                torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, 10),
            )  # fmt: skip

        def __call__(self, batch: Any) -> Any:
            import io

            import numpy as np
            import torch
            from PIL import Image

            pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).resize((96, 96))) for data in batch["bytes"]])
            with torch.inference_mode():
                found = self.network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
            return {"label": found.argmax(1).numpy()}

    return Model


def http_calls() -> type:
    """A class whose coroutine makes a plain HTTP request for a row, over connections that are kept open."""

    class Calls:
        def __init__(self, port: int) -> None:
            self.port = port
            self.idle: list[Any] = []

        async def __call__(self, row: Any) -> dict[str, Any]:
            import asyncio

            reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(2)
            self.idle.append((reader, writer))
            return {"ok": head.startswith(b"HTTP/1.1 200") and body == b"ok"}

    return Calls
