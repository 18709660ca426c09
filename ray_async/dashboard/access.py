"""Access to the dashboard: for those with the token, and for browsers that come by a link with a one-time code."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

__all__ = ("Access",)

_MOST_CODES = 64
_CODE_LIFE_S = 24 * 3600.0
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_OPEN = frozenset({"/healthz"})

# Nothing is loaded from elsewhere, nothing is run that is not in a file of ours, and nobody frames the page.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """Lets requests through, or refuses them.

    A request must name one of our own addresses as its host (so no name of somebody else's can be pointed here), must
    not come from another site's page, and must have the token: as ``Authorization: Bearer``, or by the cookie that a
    link has brought. A link's code is good once.

    Args:
        token: the secret.
        hosts: what the header ``Host`` may be, the port included.
        cookie: the name of the cookie; another one for each port, since browsers share cookies between ports.
        clock: seconds that only grow.
    """

    def __init__(
        self, token: str, hosts: frozenset[str], cookie: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._token = token.encode()
        self._hosts = hosts
        self._cookie = cookie
        self._clock = clock
        self._codes: dict[str, float] = {}  # the oldest first
        # A browser keeps what is derived from the token, and not the token: it cannot be used as one.
        self._ticket = hmac.digest(self._token, b"cookie", "sha256").hex()

    def new_code(self) -> str:
        """Make a code for a link; of too many, the oldest one is not good any more."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = self._clock() + _CODE_LIFE_S
        while len(self._codes) > _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        return code

    def is_ours(self, host: str) -> bool:
        """Whether a header ``Host`` names this server."""
        return host.lower() in self._hosts

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it."""
        if not self.is_ours(request.headers.get(hdrs.HOST, "")):
            raise web.HTTPMisdirectedRequest(text="This server is not known by that name.\n")
        if self._is_foreign(request):
            raise web.HTTPForbidden(text="Pages of other sites may not ask.\n")
        code = request.query.get("code")
        if code is not None and request.method == "GET" and request.path == "/":
            return self._enter(request, code)
        if request.path not in _OPEN and not self._is_known(request):
            raise web.HTTPUnauthorized(
                text="A token or a link is needed: `ray_async dashboard` prints one.\n",
                headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
            )
        return await handler(request)

    @staticmethod
    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        """Say in the headers what an answer, whichever it is, may do: as little as the pages need."""
        response.headers.update(_HEADERS)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")

    def _is_foreign(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None:
            scheme, _, host = origin.partition("://")
            return scheme not in ("http", "https") or host.lower() != request.headers[hdrs.HOST].lower()
        # A link that is followed from elsewhere is a visit; anything else that another site's page does is not.
        site = request.headers.get("Sec-Fetch-Site", "none")
        visit = request.method in _SAFE_METHODS and request.headers.get("Sec-Fetch-Mode") == "navigate"
        return site not in ("none", "same-origin") and not visit

    def _is_known(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(errors="replace"), self._token)
        ticket = request.cookies.get(self._cookie, "")
        return hmac.compare_digest(ticket.encode(errors="replace"), self._ticket.encode())

    def _enter(self, request: web.Request, code: str) -> web.StreamResponse:
        if self._is_known(request):  # a link that is followed again in the same browser
            return web.HTTPSeeOther("/")
        if self._codes.pop(code, 0.0) < self._clock():
            raise web.HTTPUnauthorized(
                text="This link has been used, or is too old: `ray_async dashboard` prints a new one.\n"
            )
        response = web.HTTPSeeOther("/")
        response.set_cookie(self._cookie, self._ticket, httponly=True, samesite="Strict", path="/")
        return response
