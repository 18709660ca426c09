"""Streaming chat: a model that makes token after token, behind HTTP, as events that a browser can read.

    python -m examples.chat_tokens [--tokens N]

The model knows which word follows which two in the standard library's own documentation, and draws from that. It makes
a token at a time; each leaves at once, through both deployments. When a client goes away, its generator is closed.
"""
# mypy: disable-error-code=attr-defined
# mypy leaves a class under a decorator as it is: without `bind`.

import argparse
import json
import pydoc_data.topics
import random
from collections import defaultdict
from collections.abc import AsyncIterator

import httpx
from starlette.requests import Request
from starlette.responses import StreamingResponse

import ray_async as ray
from ray_async import serve

__all__ = ("Chat", "Model", "main")


@serve.deployment(max_ongoing_requests=20)
class Model:
    """Says what may come next."""

    def __init__(self) -> None:
        self.following: dict[tuple[str, str], list[str]] = defaultdict(list)
        words = " ".join(pydoc_data.topics.topics.values()).split()
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            self.following[first, second].append(third)

    async def generate(self, prompt: str, tokens: int, seed: int) -> AsyncIterator[str]:
        """Token after token, from the last two words of a prompt."""
        draw = random.Random(seed)
        pair = tuple(prompt.split()[-2:])
        if pair not in self.following:
            pair = ("The", "following")
        for _ in range(tokens):
            if not self.following[pair]:
                return
            word = draw.choice(self.following[pair])
            yield word
            pair = (pair[1], word)


@serve.deployment
class Chat:
    """Takes a prompt, and answers with a stream of server-sent events."""

    def __init__(self, model: serve.DeploymentHandle) -> None:
        self.model = model.options(stream=True)

    async def __call__(self, request: Request) -> StreamingResponse:
        question = await request.json()
        return StreamingResponse(self.events(**question), media_type="text/event-stream")

    async def events(self, prompt: str, tokens: int, seed: int) -> AsyncIterator[str]:
        """Each token as an event, and one that says that it was the last."""
        count = 0
        async for token in self.model.generate.remote(prompt, tokens, seed):
            count += 1
            yield f"data: {json.dumps({'token': token})}\n\n"
        yield f"data: {json.dumps({'done': count})}\n\n"


def ask(address: str, prompt: str, tokens: int) -> list[str]:
    """Print an answer as it comes, and give its tokens."""
    said = []
    question = {"prompt": prompt, "tokens": tokens, "seed": 1}
    with httpx.stream("POST", address, json=question, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if "done" in event:
                    print(f"\n[{event['done']} tokens]")
                else:
                    said.append(event["token"])
                    print(event["token"], end=" ", flush=True)
    return said


def main() -> None:
    """Serve, ask, and stop."""
    parser = argparse.ArgumentParser(description="Stream the tokens of a model over HTTP.")
    parser.add_argument("--tokens", type=int, default=40, help="of an answer, at most (40)")
    options = parser.parse_args()
    serve.run(Chat.bind(Model.bind()), port=0, blocking=False)
    address = f"http://{serve.status().http_address}/"
    print("> The value of")
    ask(address, "The value of", options.tokens)
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
