"""The status page over HTTP, in a process of its own: it only reads, status.json and the ledger.

It is for the loopback address only. A page of another site cannot reach it through the browser of whoever looks: the
name asked for must be one of this machine's (DNS rebinding), and no answer may be embedded elsewhere.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from supervisor.errors import UserError
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import page, prometheus
from supervisor.views.night_figures import gather
from supervisor.views.status import Snapshot, encode, read_status

_OURS = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TIMELINE_SECONDS = 20.0
_TIMELINE_SHARE = 50
"""A timeline that took so many seconds to draw is shown for that many times as many."""
_SHUTDOWN_SECONDS = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(directory: RunDirectory, listener: socket.socket) -> None:
    """Answer on `listener` until standard input ends."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the supervisor's end is ours, and a signal to the group is for it
    asyncio.run(_serve(directory, listener))


async def _serve(directory: RunDirectory, listener: socket.socket) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, lambda: None if os.read(0, 65_536) else over.set())
    runner = web.AppRunner(application(directory), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await over.wait()
    asyncio.get_running_loop().remove_reader(0)
    await runner.cleanup()


def application(directory: RunDirectory) -> web.Application:
    """Return the web application: every address of the page, all of them read-only."""
    views = _Views(directory)
    app = web.Application(middlewares=[_guard])
    app.router.add_get("/", views.page)
    app.router.add_get("/timeline", views.timeline)
    app.router.add_get("/status.json", views.status)
    app.router.add_get("/metrics", views.metrics)
    app.router.add_get(r"/workers/{slot:[0-9]{1,3}}.jpg", views.picture)
    app.router.add_get(r"/{name:page\.(?:js|css)}", views.asset)
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse whoever asks for this address by a foreign name; give every answer its headers."""
    if not _is_ours(request.host):
        return web.Response(status=403, text="this page is for the machine itself, by its loopback address\n")
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    answer.headers.update(_HEADERS)
    return answer


class _Views:
    """What each address shows."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._drawing = asyncio.Lock()
        self._drawn = ""
        self._draw_again = 0.0

    async def page(self, _request: web.Request) -> web.Response:
        snapshot = self._snapshot()
        taken = {worker.slot: _picture(self._directory.page(worker.slot)) for worker in snapshot.workers}
        text = page.render(snapshot, {slot: picture for slot, picture in taken.items() if picture is not None})
        return web.Response(text=text, content_type="text/html")

    async def timeline(self, _request: web.Request) -> web.Response:
        async with self._drawing:
            if time.monotonic() >= self._draw_again:
                begun = time.monotonic()
                self._drawn = await asyncio.to_thread(self._draw)
                now = time.monotonic()
                self._draw_again = now + max(_TIMELINE_SECONDS, (now - begun) * _TIMELINE_SHARE)
        return web.Response(text=self._drawn, content_type="text/html")

    async def status(self, _request: web.Request) -> web.Response:
        return web.Response(body=encode(self._snapshot()), content_type="application/json")

    async def metrics(self, _request: web.Request) -> web.Response:
        answer = web.Response(body=prometheus.exposition(self._snapshot()))
        answer.headers["Content-Type"] = prometheus.CONTENT_TYPE
        return answer

    async def picture(self, request: web.Request) -> web.Response:
        try:
            content = self._directory.page(int(request.match_info["slot"])).read_bytes()
        except OSError as error:
            raise web.HTTPNotFound from error  # none was taken yet, or its worker has just been replaced
        return web.Response(body=content, content_type="image/jpeg")

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return web.Response(text=page.asset(name), content_type=kind)

    def _snapshot(self) -> Snapshot:
        snapshot = read_status(self._directory.status)
        if snapshot is None:
            raise web.HTTPServiceUnavailable(text="the run has not begun yet\n")
        return snapshot

    def _draw(self) -> str:
        from supervisor.views.night_pictures import timeline  # noqa: PLC0415 - large, and only where somebody looks

        try:
            with LedgerReader(self._directory.ledger) as reader:
                return timeline(gather(reader, time.time()))
        except UserError as error:  # a ledger that cannot be read now may be readable later
            return page.sentence(str(error))


def _picture(path: Path) -> page.Picture | None:
    try:
        taken = path.stat()
    except OSError:
        return None  # none was taken yet
    return page.Picture(taken.st_mtime_ns, max(0.0, time.time() - taken.st_mtime))


def _is_ours(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _OURS
    except ValueError:
        return False
