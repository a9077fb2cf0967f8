"""Troubles of the whole website that a test can order: with ``--control``, by POST to ``/control/…``.

expire-sessions                    every session is forgotten
refuse-logins, accept-logins       right passwords are refused, and taken again
down[?mode=close][&retry-after=S]  every answer is status 503, or the connection is closed instead
down?mode=documents                a page that speaks of maintenance comes in place of every document, status 200
up                                 the end of it
rate-limit?seconds=S               for S seconds every answer is status 429 with Retry-After
hold[?after=N]                     vehicles' pages are kept back after N more; they get what is ordered meanwhile
release                            the end of it
"""

import asyncio
import math
import time

from aiohttp import web

from worker.sites.demo import pages
from worker.sites.demo.journal import Journal
from worker.sites.demo.sessions import Sessions


class Control:
    """The present troubles, and the routes that order them."""

    def __init__(self, sessions: Sessions, journal: Journal) -> None:
        self._sessions = sessions
        self._journal = journal
        self.refuses_logins = False
        self._down = ""
        self._retry_after = 0.0
        self._limited_until = 0.0
        self._passes = math.inf
        self._allowed = asyncio.Event()

    async def let_pass(self) -> None:
        """Keep a vehicle's page back for as long as that is ordered."""
        while self._passes <= 0:
            self._journal.held += 1
            try:
                await self._allowed.wait()
            finally:
                self._journal.held -= 1
        self._passes -= 1

    def trouble(self, request: web.Request) -> web.StreamResponse | None:
        """Return what the website answers instead of the page, or None when it is up."""
        if self._down == "close":
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=503)
        if self._down == "documents":
            return _moving(request)
        if self._down:
            headers = {"Retry-After": str(math.ceil(self._retry_after))} if self._retry_after else {}
            return web.Response(status=503, text="The inventory is down for maintenance.\n", headers=headers)
        wait = self._limited_until - time.monotonic()
        if wait > 0:
            headers = {"Retry-After": str(math.ceil(wait))}
            return web.Response(status=429, text="Too many requests.\n", headers=headers)
        return None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Make the troubles available to tests."""
        router.add_post("/control/{order}", self._order)

    def _allow(self, pages: float) -> None:
        self._passes = pages
        waiting, self._allowed = self._allowed, asyncio.Event()
        waiting.set()

    async def _order(self, request: web.Request) -> web.Response:
        match request.match_info["order"]:
            case "expire-sessions":
                self._sessions.forget_all()
                self._journal.expiries += 1
            case "refuse-logins":
                self.refuses_logins = True
            case "accept-logins":
                self.refuses_logins = False
            case "down":
                self._down = request.query.get("mode", "503")
                self._retry_after = _number(request, "retry-after", "0")
            case "up":
                self._down = ""
                self._limited_until = 0.0
            case "rate-limit":
                self._limited_until = time.monotonic() + _number(request, "seconds", "5")
            case "hold":
                self._allow(_number(request, "after", "0"))
            case "release":
                self._allow(math.inf)
            case unknown:
                raise web.HTTPNotFound(text=f"There is no order {unknown}.\n")
        return web.Response(text="done\n")


def _moving(request: web.Request) -> web.Response | None:
    if "/documents/" not in request.path:
        return None
    text = f"Our documents are moving. This is request {time.monotonic_ns()} of today."
    return web.Response(text=pages.notice("Maintenance", text), content_type="text/html")


def _number(request: web.Request, name: str, default: str) -> float:
    text = request.query.get(name, default)
    try:
        return float(text)
    except ValueError:
        raise web.HTTPBadRequest(text=f"{name} is {text!r}, it must be a number\n") from None
