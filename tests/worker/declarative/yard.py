"""An inventory website in a thread with what the web has: pagers of all kinds, exports, searches, menus, odd files."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import quote

from aiohttp import web

from tests.hosting import Hosted
from tests.worker.lot_site import make_pdf

USER, PASSWORD = "yard-keeper", "over & out"
REFERENCES = [f"Y-{number:03}" for number in range(1, 24)] + ["Ü 7/1", 'Q"1', "O'2"]
PAGE_SIZE = 10

Answer = web.StreamResponse

DOCUMENTS = {
    "plain": '<a class=document href="/file/a.pdf">Bill</a><a class=document href="/file/b.pdf">Title</a>',
    "twice": '<a class=document href="/file/a.pdf">Bill</a><a class=document href="/file/a.pdf">again</a>',
    "none": "<p>There are no documents.</p>",
    "hidden": '<div style="display:none"><a class=document href="/file/a.pdf">Bill</a></div>',
    "blank": '<a class=document target=_blank href="/file/a.pdf">Bill</a>',
    "inline": '<iframe class=document src="/inline/a.pdf"></iframe>',
    "octets": '<a class=document href="/octets/file.bin?kind=1">Bill</a>',
    "photo": '<a class=document href="/photo.jpg">Photo</a><a class=document href="/file/a.pdf">Bill</a>',
    "data": '<span class=document data-url="/file/a.pdf">Bill</span>',
    "token": '<a class=document href="/token/%TOKEN%/a.pdf">Bill</a>',
    "script-link": '<a class=document href="javascript:void(0)">Bill</a>',
    "late": """<ul id=late></ul><script>setTimeout(() => { for (const name of ['a', 'b', 'c'])
      late.innerHTML += `<li><a class=document href="/file/${name}.pdf">${name}</a>` }, 700)</script>""",
    "counted": """<b id=count>3 documents</b><ul id=late></ul><script>let names = ['a', 'b', 'c'];
      setInterval(() => { if (names.length) { const name = names.shift();
      late.innerHTML += `<li><a class=document href="/file/${name}.pdf">${name}</a>` } }, 400)</script>""",
    "buttons": """<button class=document onclick="location='/attached/a.pdf'">A</button>
      <button class=document onclick="location='/attached/b.pdf'">B</button>""",
    "form": '<form method=post action="/posted/a.pdf"><button class=document>A</button></form>',
    "menu": """<button id=menu onclick="panel.hidden = false">Documents</button><div id=panel hidden>
      <button class=document onclick="location='/attached/a.pdf'">A</button></div>""",
    "banner": """<div id=banner style="position:fixed;inset:0;background:white">
      <button id=accept onclick="banner.remove()">Accept</button></div>
      <button class=document onclick="location='/attached/a.pdf'">A</button>""",
    "trickling": """<ul id=late></ul><script>let papers = ['a', 'b', 'c'];
      setTimeout(() => setInterval(() => { if (papers.length) { const name = papers.shift();
      late.innerHTML += `<li><a class=document href="/file/${name}.pdf">${name}</a>` } }, 200), 1000)</script>""",
    "logs-out": '<a id=leave href="/vehicle/logged-out">leave</a>',
    "framed": '<iframe id=papers src="/papers"></iframe>',
    "many": "".join(f'<a class=document href="/file/{number}.pdf">{number}</a>' for number in range(9)),
    "foreign": '<a class=document href="%FOREIGN%/file/a.pdf">Bill</a>',
    "images": '<img src="%FOREIGN%/photo.jpg"><a class=document href="/file/a.pdf">Bill</a>',
    "redirected": '<a class=document href="/away?to=%FOREIGN%/file/a.pdf">Bill</a>',
    "shadow": """<div id=host></div><script>host.attachShadow({mode: "open"}).innerHTML =
      '<a class=document href="/file/a.pdf">Bill</a>'</script>""",
}
"""What stands on the page of a vehicle, by its reference; every other vehicle is plain."""


class Yard(Hosted):
    """Runs from `start` to `stop`; `url` is where, `foreign` the same under the name of another host."""

    def __init__(self) -> None:
        super().__init__()
        self.logins: list[dict[str, str]] = []
        self.paths: Counter[str] = Counter()
        self.foreign_paths: Counter[str] = Counter()
        self.times: list[tuple[float, str]] = []
        self.prepared_after = 0
        """How many times the page of exports is asked for before the file is there."""
        self.sessions: set[str] = set()
        self.pdf = make_pdf("a vehicle")
        self._asked = 0

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard()])
        router = application.router
        pages: dict[str, Callable[[web.Request], Awaitable[Answer]]] = {
            "/login": self.login,
            "/inventory": self.inventory,
            "/list/{way}": self.listing,
            "/rows.json": self.rows,
            "/export": self.export,
            "/exports": self.exports,
            "/search": self.search,
            "/vehicle/{ref}": self.vehicle,
            "/file/{name}": self.file,
            "/inline/{name}": self.inline,
            "/octets/{name}": self.octets,
            "/token/{token}/{name}": self.token,
            "/attached/{name}": self.attached,
            "/photo.jpg": self.photo,
            "/papers": self.papers,
            "/away": self.away,
        }
        for path, page in pages.items():
            router.add_get(path, page)
        for path, page in {
            "/login": self.take_login,
            "/export": self.export,
            "/exports": self.prepare,
            "/posted/{name}": self.attached,
        }.items():
            router.add_post(path, page)
        return application

    @property
    def foreign(self) -> str:
        """The same website under the name of another host."""
        return self.url.replace("127.0.0.1", "localhost")

    def _guard(self) -> Callable[..., Awaitable[Answer]]:
        @web.middleware
        async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[Answer]]) -> Answer:
            foreign = request.host.startswith("localhost")
            (self.foreign_paths if foreign else self.paths)[request.path] += 1
            self.times.append((time.monotonic(), request.path))
            open_to_all = {"/login", "/photo.jpg", "/away"}
            known = request.cookies.get("yard", "") in self.sessions
            if request.path not in open_to_all and not known and not foreign:
                raise web.HTTPSeeOther("/login")
            return await handler(request)

        return guard

    def page(self, body: str) -> Answer:
        return web.Response(
            text=f"<!doctype html><html><body><a id=log-out>out</a>{body}</body></html>", content_type="text/html"
        )

    # ------------------------------------------------------------------------------------------------------ account
    async def login(self, request: web.Request) -> Answer:
        error = "<p class=error>Wrong user or password.</p>" if "error" in request.query else ""
        form = """<form method=post id=form><p class=error hidden>Not to be seen.</p><input id=user name=user>
          <select id=branch name=branch><option value=1>North<option value=2>South</select>
          <input type=checkbox id=terms name=terms><input id=password name=password type=password>
          <button id=send>Log in</button></form>"""
        return web.Response(text=f"<!doctype html><html><body>{error}{form}</body></html>", content_type="text/html")

    async def take_login(self, request: web.Request) -> Answer:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.logins.append(form)
        if (form["user"], form["password"]) != (USER, PASSWORD):
            raise web.HTTPSeeOther("/login" if "quiet" in request.query else "/login?error=1")
        session = f"yard-session-{len(self.logins)}"
        self.sessions.add(session)
        answer = web.HTTPSeeOther("/inventory")
        answer.set_cookie("yard", session)
        raise answer

    # ---------------------------------------------------------------------------------------------------- inventory
    async def inventory(self, _request: web.Request) -> Answer:
        return self.page("""<a id=export href="/export?format=csv">export</a>
          <form id=options action="/export"><select id=status name=status><option>all<option>stock</select>
          <button id=go>go</button></form><button class=two>1</button><button class=two>2</button>""")

    async def export(self, request: web.Request) -> Answer:
        form = dict(await request.post())
        chosen = REFERENCES[:3] if "stock" in {request.query.get("status"), form.get("status")} else REFERENCES
        text = "Make;Stock No\r\n" + "".join(f'Volvo;"{ref.replace(chr(34), chr(34) * 2)}"\r\n' for ref in chosen)
        headers = {"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="all.csv"'}
        return web.Response(body=text.encode("cp1252"), headers=headers)

    async def prepare(self, _request: web.Request) -> Answer:
        self._asked = 1
        raise web.HTTPSeeOther("/exports")

    async def exports(self, _request: web.Request) -> Answer:
        done = '<a class=ready href="/export?of=yesterday">yesterday</a>'
        if self._asked:
            self._asked += 1
            if self._asked > self.prepared_after + 1:
                done += '<a class=ready href="/export?of=today">today</a>'
        return self.page(f"<form method=post><button id=ask>new export</button></form>{done}")

    async def listing(self, request: web.Request) -> Answer:
        way = request.match_info["way"]
        number = int(request.query.get("page", "1"))
        chosen = REFERENCES[:3] if request.query.get("status") == "stock" else REFERENCES
        last = (len(chosen) + PAGE_SIZE - 1) // PAGE_SIZE
        shown = min(number, last) if way in {"clamped", "circle"} else number
        refs = chosen[(shown - 1) * PAGE_SIZE : shown * PAGE_SIZE]
        rows = "".join(
            f"<tr><td class=ref data-ref='{escape(ref)}'> Stock <b>{escape(ref)}</b></td></tr>" for ref in refs
        )
        rows += (
            f"<tr><td class=ref data-ref='{escape(refs[0])}'>Stock <b>{escape(refs[0])}</b></td></tr>" if refs else ""
        )
        body = f"<h1>{len(chosen)} vehicles</h1><table>{rows}</table>"
        onward = f"/list/{way}?page={number + 1}"
        match way:
            case "next" if number < last:
                body += f'<a rel=next href="{onward}">next</a>'
            case "disabled":
                body += (
                    f'<li class="{"" if number < last else "page-disabled"}"><a rel=next href="{onward}">next</a></li>'
                )
            case "circle":
                body += f'<a rel=next href="/list/circle?page={number % last + 1}">next</a>'
            case "stuck":
                body += '<a rel=next href="#" onclick="return false">next</a>'
            case "same":
                body += f'<a rel=next href="/list/same?page=1&amp;x={number}{request.query.get("x", "")}">next</a>'
            case "script":
                body = f"<table id=rows></table><button rel=next>next</button>{_SCRIPTED}"
            case "more":
                body = f"<div id=rows></div><button id=more>more</button>{_GROWING}"
            case "more-stuck":
                body += "<button id=more>more</button>"
            case "filter":
                body += (
                    "<form><select name=status id=status><option>all<option>stock</select><button>ok</button></form>"
                )
            case "empty":
                body = "<p id=nothing>No vehicles.</p>"
            case _:
                pass
        return self.page(body)

    async def rows(self, request: web.Request) -> Answer:
        number = int(request.query["page"])
        await asyncio.sleep(0.15)
        rows = REFERENCES[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        return web.json_response({"rows": rows, "last": number * PAGE_SIZE >= len(REFERENCES)})

    async def search(self, request: web.Request) -> Answer:
        wanted = request.query.get("q", "")
        form = "<form><input id=q name=q><button>search</button></form>"
        if not wanted:
            return self.page(form)
        if wanted not in REFERENCES:
            return self.page(f"{form}<p id=nothing>Nothing found.</p>")
        path = f"/vehicle/{quote(wanted, safe='')}"
        return self.page(
            f'{form}<a class=result href="/vehicle/other">other</a><a class=result href="{path}">{escape(wanted)}</a>'
        )

    # ------------------------------------------------------------------------------------------------------ vehicle
    async def vehicle(self, request: web.Request) -> Answer:
        ref = request.match_info["ref"]
        if ref == "missing":
            return self.page("<p id=nothing>There is no such vehicle.</p>")
        if ref == "gone":
            raise web.HTTPNotFound
        if ref == "empty":
            return self.page("")
        if ref == "logged-out":
            return web.Response(text="<form id=form><input type=password></form>", content_type="text/html")
        body = DOCUMENTS.get(ref, DOCUMENTS["plain"]).replace("%FOREIGN%", self.foreign)
        body = body.replace("%TOKEN%", request.cookies.get("yard", ""))
        return self.page(f"<h1>Vehicle {escape(ref)}</h1><div id=documents>{body}</div>")

    async def file(self, _request: web.Request) -> Answer:
        return web.Response(body=self.pdf, content_type="application/pdf")

    async def inline(self, request: web.Request) -> Answer:
        headers = {"Content-Type": "application/pdf", "Content-Disposition": "inline"}
        return web.Response(body=self.pdf, headers=headers)

    async def octets(self, _request: web.Request) -> Answer:
        return web.Response(body=self.pdf, content_type="application/octet-stream")

    async def token(self, request: web.Request) -> Answer:
        if request.match_info["token"] != request.cookies.get("yard"):
            raise web.HTTPForbidden
        return await self.file(request)

    async def attached(self, request: web.Request) -> Answer:
        name = request.match_info["name"]
        headers = {"Content-Type": "application/pdf", "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=self.pdf, headers=headers)

    async def photo(self, _request: web.Request) -> Answer:
        return web.Response(body=JPEG, content_type="image/jpeg")

    async def papers(self, _request: web.Request) -> Answer:
        return self.page(DOCUMENTS["plain"] + "<button onclick=\"location='/attached/c.pdf'\">C</button>")

    async def away(self, request: web.Request) -> Answer:
        raise web.HTTPFound(request.query["to"])


def _jpeg() -> bytes:
    import io  # noqa: PLC0415 - only here

    from PIL import Image  # noqa: PLC0415 - as above

    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "JPEG")
    return out.getvalue()


JPEG = _jpeg()

_FETCH = """let page = 0; const load = async () => {
  const answer = await (await fetch(`/rows.json?page=${++page}`)).json();
  const cells = answer.rows.map(ref => { const cell = document.createElement("p");
    cell.className = "ref"; cell.textContent = "Stock " + ref; return cell; });"""
_SCRIPTED = f"""<script>{_FETCH} rows.replaceChildren(...cells);
  document.querySelector("[rel=next]").disabled = answer.last; }};
  document.querySelector("[rel=next]").onclick = load; load();</script>"""
_GROWING = f"""<script>{_FETCH} rows.append(...cells); more.hidden = answer.last; }};
  more.onclick = () => {{ more.hidden = true; load(); }}; load();</script>"""
