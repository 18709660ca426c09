"""Load on an application, by HTTP and by handle, that notes every answer and every failure."""

import threading
from typing import Any

import httpx

from tests.serve.waiting import wait_until

__all__ = ("Load",)


class Load:
    """Requests without a pause, by HTTP on connections that stay open and by handle; notes what was answered.

    Args:
        http: A client, for the address.
        handle: A handle.
        path: The path that is asked for.
        connections: How many connections.
        callers: How many call by handle.
        method: The method of requests by HTTP.
        tries: How often a request is sent whose connection breaks: clients send one again whose server was killed.
    """

    def __init__(
        self,
        http: httpx.Client,
        handle: Any,
        path: str = "/",
        connections: int = 4,
        callers: int = 2,
        tries: int = 1,
        method: str = "GET",
    ) -> None:
        self._path = path
        self._tries = tries
        self._method = method
        self.answers: list[Any] = []
        self.failures: list[Any] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._http, args=(http.base_url,)) for _ in range(connections)]
        self._threads += [threading.Thread(target=self._handle, args=(handle,)) for _ in range(callers)]

    def _http(self, url: Any) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not self._stop.is_set():
                for left in reversed(range(self._tries)):
                    try:
                        answer = client.request(self._method, self._path)
                    except httpx.HTTPError as error:
                        if not left:
                            self.failures.append(error)
                    else:
                        (self.answers if answer.status_code == 200 else self.failures).append(answer.text)
                        break

    def _handle(self, handle: Any) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(handle.remote().result(timeout_s=60))
            except Exception as error:
                self.failures.append(error)

    def more(self, count: int = 50) -> None:
        """Wait for that many answers from now on."""
        before = len(self.answers)
        wait_until(lambda: len(self.answers) >= before + count or self.failures)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
