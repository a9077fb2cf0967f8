"""A small inventory behind whatever a test puts before it: TLS, client certificates, passwords; and a proxy to it."""

import asyncio
import base64
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

from aiohttp import web

from tests.hosting import Hosted, LoopThread
from tests.worker.lot_site import make_pdf

USER, PASSWORD = "gate-keeper", "gate/Sécret:42"
PDF = make_pdf("behind the gate")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate(Hosted):
    """The website. `basic` asks for user and password on every path."""

    def __init__(self, *, basic: bool = False) -> None:
        super().__init__()
        self.basic = basic
        self.password = PASSWORD
        self.seen: Counter[tuple[str, str]] = Counter()
        """Path and user agent of every request that was let through."""
        self.refused = 0

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/inventory", self._inventory)
        application.router.add_get("/vehicle/{ref}", self._vehicle)
        application.router.add_get("/pdf/{name}", self._pdf)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        wanted = "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if self.basic and request.headers.get("Authorization") != wanted:
            self.refused += "Authorization" in request.headers
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="gate"'}, text="who are you?")
        self.seen[request.path, request.headers.get("User-Agent", "")] += 1
        return await handler(request)

    async def _inventory(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html><body id=inside>inventory</body></html>", content_type="text/html")

    async def _vehicle(self, request: web.Request) -> web.StreamResponse:
        if (link := request.query.get("away")) is not None:
            raise web.HTTPFound(link)
        return web.Response(
            text="<html><body id=inside><a class=document href=/pdf/a.pdf>a</a></body></html>", content_type="text/html"
        )

    async def _pdf(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=PDF, content_type="application/pdf")


@contextlib.contextmanager
def gate(context: ssl.SSLContext | None = None, *, basic: bool = False) -> Iterator[Gate]:
    """Run the website until the block ends, with TLS when it is given a context."""
    site = Gate(basic=basic)
    try:
        site.start(context)
        yield site
    finally:
        site.stop()


class Proxy:
    """An HTTP proxy (RFC 9110, sections 7.6 and 9.3.6) that wants user and password."""

    def __init__(self) -> None:
        self.url = ""
        self.let_through: Counter[str] = Counter()
        """By method and host:port."""
        self.refused = 0
        self._server: asyncio.Server | None = None

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; say whether another may come on this connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        method, target, _ = line.split(" ")
        wanted = "basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = [f.partition(":")[2].strip() for f in fields if f.lower().startswith("proxy-authorization:")]
        if [g[:6].lower() + g[6:] for g in given] != [wanted]:
            self.refused += bool(given)
            refusal = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=gate\r\nContent-Length: 0\r\n\r\n"
            writer.write(refusal.encode())
            await writer.drain()
            return True
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        self.let_through[f"{method} {url.hostname}:{url.port}"] += 1
        theirs, ours = await asyncio.open_connection(url.hostname, url.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            kept = [f for f in fields if not f.lower().startswith(("proxy-", "connection:"))]
            path = target.partition("//")[2].partition("/")[2]
            ours.write(
                f"{method} /{path} HTTP/1.1\r\n{chr(13).join(f'{chr(10)}{f}' for f in kept)[1:]}".encode("latin-1")
            )
            ours.write(b"\r\nConnection: close\r\n\r\n")
        await asyncio.gather(_pour(reader, ours), _pour(theirs, writer), return_exceptions=True)
        return False


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.contextmanager
def proxy() -> Iterator[Proxy]:
    """Run the proxy until the block ends."""
    loop, one = LoopThread(), Proxy()
    try:
        loop.run(one.serve())
        yield one
        loop.run(one.close())
    finally:
        loop.close()
