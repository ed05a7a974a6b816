"""What a request must be before it reaches the application, and the headers on every answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
"""A page of another site that has its own name resolve to 127.0.0.1 sends its own name as Host, and is refused."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Puts ``HEADERS`` on every answer, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOrigin:
    """Questions come from our own page only: as JSON, and from no other origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            problem = _foreign(Headers(scope=scope))
            if problem:
                await refusal(*problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class SmallBodies:
    """Refuses bodies beyond ``limit`` bytes: by their stated length, and by what really comes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        body, more = b"", True
        while more and len(body) <= self._limit and stated.isdigit() and int(stated) <= self._limit:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if more:
            too_large = refusal(413, f"A request has at most {self._limit:,} bytes.")
            await too_large(scope, receive, send)
            return
        waiting = True

        async def receive_whole() -> Message:
            nonlocal waiting
            if waiting:
                waiting = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, receive_whole, send)


class Rate:
    """A bucket of tokens: ``per_second`` come in, at most ``burst`` lie in it. One for all pages together."""

    def __init__(
        self, per_second: float, burst: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._now = now
        self._tokens, self._at = self._burst, now()

    def admits(self) -> bool:
        """Take a token, if there is one."""
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def refusal(status: int, message: str) -> JSONResponse:
    """An error as the page reads it."""
    retry = {"Retry-After": "1"} if status in (429, 503) else {}
    return JSONResponse({"error": message}, status, headers=retry)


def _foreign(headers: Headers) -> tuple[int, str] | None:
    own = f"http://{headers.get('host', '')}"
    if headers.get("origin", own) != own:
        return 403, "Questions come from this page only."
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return 403, "Questions come from this page only."
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return 415, "A question is application/json."
    return None
