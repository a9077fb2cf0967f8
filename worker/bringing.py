"""How a visit brings files home: by their address, or by a download that something on the page starts."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from worker import documents, fetching, instead
from worker.access import origin_of
from worker.documents import Answer, Staging
from worker.downloads import DownloadRace, Shown, Trigger, finish, forget, is_web_page
from worker.judging import Judge
from worker.kit import Kit
from worker.names import proposed_name
from worker.protocol import Document, Kind
from worker.site import SiteFailure

if TYPE_CHECKING:
    from worker.visit import Visit

_LONGEST_PATIENCE = 30.0
"""Seconds without any progress after which a download counts as stalled; at most half of the attempt's deadline."""

_LONGEST_SILENCE = 60.0
"""As `_LONGEST_PATIENCE`, for a document with an address of its own: a site may take its time to print one."""


class Bringer:
    """Brings files into the staging folder of one visit."""

    def __init__(self, visit: "Visit", kit: Kit, staging: Staging, judge: Judge, deadline: float) -> None:
        """`deadline` is that of the visit, in seconds. A visit that is over lends neither its page nor its context."""
        self._visit = visit
        self._kit = kit
        self._staging = staging
        self._judge = judge
        self._deadline = deadline
        self._patience = min(_LONGEST_PATIENCE, deadline / 2)

    async def fetch(self, url: str) -> tuple[Path, Answer]:
        """Ask for `url` in the browser's session; return where the body is now, and what the site said.

        Raises:
            SiteFailure: a status or the login page came instead, or it stalled, broke off or is too large.
        """
        self._staging.create()
        arrival = self._staging.arrival()
        limits = fetching.Limits(self._deadline, min(_LONGEST_SILENCE, self._deadline / 2), self._kit.document_limit)
        try:
            self._kit.browser.traffic.count(url)
            fields = await self._fields()
            if allowed := self._kit.browser.hosts:
                response = await fetching.fetch_from(self._visit.context, url, arrival, limits, allowed, fields=fields)
            else:
                response = await fetching.fetch(self._visit.context, url, arrival, limits, fields=fields)
            answer = Answer(response.url, response.headers)
            self._kit.browser.observer.note(f"{response.status} GET {response.url} (a document)")
            await fetching.dispose(response)
            self._judge.check_document(response.status, answer)
        except BaseException:
            arrival.unlink(missing_ok=True)
            raise
        return arrival, answer

    async def download(self, trigger: Trigger) -> tuple[str, Path, Answer]:
        """Have `trigger` start a download; return the suggested name, where the file is now, and what the site said.

        Raises:
            SiteFailure: something else came, or it stalled, broke off or is too large.
        """
        self._staging.create()
        with DownloadRace(self._kit.browser.observer, is_login=self._judge.is_login) as race:
            try:
                download = await race.begin(trigger, self._patience)
            except Shown as shown:
                return await self._fetch_shown(shown.answer.url)
            except SiteFailure as failure:
                raise self._judge.unreachable() or await self._came_instead(race, failure) from failure
            try:
                path = await finish(download, self._kit.browser.downloads, self._patience, self._kit.document_limit)
                arrival = self._staging.arrival()
                await asyncio.to_thread(documents.copy, path, arrival, self._kit.document_limit)
            except SiteFailure as failure:
                failure.url = failure.url or download.url
                raise
            finally:
                await forget(download)
        seen = race.answers.get(download.url)
        return download.suggested_filename, arrival, Answer(download.url, dict(seen.headers) if seen else {})

    async def keep(self, arrival: Path, answer: Answer, proposed: str, formats: tuple[str, ...]) -> Document:
        """Stage what came as a document, once it is seen to be whole and of one of the formats.

        Raises:
            SiteFailure: it is not, or cannot be written.
        """
        try:
            return await documents.stage(
                arrival,
                self._staging,
                answer,
                proposed=proposed,
                shown_url=self._kit.mask.url(answer.url),
                expected=formats or tuple(self._kit.site.document_formats),
            )
        except SiteFailure as failure:
            failure.url = failure.url or answer.url
            raise

    async def _came_instead(self, race: DownloadRace, failure: SiteFailure) -> SiteFailure:
        """Return what a download that never began means where the trigger led to a web page: that came in its place."""
        if failure.kind is not Kind.DOCUMENT_STALLED:
            return failure
        for page in (self._visit.page, *self._kit.browser.observer.popups):
            answer = race.answers.get(page.url.partition("#")[0])
            if answer is not None and is_web_page(answer.headers):
                says = await instead.of_page(page)
                title = instead.title_on(says)
                named = f"a web page with the title {title!r}" if title else "a web page"
                message = f"{named} came in place of the download"
                return SiteFailure(Kind.DOCUMENT_INVALID, message, url=answer.url, instead=says)
        return failure

    async def _fetch_shown(self, url: str) -> tuple[str, Path, Answer]:
        """Bring what the browser opened in its viewer; a page that it was opened in place of comes back."""
        arrival, answer = await self.fetch(url)
        if self._visit.page.url == url:
            await self._visit.page.go_back(wait_until="domcontentloaded")
        return proposed_name(answer.headers.get("content-disposition", ""), answer.url), arrival, answer

    async def _fields(self) -> fetching.Fields:
        """Return the header fields that the site's scripts would add, masked from now on, and who is to get them."""
        fields = await self._kit.site.request_headers(self._visit)
        for value in fields.values():
            self._kit.mask.add(value.rpartition(" ")[2])
        return fetching.Fields(origin_of(self._kit.site.start_url), fields)
