"""The lot with documents as the real web has them: on other hosts, oddly named, very large, late, in many formats."""

import asyncio
import base64
import gzip
import io
import ssl
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator

from aiohttp import web
from fpdf import FPDF
from PIL import Image

from tests.worker.lot_site import Answer, LotSite

LARGE = 100 * 1024 * 1024
_PIECE = bytes(range(256)) * 4096  # 1 MiB

BODIES = {
    "moved": '<a class=document href="/moved?token=hidden-one&part=1">a</a>',
    "moved-click": '<a class=click href="/moved-attached?token=hidden-one&part=1">a</a>',
    "elsewhere-login": '<a class=document href="/moved-to-login">a</a>',
    "large": '<a class=document href="/large.pdf">a</a>',
    "large-click": '<a class=click href="/large.pdf?attached">a</a>',
    "endless": '<a class=document href="/endless.pdf">a</a>',
    "endless-click": '<a class=click href="/endless.pdf?attached">a</a>',
    "stalled-fetch": '<a class=document href="/stalled">a</a>',
    "silent-fetch": '<a class=document href="/never">a</a>',
    "packed": '<a class=document href="/packed/gzip">a</a><a class=document href="/packed/deflate">b</a>',
    "named": "".join(f'<a class=document href="/named/{number}">a</a>' for number in range(7)),
    "protected": '<a class=document href="/protected.pdf">a</a>',
    "mixed": '<a class=document data-formats="jpg png" href="/photo.php">a</a>'
    '<a class=document data-formats=any href="/pdf/a.pdf">b</a>',
    "unwanted": '<a class=document href="/photo.php">a</a>',
    "many": "".join(f'<a class=document href="/pdf/{number}.pdf">a</a>' for number in range(50)),
    "late": """<div id=list></div><script>
        let shown = 0;
        const more = setInterval(() => {
            list.insertAdjacentHTML('beforeend', `<a class=document href="/pdf/late-${++shown}.pdf">a</a>`);
            if (shown === 4) clearInterval(more);
        }, 300);
    </script>""",
    "half-chunked": '<a class=document href="/half/chunked">a</a>',
    "half-chunked-click": '<a class=click data-name=h.pdf href="/half/chunked">a</a>',
    "half-unpromised": '<a class=document href="/half/unpromised">a</a>',
    "half-unpromised-click": '<a class=click data-name=h.pdf href="/half/unpromised">a</a>',
    "204": '<a class=click data-name=x.pdf href="/nothing">a</a>',
    "204-fetch": '<a class=document href="/nothing">a</a>',
    "noisy": """<script>
        for (let count = 0; count < 100; count++) console.error(`trouble number ${count} at /x?token=hidden-one`);
        setTimeout(() => { throw new Error('a script of the page broke'); }, 0);
    </script><img src="/no-such-picture.png?sig=hidden-two"><a class=document href="/zero.pdf">a</a>""",
    "blank-many": "".join(
        f'<a class=click target=_blank data-name={number}.pdf href="/attached/{number}.pdf">a</a>'
        for number in range(200)
    ),
    "restless": """<a class=document href="/pdf/a.pdf">a</a><script>
        for (let n = 0; n < 4; n++) window.open(`/restless?n=${n}`)
    </script>""",
    "inline": '<a class=click data-name=i.pdf href="/pdf/i.pdf">a</a>',
    "inline-fetch": '<a class=document href="/pdf/i.pdf">a</a>',
    "inline-blank": '<a class=click data-name=i.pdf target=_blank href="/pdf/i.pdf">a</a>',
}

NAMES = [
    b"attachment; filename=\"plain.pdf\"; filename*=UTF-8''Pr%C3%BCfung.pdf",
    'inline; filename="検査.pdf"'.encode(),
    'attachment; filename="Prüfung.PDF"'.encode("latin-1"),
    b'attachment; filename="..\\\\..\\\\con.pdf"',
    b"attachment; filename=" + b"x" * 400 + b".pdf",
    b"",
    b"attachment; filename=invoice.dat",
]
SAFE_NAMES = ["Prüfung.pdf", "検査.pdf", "Prüfung-2.PDF", "_con.pdf", "x" * 116 + ".pdf", "5.pdf", "invoice.pdf"]


def large_pdf(size: int) -> tuple[bytes, int, bytes]:
    """Return beginning, length in between and end of a whole PDF with one stream of `size` bytes."""
    begin = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(
        (
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
        ),
        1,
    ):
        offsets.append(len(begin))
        begin += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    offsets.append(len(begin))
    begin += b"4 0 obj\n<</Length %d>>\nstream\n" % size
    end = b"\nendstream\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(begin) + size + len(end)
    end += b"xref\n0 5\n0000000000 65535 f \n%btrailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        start,
    )
    return begin, size, end


def _pieces(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _PIECE[:size]
        size -= len(_PIECE)


class PaperSite(LotSite):
    """Also listens on another host (127.0.0.2) where everybody is served, `elsewhere` says where."""

    def __init__(self) -> None:
        super().__init__()
        begin, size, end = large_pdf(100_000)
        content = base64.b64encode(begin + bytes(size) + end).decode()
        address = f"data:application/pdf;base64,{content}"
        self.bodies |= BODIES | {"in-its-address": f'<a class=click data-name=d.pdf download href="{address}">a</a>'}
        self.elsewhere = ""
        self.sent = 0
        """Bytes of the last large document that were taken from us."""
        self.asked_with: list[dict[str, str]] = []
        """Header fields of each request for a document."""

    async def _serve(self, context: ssl.SSLContext | None) -> None:
        await super()._serve(context)
        self.elsewhere = f"http://127.0.0.2:{await self._listen('127.0.0.2')}"

    def pages(self) -> dict[str, Callable[[web.Request], Awaitable[Answer]]]:
        return super().pages() | {
            "/moved": self.moved,
            "/moved-attached": self.moved,
            "/moved-to-login": self.moved_to_login,
            "/elsewhere/{name}": self.from_elsewhere,
            "/large.pdf": self.large,
            "/endless.pdf": self.endless,
            "/packed/{how}": self.packed,
            "/named/{number}": self.named,
            "/half/{how}": self.half,
            "/protected.pdf": self.protected,
            "/photo.php": self.photo,
            "/nothing": self.nothing,
            "/restless": self.restless,
        }

    async def restless(self, _request: web.Request) -> Answer:
        return web.Response(text="<meta http-equiv=refresh content=0>on and on", content_type="text/html")

    async def moved(self, request: web.Request) -> Answer:
        raise web.HTTPFound(f"{self.elsewhere}/elsewhere/invoice%20{request.query['part']}.pdf?{request.query_string}")

    async def moved_to_login(self, _request: web.Request) -> Answer:
        raise web.HTTPFound("/login?next=/moved")

    async def from_elsewhere(self, request: web.Request) -> Answer:
        self.asked_with.append(dict(request.headers))
        if request.host not in self.elsewhere:
            raise web.HTTPNotFound
        return web.Response(
            body=self.pdf, content_type="application/octet-stream", headers={"Content-Disposition": "attachment"}
        )

    async def large(self, request: web.Request) -> Answer:
        begin, size, end = large_pdf(LARGE)
        headers = {"Content-Type": "application/pdf", "Content-Length": str(len(begin) + size + len(end))}
        return await self._pour(request, headers, (begin, *(_pieces(size)), end))

    async def endless(self, request: web.Request) -> Answer:
        return await self._pour(request, {"Content-Type": "application/pdf"}, iter(lambda: _PIECE, b""))

    async def _pour(self, request: web.Request, headers: dict[str, str], pieces: Iterable[bytes]) -> Answer:
        self.sent = 0
        self.asked_with.append(dict(request.headers))
        if "attached" in request.query:
            headers["Content-Disposition"] = "attachment; filename=large.pdf"
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        for piece in pieces:
            await answer.write(piece)
            self.sent += len(piece)
        await answer.write_eof()
        return answer

    async def packed(self, request: web.Request) -> Answer:
        how = request.match_info["how"]
        body = gzip.compress(self.pdf) if how == "gzip" else zlib.compress(self.pdf)
        return web.Response(body=body, content_type="application/pdf", headers={"Content-Encoding": how})

    async def named(self, request: web.Request) -> Answer:
        """Answer with bytes that no library would let us send as a header."""
        number = int(request.match_info["number"])
        field = b"Content-Disposition: " + NAMES[number] + b"\r\n" if NAMES[number] else b""
        return await self._raw(request, field + b"Content-Length: %d\r\n\r\n" % len(self.pdf) + self.pdf)

    async def half(self, request: web.Request) -> Answer:
        """Answer with a first half: in chunks without the last one, or up to the end of the connection."""
        fields, half = b"Content-Disposition: attachment; filename=h.pdf\r\n", self.pdf[: len(self.pdf) // 2]
        if request.match_info["how"] == "unpromised":
            return await self._raw(request, fields + b"\r\n" + half)
        return await self._raw(request, fields + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(half), half))

    async def _raw(self, request: web.Request, rest: bytes) -> Answer:
        transport = request.transport
        assert transport is not None
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n" + rest)
        transport.close()
        await asyncio.Event().wait()
        raise AssertionError("nobody ever sets that event")

    async def protected(self, _request: web.Request) -> Answer:
        pdf = FPDF()
        pdf.add_page()
        pdf.set_encryption(owner_password="owner", user_password="user")  # noqa: S106 - of a file made here
        return web.Response(body=bytes(pdf.output()), content_type="application/pdf")

    async def photo(self, _request: web.Request) -> Answer:
        out = io.BytesIO()
        Image.new("RGB", (64, 48), "red").save(out, "JPEG")
        return web.Response(body=out.getvalue(), content_type="application/octet-stream")

    async def nothing(self, _request: web.Request) -> Answer:
        return web.Response(status=204)
