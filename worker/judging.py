"""What an answer of the site means for a visit: welcome, a refusal, the login page, or a host out of bounds."""

from http import HTTPStatus
from urllib.parse import urlsplit

from playwright.async_api import Response

from worker import hosts
from worker.browser import Browser
from worker.documents import Answer
from worker.failures import refusal
from worker.protocol import Kind
from worker.site import LoginRefused, Site, SiteFailure

_FORWARDING_FAILED = "Playwright client-certificate error"


class Judge:
    """Judges the answers of one visit; a login may meet what nobody else may: the login page."""

    def __init__(self, browser: Browser, site: Site, *, logging_in: bool) -> None:
        self._browser = browser
        self._site = site
        self._logging_in = logging_in

    def is_login(self, url: str) -> bool:
        """Say whether the login page is at `url`; during a login it is no surprise."""
        return not self._logging_in and is_same_page(url, self._site.login_url)

    def refuse(self, status: int, headers: dict[str, str], url: str) -> None:
        """Take the status of an answer for what it says.

        Raises:
            SiteFailure: it is not the answer that was hoped for.
        """
        self.refuse_proxy(status)
        basic = headers.get("www-authenticate", "").lower().startswith("basic")
        if status == HTTPStatus.UNAUTHORIZED and basic and self._logging_in and self._site.access.basic_auth:
            raise LoginRefused("the site refused user or password of HTTP basic authentication")
        if (failure := refusal(status, headers, url)) is not None and not self._logging_in:
            raise failure
        if failure is not None and failure.kind is not Kind.SESSION_EXPIRED:  # a login page may well come with a 401
            raise failure

    def refuse_proxy(self, status: int) -> None:
        """Recognise a proxy that wants to know who asks.

        Raises:
            LoginRefused: it does not know user or password.
        """
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise LoginRefused("the proxy refused its user or password")

    def check_document(self, status: int, answer: Answer) -> None:
        """Refuse an answer that cannot bring a whole document.

        Raises:
            SiteFailure: the status or the login page says so.
        """
        self.refuse(status, answer.headers, answer.url)
        if self.is_login(answer.url):
            raise SiteFailure(Kind.SESSION_EXPIRED, "the login page came in place of the document", url=answer.url)
        if status != HTTPStatus.OK:  # anything else below 400 brings no whole document
            message = f"the site answered {status} without a document"
            raise SiteFailure(Kind.DOCUMENT_INVALID, message, url=answer.url, status=status)

    async def check_certificate(self, response: Response) -> None:
        """With a client certificate Playwright forwards the connection, and answers for the site when that fails.

        Raises:
            SiteFailure: `CERTIFICATE`, it failed.
        """
        ours = response.status == HTTPStatus.SERVICE_UNAVAILABLE and self._site.access.client_certificate
        if ours and _FORWARDING_FAILED in (said := await self._browser.page.inner_text("body")):
            reason = said.partition(_FORWARDING_FAILED)[2].strip(": ")[:300]
            message = f"the connection with the client certificate failed: {reason}"
            raise SiteFailure(Kind.CERTIFICATE, message, url=response.url)

    def unreachable(self) -> SiteFailure | None:
        """Return why the page could not be reached, when the recipe does not allow its host."""
        broken = self._browser.observer.broken
        if broken is None or not hosts.is_foreign(broken[0], self._browser.hosts):
            return None
        return hosts.foreign(broken[0], self._browser.hosts)


def is_same_page(url: str, login_url: str) -> bool:
    """Say whether `url` is the login page, whatever query or fragment it carries. A site without one has none."""
    if not login_url:
        return False
    here, there = urlsplit(url), urlsplit(login_url)
    return (here.netloc, here.path.rstrip("/")) == (there.netloc, there.path.rstrip("/"))
