"""A web service that finds similar texts: requests are computed by tasks, and an async actor keeps what they share.

    python -m examples.web_service [--port N] [--journal FILE]

    curl -X POST localhost:8000/documents -H 'content-type: application/json' -d '{"name": "a", "text": "to be or not"}'
    curl 'localhost:8000/similar?text=to+be+or+what'

FastAPI and the session share one event loop: handlers await references, and nothing blocks. A worker that is killed
costs nothing but time: tasks are retried, and the actor comes back and reads its journal. A client that goes away
cancels what its request has started. Ctrl-C ends server, node and workers.
"""

import argparse
import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

import ray_async as ray

SIGNATURE_LENGTH = 128  # of a MinHash: the estimate of a similarity is good to about 1 / sqrt of it
SHINGLE_WORDS = 3
DISCONNECT_POLL_S = 0.1


@ray.remote
def signature(text: str) -> np.ndarray:
    """The MinHash of a text's shingles (Broder, 1997, On the resemblance and containment of documents): uint64s."""
    words = text.lower().split()
    shingles = {" ".join(words[i : i + SHINGLE_WORDS]) for i in range(max(1, len(words) - SHINGLE_WORDS + 1))}
    hashes = np.array([int.from_bytes(hashlib.blake2b(s.encode(), digest_size=8).digest()) for s in sorted(shingles)])
    keys = np.random.default_rng(7).integers(1, 2**63, size=(2, SIGNATURE_LENGTH), dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        values: np.ndarray = (hashes.astype(np.uint64)[:, None] * (keys[0] | np.uint64(1)) + keys[1]).min(axis=0)
    return values


class Index:
    """Signatures of the documents, one instance for all requests; a journal of lines of JSON outlives its process.

    Args:
        journal: the journal's path.
    """

    def __init__(self, journal: str) -> None:
        self._journal = Path(journal)
        self._signatures: dict[str, np.ndarray] = {}
        if self._journal.exists():
            for line in self._journal.read_text().splitlines():
                row = json.loads(line)
                self._signatures[row["name"]] = np.array(row["signature"], dtype=np.uint64)

    async def add(self, name: str, values: np.ndarray) -> int:
        """Keep a document's signature; return how many documents there are."""
        self._signatures[name] = values
        with self._journal.open("a") as file:
            file.write(json.dumps({"name": name, "signature": values.tolist()}) + "\n")
        return len(self._signatures)

    async def similar(self, values: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """The documents most like a text, with estimates of their Jaccard similarity."""
        found = [(name, float(np.mean(own == values))) for name, own in self._signatures.items()]
        return sorted(found, key=lambda pair: -pair[1])[:limit]

    async def pid(self) -> int:
        """The process that serves the index."""
        return os.getpid()


class Document(BaseModel):
    """What a client sends."""

    name: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=1_000_000)


async def until_disconnected(request: Request) -> None:
    """Return when the client of a request has gone."""
    while not await request.is_disconnected():
        await asyncio.sleep(DISCONNECT_POLL_S)


async def answer(request: Request, work: Any) -> Any:
    """Await a coroutine that starts remote work; when the client goes away first, all of that work is cancelled."""
    async with ray.cancel_scope():
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(until_disconnected(request))
        try:
            await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise HTTPException(499, "the client has closed the connection")
            return task.result()
        finally:
            task.cancel()
            gone.cancel()


def make_app(journal: str) -> FastAPI:
    """The application; its session begins and ends with it.

    Args:
        journal: path of the index's journal.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ray.init(log_to_driver=False):
            actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Index)
            app.state.index = actor.remote(journal)
            yield

    app = FastAPI(title="Similar texts", lifespan=lifespan)

    @app.post("/documents", status_code=201)
    async def add(document: Document, request: Request) -> dict[str, Any]:
        async def work() -> int:
            # The task's result goes to the actor without a stop here.
            return int(await app.state.index.add.remote(document.name, signature.remote(document.text)))

        return {"name": document.name, "documents": await answer(request, work())}

    @app.get("/similar")
    async def similar(text: str, request: Request, limit: int = 3) -> list[dict[str, Any]]:
        async def work() -> Any:
            return await app.state.index.similar.remote(signature.remote(text), limit)

        return [{"name": name, "similarity": score} for name, score in await answer(request, work())]

    @app.get("/health")
    async def health() -> dict[str, int]:
        return {"index_pid": await app.state.index.pid.remote(), "server_pid": os.getpid()}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve an index of similar texts.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--journal", default="similar-texts.jsonl", help="file that keeps the index")
    arguments = parser.parse_args()
    uvicorn.run(make_app(str(Path(arguments.journal).absolute())), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
