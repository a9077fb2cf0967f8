"""A tiny inventory website in a thread, which misbehaves as each reference says."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from fpdf import FPDF

from tests.hosting import Hosted

USER, PASSWORD = "lot-keeper", "s3cret/Päss&word"

Answer = web.StreamResponse

_PLAIN = {
    "plain": '<a class=document href="/pdf/a.pdf">a</a><a class=document href="/pdf/a.pdf">again</a>',
    "empty": "",
    "two": '<a class=document href="/pdf/a.pdf">a</a><a class=click data-name=b.pdf href="/attached/b.pdf">b</a>',
    "blank": '<a class=click data-name=b.pdf target=_blank href="/attached/b.pdf">b</a>',
    "spin": "<script>setTimeout(() => { for (;;) {} }, 50)</script><a class=click href=/never>x</a>",
    "alerts": '<script>setTimeout(() => { for (;;) alert("again") }, 50)</script><a class=click href=/never>x</a>',
    "alert": '<script>alert("hello")</script><a class=document href="/pdf/a.pdf">a</a>',
    "waits": "nothing comes",
    "truncated": '<a class=document href="/truncated">a</a>',
    "truncated-click": '<a class=click data-name=t.pdf href="/truncated">a</a>',
    "cut": '<a class=document href="/cut.pdf">a</a>',
    "cut-click": '<a class=click data-name=c.pdf href="/cut.pdf">a</a>',
    "zero": '<a class=document href="/zero.pdf">a</a>',
    "html": '<a class=document href="/html.pdf">a</a>',
    **dict.fromkeys(("moving-1", "moving-2", "moving-3"), '<a class=document href="/moving.pdf">a</a>'),
    "moving-click": '<a class=click data-name=m.pdf href="/moving.pdf">a</a>',
    "moving-click-blank": '<a class=click data-name=m.pdf target=_blank href="/moving.pdf">a</a>',
    "opens": '<script>open("/never")</script><iframe src="/never"></iframe><a class=document href="/pdf/a.pdf">a</a>',
    "frame-waits": '<iframe src="/never"></iframe>nothing comes',
    "login-as-pdf": '<a class=document href="/login">a</a>',
    "attached-401": '<a class=click data-name=b.pdf href="/attached-401">a</a>',
    "attached-404": '<a class=click data-name=b.pdf href="/attached-404">a</a>',
    "attached-500": '<a class=click data-name=b.pdf href="/attached-500">a</a>',
    "attached-500-blank": '<a class=click data-name=b.pdf target=_blank href="/attached-500">a</a>',
    "stalled": '<a class=click data-name=s.pdf href="/stalled">a</a>',
    "meta": '<meta http-equiv=refresh content="0;url=/inventory"><a class=document href="/pdf/a.pdf">a</a>',
    "guarded": '<a class=document href="/guarded/a.pdf">a</a>',
    "lapses": '<a class=document href="/lapse/a.pdf">a</a>',
    "idle": "<a class=click data-name=x.pdf href=/never>x</a>",
}


def make_pdf(text: str) -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica")
    pdf.cell(text=text)
    return bytes(pdf.output())


class LotSite(Hosted):
    """Runs from `start` to `stop`; `url` is where."""

    def __init__(self) -> None:
        super().__init__()
        self.logins = self.moves = 0
        self.opened: Counter[str] = Counter()
        self.arrived = threading.Event()
        """Set when somebody asks for the page that never answers."""
        self.idle = threading.Event()
        """Set when somebody opens the vehicle whose recipe waits for ever on a page that is fine."""
        self.sessions: set[str] = set()
        self.agents: dict[str, str] = {}
        """The user agent to which each session was given."""
        self.bodies = dict(_PLAIN)
        """What the page of each reference shows."""
        self.statuses: dict[str, tuple[int, dict[str, str]]] = {}
        self.pdf = make_pdf("a vehicle")

    def application(self) -> web.Application:
        application = web.Application()
        for path, page in self.pages().items():
            application.router.add_get(path, page)
        application.router.add_post("/login", self.take_login)
        return application

    def pages(self) -> dict[str, Callable[[web.Request], Awaitable[Answer]]]:
        return {
            "/login": self.login,
            "/inventory": self.inventory,
            "/export": self.export,
            "/vehicle/{ref}": self.vehicle,
            "/pdf/{name}": self.document,
            "/attached/{name}": self.attached,
            "/attached-{status:[0-9]+}": self.refused,
            "/truncated": self.truncated,
            "/cut.pdf": self.cut,
            "/zero.pdf": self.zero,
            "/html.pdf": self.html,
            "/moving.pdf": self.moving,
            "/stalled": self.stalled,
            "/never": self.never,
            "/guarded/{name}": self.guarded,
            "/lapse/{name}": self.lapse,
        }

    def _known(self, request: web.Request) -> bool:
        return request.cookies.get("sid", "") in self.sessions

    async def login(self, request: web.Request) -> Answer:
        error = "<p class=error>no</p>" if "error" in request.query else ""
        form = "<form method=post><input id=user name=user><input id=password name=password type=password><button>"
        return web.Response(text=f"<html><body>{error}{form}</button></form></body></html>", content_type="text/html")

    async def take_login(self, request: web.Request) -> Answer:
        self.logins += 1
        form = await request.post()
        if (form["user"], form["password"]) != (USER, PASSWORD):
            raise web.HTTPSeeOther("/login?error=1")
        sid = f"session-number-{self.logins}"
        self.sessions.add(sid)
        self.agents[sid] = request.headers["User-Agent"]
        answer = web.HTTPSeeOther("/inventory")
        answer.set_cookie("sid", sid)
        raise answer

    async def inventory(self, request: web.Request) -> Answer:
        if not self._known(request):
            raise web.HTTPSeeOther("/login")
        stored = "<script>if (!sessionStorage.tab) sessionStorage.tab = 'kept'</script>"
        token = f"<script>localStorage.token = 'token-of-{request.cookies['sid']}'</script>"
        return self._page(f"<a id=export href=/export>export</a>{stored}{token}")

    async def guarded(self, request: web.Request) -> Answer:
        """A document for who has the session, its token as a header, and the browser that logged in."""
        sid = request.cookies.get("sid", "")
        authorized = request.headers.get("Authorization") == f"Bearer token-of-{sid}"
        if not (self._known(request) and authorized and request.headers["User-Agent"] == self.agents[sid]):
            raise web.HTTPUnauthorized
        return await self.document(request)

    async def lapse(self, _request: web.Request) -> Answer:
        """The session ends with this request, which is answered with a page that asks for no password."""
        self.sessions.clear()
        return web.Response(text="<!DOCTYPE html><html>Welcome! Please choose.</html>", content_type="text/html")

    async def export(self, _request: web.Request) -> Answer:
        return web.Response(
            text="Stock No,Make\nplain,Volvo\n",
            headers={"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="all.csv"'},
        )

    async def vehicle(self, request: web.Request) -> Answer:
        ref = request.match_info["ref"]
        self.opened[ref] += 1
        if ref in self.statuses:
            status, headers = self.statuses[ref]
            return web.Response(status=status, headers=headers, text="no")
        if not self._known(request):
            raise web.HTTPSeeOther("/login")
        if ref == "never":
            return await self.never(request)
        if ref == "idle":
            self.idle.set()
        if ref not in self.bodies:
            raise web.HTTPNotFound
        return self._page(self.bodies[ref])

    def _page(self, body: str) -> Answer:
        return web.Response(text=f"<html><body><a id=log-out>out</a>{body}</body></html>", content_type="text/html")

    async def document(self, _request: web.Request) -> Answer:
        return web.Response(body=self.pdf, content_type="application/pdf")

    async def attached(self, _request: web.Request) -> Answer:
        headers = {"Content-Type": "application/pdf", "Content-Disposition": "attachment"}
        return web.Response(body=self.pdf, headers=headers)

    async def refused(self, request: web.Request) -> Answer:
        headers = {"Content-Disposition": "attachment; filename=x.pdf"}
        return web.Response(status=int(request.match_info["status"]), body=self.pdf, headers=headers)

    async def truncated(self, request: web.Request) -> Answer:
        return await self._begin(request, len(self.pdf), self.pdf[:500], close=True)

    async def cut(self, request: web.Request) -> Answer:
        return await self._begin(request, 500, self.pdf[:500], close=False)

    async def stalled(self, request: web.Request) -> Answer:
        await self._begin(request, len(self.pdf), self.pdf[:500], close=False)
        return await self.never(request)

    async def _begin(self, request: web.Request, length: int, part: bytes, *, close: bool) -> Answer:
        answer = web.StreamResponse(
            headers={
                "Content-Type": "application/pdf",
                "Content-Length": str(length),
                "Content-Disposition": "attachment; filename=x.pdf",
            }
        )
        await answer.prepare(request)
        await answer.write(part)
        if close and request.transport is not None:
            request.transport.close()
        return answer

    async def zero(self, _request: web.Request) -> Answer:
        return web.Response(body=b"", content_type="application/pdf")

    async def html(self, _request: web.Request) -> Answer:
        return web.Response(text="<!DOCTYPE html><html>Sorry</html>", content_type="application/pdf")

    async def moving(self, _request: web.Request) -> Answer:
        """What everybody gets in place of a document, but for a number."""
        self.moves += 1
        page = f"<!DOCTYPE html><title>Moving</title><p>Our papers are moving. This is request {self.moves}."
        return web.Response(text=page, content_type="text/html")

    async def never(self, _request: web.Request) -> Answer:
        self.arrived.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody ever sets that event")
