"""The interface that a recipe implements: four things to do on one website.

Most sites are described in TOML (`worker.sites.declarative`), which implements it for them. For the others a recipe is
a class with a constructor that takes nothing, loaded from ``path/to/file.py:ClassName``::

    class Lot(Site):
        name = "lot"
        start_url = "https://lot.example/inventory"
        login_url = "https://lot.example/login"

        async def log_in(self, visit):
            await visit.goto(self.login_url)
            await visit.page.fill("#user", visit.secret("LOT_USER"))
            await visit.page.fill("#password", visit.secret("LOT_PASSWORD"))
            await visit.page.click("button[type=submit]")
            if await visit.page.locator(".error").count():
                raise LoginRefused("the site answered: wrong user or password")

        async def is_logged_in(self, visit):
            return await visit.count("#log-out") > 0

        async def export_inventory(self, visit):
            await visit.goto(self.start_url)
            file = await visit.save(lambda: visit.page.click("#export"), "inventory.csv")
            return Inventory(file, column="Stock No")

        async def process(self, visit, reference):
            visit.step("open the vehicle")
            await visit.goto(f"https://lot.example/vehicle/{quote(reference, safe='')}")
            visit.step("fetch the documents")
            for link in await visit.read("a.document", "href"):
                await visit.fetch(link["href"])

Every call runs under a deadline of the program's; a recipe needs no time-outs of its own.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from worker.access import Access
from worker.protocol import Kind

if TYPE_CHECKING:
    from worker.visit import Visit


LONGEST_WAIT = 24 * 3600.0
"""Seconds: nobody makes us wait for more than a day."""


class Inventory(msgspec.Struct, frozen=True):
    """An exported inventory: a CSV file that `Visit.save` brought, and how to read the references out of it."""

    file: Path
    column: str
    """Name of the column that holds the references."""
    delimiter: str = ","
    encoding: str = "utf-8-sig"
    place: str = ""
    """Where the recipe says so, such as ``lot.toml:12: references.export``, for the sentence that it does not fit."""


class RecipeError(Exception):
    """The recipe cannot be used; the sentence says what was found and what is needed."""


class SiteFailure(Exception):  # noqa: N818 - it is a failure of the site that we report, not an error of ours
    """What a recipe, or the program on its behalf, found wrong. `kind` decides what happens next.

    Raises:
        ValueError: there is no such kind, or `status` or `retry_after`, in seconds, is no number.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        url: str = "",
        status: int = 0,
        retry_after: float | None = None,
        instead: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = Kind(kind)
        self.url = str(url or "")
        self.status = max(0, int(status))
        self.retry_after = None if retry_after is None else min(max(0.0, float(retry_after)), LONGEST_WAIT)
        self.instead = instead
        """What the web page says that came in place of what was asked for; empty where none did."""


class LoginRefused(SiteFailure):
    """The site refused the credentials: the run stops at the first refusal, before an account is locked."""

    def __init__(self, message: str) -> None:
        super().__init__(Kind.LOGIN_REFUSED, message)


class NotFound(SiteFailure):
    """The site says that it has no such vehicle: the reference fails for good."""

    def __init__(self, message: str) -> None:
        super().__init__(Kind.NOT_FOUND, message)


class Site(ABC):
    """One website, as a recipe describes it. One object lives as long as its worker."""

    name: str
    """Names the site in logs and reports."""
    start_url: str
    """The inventory page, to which a worker goes back after trouble."""
    login_url: str = ""
    """Arriving here instead of where one wanted to go means that the session is gone."""
    secrets: tuple[str, ...] = ()
    """Names of the environment variables that `Visit.secret` will be asked for; checked before anything starts."""
    access: Access = Access()
    """The way to the site: HTTP basic authentication, proxy, client certificate, private authorities."""
    session: str = "shared"
    """``own`` where the site ties a session to one browser: each worker then logs in for itself, one at a time."""
    images: bool = True
    """Pages need their images; without them they open in half of the time."""
    allowed_hosts: tuple[str, ...] = ()
    """The only hosts that may be asked for anything, ``*.lot.example`` for all below one; empty for any host."""
    source_file: str | None = None
    """The Python file to be named in messages, when it is not the one of the class; empty when there is none."""
    exports: bool = True
    """`export_inventory` brings the references; otherwise they must be given with ``--refs``."""
    fewest_documents: int = 1
    """An attempt that brings fewer fails with `documents_missing`."""
    most_documents: int = 1000
    """An attempt that asks for more fails with `too_many_documents`: a selector may match what is no document."""
    document_formats: tuple[str, ...] = ("pdf",)
    """What a document may be, by the names of `worker.formats.FORMATS`, or ``any``; told by content, not by name."""

    @abstractmethod
    async def log_in(self, visit: "Visit") -> None:
        """Log in on a fresh page; raise `LoginRefused` when the site says no."""

    @abstractmethod
    async def is_logged_in(self, visit: "Visit") -> bool:
        """Say whether the present page belongs to somebody who is logged in. Asked after every `Visit.goto`."""

    @abstractmethod
    async def export_inventory(self, visit: "Visit") -> Inventory:
        """Bring the site's list of references."""

    @abstractmethod
    async def process(self, visit: "Visit", reference: str) -> None:
        """Bring every document of one reference, with `Visit.fetch` and `Visit.download`."""

    async def request_headers(self, visit: "Visit") -> dict[str, str]:  # noqa: ARG002 - for recipes that need them
        """Return the header fields that the site's scripts add to their requests, such as a token out of the storage.

        `Visit.fetch` sends them along, to the origin of `start_url` and nowhere else.
        """
        return {}

    async def recover(self, visit: "Visit") -> None:
        """Go back to the inventory after trouble, ready for the next reference."""
        await visit.goto(self.start_url)
