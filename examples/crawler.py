"""A crawler: coroutines as tasks fetch pages, as many at a time as is polite, and other tasks read them on all cores.

    python -m examples.crawler [ADDRESS] [--pages N] [--at-once N]

Without an address it crawls a small site that it serves itself: this interpreter's own documentation of its modules.
"""

import argparse
import asyncio
import contextlib
import pkgutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

import ray_async as ray

__all__ = ("crawl", "main", "site")

TOP = sorted(name for _, name, _ in pkgutil.iter_modules() if not name.startswith("_"))[:60]


class Links(HTMLParser):
    """The links and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.words: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link leads."""
        self.links += [value for key, value in attrs if tag == "a" and key == "href" and value]

    def handle_data(self, data: str) -> None:
        """Count the words."""
        self.words.update(word for word in data.lower().split() if word.isalpha() and len(word) > 4)


@ray.remote
async def fetch(address: str) -> str:
    """A page; many of these share one worker's loop."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(address)
        answer.raise_for_status()
        return answer.text


@ray.remote
def read(address: str, text: str) -> tuple[list[str], Counter[str]]:
    """The pages of the same host that a page links to, and its words."""
    page = Links(text)
    links = {urldefrag(urljoin(address, link)).url for link in page.links}
    return sorted(link for link in links if urlsplit(link).netloc == urlsplit(address).netloc), page.words


async def crawl(start: str, most: int, at_once: int) -> tuple[int, Counter[str], list[str]]:
    """Follow links from a page.

    Args:
        start: The first page's address.
        most: How many pages are read.
        at_once: How many are fetched at a time.

    Returns:
        The number of pages, their words, and the addresses that could not be had.
    """
    seen, words, lost = {start}, Counter[str](), list[str]()
    waiting: asyncio.Queue[str] = asyncio.Queue()
    waiting.put_nowait(start)

    async def follow() -> None:
        while True:
            address = await waiting.get()
            try:
                links, found = await read.remote(address, fetch.remote(address))  # the page goes from task to task
                words.update(found)
                for link in links:
                    if link not in seen and len(seen) < most:
                        seen.add(link)
                        waiting.put_nowait(link)
            except httpx.HTTPError:
                lost.append(address)
            finally:
                waiting.task_done()

    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(follow()) for _ in range(at_once)]
        await waiting.join()
        for follower in followers:
            follower.cancel()
    return len(seen) - len(lost), words, lost


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[str]:
    """A site of one page for each module, which link to each other; gives its address."""

    def page(path: str) -> str | None:
        name = path.strip("/")
        if name and name not in TOP:
            return None
        nearby = TOP if not name else [TOP[(TOP.index(name) + step) % len(TOP)] for step in (1, 2)]
        links = " ".join(f'<a href="/{other}">{other}</a>' for other in nearby)
        return f"<h1>{name}</h1><p>module of python {sys.version}</p>{links} <a href='/missing'>gone</a>"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.02)  # a slow host
        text = page(request.split()[1].decode())
        body = (text or "nothing here").encode()
        status = b"200 OK" if text else b"404 Not Found"
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def main() -> None:
    """Crawl, and say what was found."""
    parser = argparse.ArgumentParser(description="Crawl a site by coroutines that are tasks.")
    parser.add_argument("address", nargs="?", help="where to begin; a site of its own without it")
    parser.add_argument("--pages", type=int, default=100, help="at most (100)")
    parser.add_argument("--at-once", type=int, default=8, help="requests at a time (8)")
    options = parser.parse_args()
    ray.init()
    async with contextlib.AsyncExitStack() as stack:
        address = options.address or await stack.enter_async_context(site())
        started = time.perf_counter()
        count, words, lost = await crawl(address, options.pages, options.at_once)
        seconds = time.perf_counter() - started
    print(f"{count} pages in {seconds:.1f} s, {len(lost)} could not be had: {lost[:3]}")
    print("words:", ", ".join(f"{word} {times}" for word, times in words.most_common(3)))
    ray.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
