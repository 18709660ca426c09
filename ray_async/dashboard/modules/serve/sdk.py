"""A client of Serve's REST API."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

__all__ = ("ServeSubmissionClient",)

_APPLICATIONS = "/api/serve/applications/"
_PATIENCE = 60.0  # seconds for an answer


class ServeSubmissionClient:
    """Deploys configs, and shows what runs, over HTTP.

    Args:
        dashboard_head_address: The API's URL, as ``http://127.0.0.1:8265``.
        create_cluster_if_needed: Passed over with a warning: a client starts nothing.
        cookies: Cookies of its requests.
        metadata: Passed over with a warning: it is for jobs.
        headers: Headers of its requests, as ``{"Authorization": "Bearer TOKEN"}``.

    Raises:
        ValueError: The address is no URL of HTTP.
    """

    def __init__(
        self,
        dashboard_head_address: str,
        create_cluster_if_needed: bool = False,
        cookies: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if urlsplit(dashboard_head_address).scheme not in ("http", "https"):
            raise ValueError(f"the address must begin with http:// or https://, but is {dashboard_head_address!r}")
        if create_cluster_if_needed or metadata:
            warnings.warn("create_cluster_if_needed and metadata have no effect", UserWarning, stacklevel=2)
        self._address = dashboard_head_address.rstrip("/")
        self._headers = dict(headers or {})
        if cookies:
            self._headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())

    def get_serve_details(self) -> dict[str, Any]:
        """Give what runs.

        Raises:
            OSError: The API cannot be reached.
            RuntimeError: The API has refused the request; the text says why.
        """
        details: dict[str, Any] = json.loads(self._request("GET"))
        return details

    def deploy_applications(self, config: Mapping[str, Any]) -> None:
        """Deploy what a config says; does not wait until it runs.

        Raises:
            OSError: The API cannot be reached.
            RuntimeError: The API has refused the request; the text says why.
        """
        self._request("PUT", json.dumps(config).encode())

    def delete_applications(self) -> None:
        """Delete all applications.

        Raises:
            OSError: The API cannot be reached.
            RuntimeError: The API has refused the request; the text says why.
        """
        self._request("DELETE")

    def _request(self, method: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json", **self._headers}
        request = Request(self._address + _APPLICATIONS, body, headers, method=method)
        try:
            with urlopen(request, timeout=_PATIENCE) as answer:
                content: bytes = answer.read()
        except HTTPError as error:
            with error:
                raise RuntimeError(f"The request failed with status {error.code}: {error.read().decode()}") from None
        return content
