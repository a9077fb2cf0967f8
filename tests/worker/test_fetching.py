"""Answers that are broken in every way a server can break one, asked for as documents are: through the real driver."""

import asyncio
import gzip
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trustme
from playwright.async_api import BrowserContext, async_playwright
from playwright.async_api import Error as PlaywrightError

from worker import fetching
from worker.failures import classify
from worker.protocol import Kind
from worker.site import SiteFailure

PDF = b"%PDF-1.4 a document\n" * 50
LIMITS = fetching.Limits(seconds=20, patience=15, bytes=1_000_000)

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
ANSWERS = {
    "whole": _OK + b"Content-Length: %d\r\n\r\n" % len(PDF) + PDF,
    "garbage": b"this is no answer\r\n\r\n",
    "control-character": _OK + b"X-Odd: a\x01b\r\nContent-Length: 1\r\n\r\nx",
    "endless-head": _OK + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n",
    "two-lengths": _OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "nothing": b"",
    "packed-in-name-only": _OK + b"Content-Encoding: gzip\r\n\r\n" + PDF,
    "packed-and-cut": _OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(PDF)[:-10],
    "bad-chunk": _OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    "longer-than-promised": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + PDF,
    "shorter-than-promised": _OK + b"Content-Length: 5000\r\n\r\n" + PDF,
    "round-and-round": b"HTTP/1.1 302 Found\r\nLocation: /round-and-round\r\nContent-Length: 0\r\n\r\n",
    "to-no-address": b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n",
    "to-a-mail": b"HTTP/1.1 302 Found\r\nLocation: mailto:a@lot.example\r\nContent-Length: 0\r\n\r\n",
}
KINDS = {
    "garbage": Kind.NETWORK,
    "control-character": Kind.NETWORK,
    "endless-head": Kind.NETWORK,
    "two-lengths": Kind.NETWORK,
    "nothing": Kind.NETWORK,
    "packed-in-name-only": Kind.DOCUMENT_INVALID,
    "packed-and-cut": Kind.DOCUMENT_INVALID,
    "bad-chunk": Kind.DOCUMENT_INVALID,
    "longer-than-promised": Kind.DOCUMENT_INVALID,
    "shorter-than-promised": Kind.DOCUMENT_INVALID,
    "round-and-round": Kind.HTTP_ERROR,
    "to-no-address": Kind.HTTP_ERROR,
    "to-a-mail": Kind.RECIPE_ERROR,
    "hangs-up-in-the-handshake": Kind.NETWORK,
    "expired": Kind.CERTIFICATE,
    "of-tomorrow": Kind.CERTIFICATE,
    "of-another-host": Kind.CERTIFICATE,
    "of-nobody-we-know": Kind.CERTIFICATE,
}
"""What each is: the connection's fault, the document's, the certificate's, or that of an address that cannot be."""

Outcome = SiteFailure | bytes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, bool], Outcome]]:
    """What came of each, by its name and by whether redirections were looked at one by one."""
    folder = tmp_path_factory.mktemp("fetched")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_OPTIONS", "")
        patch.setenv("NODE_EXTRA_CA_CERTS", str(folder / "authority.pem"))
        yield asyncio.run(_ask_for_all(authority, folder))


async def _ask_for_all(authority: trustme.CA, folder: Path) -> dict[tuple[str, bool], Outcome]:
    now = datetime.now(UTC)
    day = timedelta(days=1)
    secured = {
        "expired": authority.issue_cert("127.0.0.1", not_before=now - 9 * day, not_after=now - day),
        "of-tomorrow": authority.issue_cert("127.0.0.1", not_before=now + day, not_after=now + 9 * day),
        "of-another-host": authority.issue_cert("other.example"),
        "of-nobody-we-know": trustme.CA().issue_cert("127.0.0.1"),
    }
    plain = await asyncio.start_server(_answer, "127.0.0.1", 0)
    rude = await asyncio.start_server(_hang_up, "127.0.0.1", 0)
    servers = [plain, rude]
    urls = {name: f"http://127.0.0.1:{_port(plain)}/{name}" for name in ANSWERS}
    urls["hangs-up-in-the-handshake"] = f"https://127.0.0.1:{_port(rude)}/"
    for name, certificate in secured.items():
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(tls)
        servers.append(await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=tls))
        urls[name] = f"https://127.0.0.1:{_port(servers[-1])}/whole"
    fetching.prepare_driver()
    async with async_playwright() as driver:
        request = await driver.request.new_context()
        # A browser is not needed for this: only the context's requests are asked for anything.
        context = cast("BrowserContext", SimpleNamespace(request=request))
        found = {
            (name, one_by_one): await _ask(context, url, folder / f"{name}-{one_by_one}", one_by_one=one_by_one)
            for name, url in urls.items()
            for one_by_one in (False, True)
        }
        await request.dispose()
    for server in servers:
        server.close()
    return found


async def _ask(context: BrowserContext, url: str, target: Path, *, one_by_one: bool) -> Outcome:
    try:
        if one_by_one:
            response = await fetching.fetch_from(context, url, target, LIMITS, ("127.0.0.1",))
        else:
            response = await fetching.fetch(context, url, target, LIMITS)
        await fetching.dispose(response)
    except (SiteFailure, PlaywrightError) as error:
        return classify(error)
    return await asyncio.to_thread(target.read_bytes)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    name = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().strip("/")
    writer.write(ANSWERS[name])
    await writer.drain()
    writer.close()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.close()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_broken_answer_is_blamed_on_what_broke_it(
    outcomes: dict[tuple[str, bool], Outcome], name: str, *, one_by_one: bool
) -> None:
    """And never on the recipe, which would cost its reference an attempt in an outage of the site's."""
    outcome = outcomes[name, one_by_one]
    assert isinstance(outcome, SiteFailure)
    assert (outcome.kind, "raised" in str(outcome)) == (KINDS[name], False), str(outcome)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_whole_answer_lies_on_the_disk_as_it_came(
    outcomes: dict[tuple[str, bool], Outcome], *, one_by_one: bool
) -> None:
    """So that the broken ones are not refused for another reason."""
    assert outcomes["whole", one_by_one] == PDF
