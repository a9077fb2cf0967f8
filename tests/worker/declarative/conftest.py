"""A browser in this process and the yard: recipes are tried one after the other, without a worker around them."""

import asyncio
import os
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.worker.child import BROWSER
from tests.worker.declarative.yard import PASSWORD, USER, Yard
from worker.browser import Browser
from worker.heartbeat import Kin
from worker.kit import Kit
from worker.masking import Mask
from worker.protocol import Document
from worker.settings import WorkerSettings
from worker.site import SiteFailure
from worker.sites.declarative.reading import parse
from worker.sites.declarative.site import Declarative
from worker.vault import Vault
from worker.visit import Visit

T = TypeVar("T")

_DEADLINE = 60.0


class Bench:
    """One browser, and what it takes to run a recipe in it."""

    def __init__(self, yard: Yard, folder: Path, hosts: tuple[str, ...] = ()) -> None:
        self.yard = yard
        self.folder = folder
        self.mask = Mask()
        self._number = 0
        self._runner = asyncio.Runner()
        self._temp = tempfile.TemporaryDirectory(prefix="nf-bench-")
        settings = WorkerSettings(
            slot=1,
            incarnation=1,
            site="",
            temp_dir=self._temp.name,
            log_file="",
            stack_file="",
            supervisor_pid=os.getpid(),
            marker="",
            browser=BROWSER if Path(BROWSER).exists() else "",
        )
        self.browser = Browser(settings, Kin(), self.mask, images=True, hosts=hosts)
        self.run(self._start())

    async def _start(self) -> None:
        await self.browser.start()
        await self.browser.fresh_context()

    def close(self) -> None:
        self.run(self.browser.stop())
        self._runner.close()
        self._temp.cleanup()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(asyncio.wait_for(work, _DEADLINE))

    def site(self, text: str, **files: str) -> Declarative:
        """Return the recipe `text`, with the yard's address put in, and `files` beside it."""
        folder = self.folder / f"recipe-{self._number}"
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / f"{name}.py").write_text(content)
        return Declarative(parse(text.replace("%URL%", self.yard.url).encode(), folder / "yard.toml"))

    def visit(self, site: Declarative, *, logging_in: bool = False) -> Visit:
        self._number += 1
        self.browser.observer.begin()
        os.environ |= {"YARD_USER": USER, "YARD_PASSWORD": PASSWORD}
        kit = Kit(self.browser, site, Vault(site.secrets, self.mask), self.mask, 100_000_000)
        return Visit(kit, self.folder / f"visit-{self._number}", _DEADLINE, logging_in=logging_in)

    def be_logged_in(self) -> None:
        """Give the browser a session, as if it had logged in."""
        self.yard.sessions.add("given-session")
        cookie = {"name": "yard", "value": "given-session", "url": self.yard.url}
        self.run(self.browser.context.add_cookies([cookie]))  # type: ignore[list-item] # a TypedDict

    def log_in(self, text: str) -> Declarative:
        """Log in as the recipe says, in a fresh context."""
        self.run(self.browser.fresh_context())
        site = self.site(text)
        visit = self.visit(site, logging_in=True)
        self.run(site.log_in(visit))
        assert self.run(site.is_logged_in(visit))
        return site

    def references(self, text: str) -> list[str]:
        """Return the references that the recipe finds, read as the supervisor would."""
        from supervisor.shell.references_file import read_references  # noqa: PLC0415 - worker code is under test here

        site = self.site(text)
        found = self.run(site.export_inventory(self.visit(site)))
        return read_references(
            found.file, column=found.column, delimiter=found.delimiter, encoding=found.encoding
        ).names

    def documents(self, text: str, reference: str, **files: str) -> list[Document]:
        """Return the documents that the recipe brings for a reference."""
        site = self.site(text, **files)
        visit = self.visit(site)
        self.run(site.process(visit, reference))
        return list(visit.documents)

    def failure(self, text: str, reference: str = "") -> SiteFailure:
        """Return the failure of the recipe at a reference, or at the inventory when there is none."""
        if "vehicle.search" not in text:  # all others show what is wrong as soon as their page is there
            text = text.replace("patience = 2", "patience = 1.5")
        brought: list[Any] = []
        try:
            brought += self.documents(text, reference) if reference else self.references(text)
        except SiteFailure as failure:
            return failure
        raise AssertionError(f"no failure: {brought}")


@pytest.fixture(scope="session")
def yard_site() -> Iterator[Yard]:
    with Yard() as site:
        yield site


@pytest.fixture(scope="session")
def bench(yard_site: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench whose browser has a session."""
    one = Bench(yard_site, tmp_path_factory.mktemp("bench"))
    try:
        one.be_logged_in()
        yield one
    finally:
        one.close()
