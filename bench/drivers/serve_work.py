"""What the servers of the benchmark are asked to do, whichever they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

__all__ = ("BALANCE_S", "BATCH", "CHUNKS", "MODEL_S", "chunks", "classify", "preprocess", "streamed")

CHUNKS = 10_000
BALANCE_S = 0.01
BATCH = 32
MODEL_S = 0.001


def preprocess(text: str) -> str:
    """The first stage."""
    return text.strip().lower()


def classify(text: str) -> dict[str, Any]:
    """The second stage: a model that costs nothing."""
    return {"label": "POSITIVE" if "excellent" in text else "NEGATIVE", "score": 0.99}


async def chunks(count: int) -> AsyncIterator[str]:
    """Many small parts of an answer."""
    for number in range(count):
        yield f"{number}\n"


def streamed(items: AsyncIterator[str]) -> Any:
    """Starlette's answer of many parts, which is an ASGI application too."""
    from starlette.responses import StreamingResponse

    return StreamingResponse(items, media_type="text/plain")
