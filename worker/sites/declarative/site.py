"""A declarative recipe at work: what `worker.site.Site` asks for, done as the TOML says."""

import asyncio
import time

from worker.failures import refusal
from worker.judging import is_same_page
from worker.protocol import Kind
from worker.site import Inventory, LoginRefused, NotFound, Site, SiteFailure
from worker.sites.declarative import exports, listings, offers, python_steps, ways
from worker.sites.declarative.pages import Hand, Unmatched
from worker.sites.declarative.reading import Source, allowed_hosts
from worker.sites.declarative.schema import Login, Recipe, Search, Step, Vehicle
from worker.sites.declarative.ways import way_of
from worker.visit import Visit


class Declarative(Site):
    """The site that a TOML file describes. Its parts can be called by steps in Python, as `open_vehicle` can."""

    def __init__(self, source: Source) -> None:
        """Take a recipe that was checked, and import the steps that it hands to Python.

        Raises:
            RecipeError: these cannot be used.
        """
        recipe = source.recipe
        steps = python_steps.load(source)
        self._python = steps.functions
        self.source_file = steps.file
        self.source = source
        self.recipe = recipe
        self.name = recipe.name
        self.start_url = source.url(recipe.start_url)
        self._login_page = source.url(recipe.login.url) if recipe.login and recipe.login.url else ""
        self.login_url = _telling(source, self._login_page)
        self.session = recipe.session
        self.access = way_of(source)
        self.secrets = tuple(dict.fromkeys((*_secrets(recipe), *recipe.secrets, *self.access.secrets)))
        self.fewest_documents = recipe.documents.fewest if recipe.documents is not None else 0
        if recipe.documents is not None:
            self.document_formats = recipe.documents.types
        self.images = recipe.images
        self.exports = recipe.references is not None or "export_inventory" in self._python
        self.allowed_hosts = allowed_hosts(recipe)
        self._next_request = 0.0

    # ------------------------------------------------------------------------------------------- what Site asks for
    async def log_in(self, visit: Visit) -> None:
        """Fill in the form and find out what the site says to it."""
        if "log_in" in self._python:
            await self._python["log_in"](self, visit)
            return
        hand = self.hand(visit)
        if self.recipe.login is None:
            visit.step("open the site")
            await hand.open(self.start_url)
            return
        visit.step("open the login page")
        await hand.open(self._login_page)
        if await self.is_logged_in(visit) and await self._is_in_already(hand, self.recipe.login):
            return
        await hand.run(("login", "steps"), self.recipe.login.steps)
        visit.step("send the login")
        visit.forget_answer()
        await self._submit(hand, self.recipe.login)
        visit.step("see whether the login was accepted")
        await self._outcome(hand, self.recipe.login)

    async def is_logged_in(self, visit: Visit) -> bool:
        """Look for what proves it on the present page."""
        if "is_logged_in" in self._python:
            return bool(await self._python["is_logged_in"](self, visit))
        login = self.recipe.login
        if login is None:
            return True
        hand = self.hand(visit)
        if login.logged_out is not None and await hand.count(login.logged_out):
            return False
        return login.logged_in is None or await hand.count(login.logged_in) > 0

    async def export_inventory(self, visit: Visit) -> Inventory:
        """Bring the references, from an export or from pages that list them."""
        if "export_inventory" in self._python:
            inventory: Inventory = await self._python["export_inventory"](self, visit)
            return inventory
        references = self.recipe.references
        if references is not None and references.export is not None:
            return await exports.export(self.hand(visit), references.export)
        if references is not None and references.listing is not None:
            return await listings.collect(self.hand(visit), references.listing)
        message = f"{self.source.file.name} has no [references], and no list was given with --refs"
        raise SiteFailure(Kind.RECIPE_ERROR, message)

    async def process(self, visit: Visit, reference: str) -> None:
        """Open the vehicle, do what the documents need, bring them."""
        if "process" in self._python:
            await self._python["process"](self, visit, reference)
            return
        await self.open_vehicle(visit, reference)
        await self.fetch_documents(visit, reference)

    async def recover(self, visit: Visit) -> None:
        """Go back to the start."""
        if "recover" in self._python:
            await self._python["recover"](self, visit)
            return
        await visit.goto(self.start_url)

    async def request_headers(self, visit: Visit) -> dict[str, str]:
        """Return the recipe's header fields, filled in from the page's storage."""
        if not self.recipe.headers:
            return {}
        return await ways.headers(visit.page, self.recipe.headers, self.source.place(("headers",)))

    # -------------------------------------------------------------------------------------- also for steps in Python
    def hand(self, visit: Visit, reference: str = "") -> Hand:
        """Return what finds things on the page of a visit as the recipe would."""
        return Hand(self.source, visit, self._pace, reference)

    async def open_vehicle(self, visit: Visit, reference: str) -> None:
        """Open the page of a vehicle and do the recipe's steps before its documents.

        Raises:
            SiteFailure: the site has no such vehicle, or the page does not come.
        """
        vehicle = self.recipe.vehicle
        if vehicle is None:
            raise SiteFailure(Kind.RECIPE_ERROR, f"{self.source.file.name} has no [vehicle]")
        hand = self.hand(visit, reference)
        if vehicle.url is not None:
            visit.step("open the vehicle")
            await hand.open(hand.url(vehicle.url))
        elif vehicle.search is not None:
            await self._search(hand, vehicle, vehicle.search)
        await self._arrive(hand, vehicle)
        if vehicle.steps:
            await hand.run(("vehicle", "steps"), vehicle.steps)
            await visit.prove_session()

    async def fetch_documents(self, visit: Visit, reference: str) -> None:
        """Bring the documents of the vehicle whose page is open.

        Raises:
            SiteFailure: there are too few or too many, or one of them cannot be had.
        """
        documents = self.recipe.documents
        if documents is None:
            raise SiteFailure(Kind.RECIPE_ERROR, f"{self.source.file.name} has no [documents]")
        await offers.fetch_all(self.hand(visit, reference), documents)

    # ------------------------------------------------------------------------------------------------------- inside
    async def _pace(self) -> None:
        """Wait until the recipe's delay has passed since the last request that it asked for."""
        delay = self.recipe.delay
        if not delay:
            return
        now = time.monotonic()
        due = max(now, self._next_request)
        self._next_request = due + delay
        await asyncio.sleep(due - now)

    async def _is_in_already(self, hand: Hand, login: Login) -> bool:
        """Say whether a page that looks like one of who is logged in has no login form.

        Raises:
            SiteFailure: `RECIPE_ERROR`, it has the form as well, so that the mark proves nothing.
        """
        field = next((step.fill for step in login.steps if step.fill is not None), None)

        async def asked() -> bool:
            return await hand.shows(field)

        if not await hand.until(asked, hand.patience):
            return True
        key = "logged_in" if login.logged_in is not None else "logged_out"
        mark = login.logged_in or login.logged_out or "python.is_logged_in"
        sentence = "tells nothing: the login page looks like one of somebody who is logged in"
        place = self.source.place(("login", key))
        raise Unmatched(Kind.RECIPE_ERROR, place, mark, sentence, matched=1, url=hand.visit.page.url)

    async def _submit(self, hand: Hand, login: Login) -> None:
        limit = hand.patience * 1000
        if login.submit is not None:
            button = await hand.one(("login", "submit"), login.submit, hand.patience)
            await hand.on(("login", "submit"), login.submit, lambda: button.click(timeout=limit))
        elif login.steps[-1].fill is not None:
            await hand.visit.page.keyboard.press("Enter")

    async def _outcome(self, hand: Hand, login: Login) -> None:
        visit = hand.visit

        async def decided() -> bool:
            return await hand.shows(login.refused) or await self.is_logged_in(visit)

        await hand.until(decided, hand.patience)
        if await hand.shows(login.refused):
            raise LoginRefused(f"the site answered: {await hand.sentence(login.refused or '')}")
        if await self.is_logged_in(visit):
            return
        answer = visit.answer
        if answer is not None and (failure := refusal(answer.status, answer.headers, answer.url)) is not None:
            if failure.kind in {Kind.SESSION_EXPIRED, Kind.FORBIDDEN}:
                raise LoginRefused(f"the site answered the login with status {answer.status}")
            raise failure
        if answer is not None and await self._form_is_back(hand, login):
            raise LoginRefused("the site answered the login with the login form again")
        mark = login.logged_in or login.logged_out or "python.is_logged_in"
        key = "logged_in" if login.logged_in else "logged_out"
        sentence = f"does not prove a login {hand.patience:g} s after it was sent"
        place = self.source.place(("login", key))
        raise Unmatched(Kind.LOGIN_FAILED, place, mark, sentence, matched=0, url=visit.page.url)

    async def _form_is_back(self, hand: Hand, login: Login) -> bool:
        secret = next((step.fill for step in reversed(login.steps) if step.fill and step.secret), None)
        return await hand.shows(secret)

    async def _search(self, hand: Hand, vehicle: Vehicle, search: Search) -> None:
        visit = hand.visit
        visit.step("open the search")
        await hand.open(hand.url(search.page))
        await hand.pace()
        await hand.run(("vehicle", "search", "steps"), search.steps)
        if search.result is None:
            return
        visit.step("choose the result")

        async def answered() -> bool:
            return await hand.count(search.result) > 0 or await hand.shows(vehicle.missing)

        await hand.until(answered, hand.patience)
        if not await hand.count(search.result):
            await self._refuse_missing(hand, vehicle)
        path = ("vehicle", "search", "result")
        result = await hand.one(path, search.result, 0)
        await hand.pace()
        await hand.on(path, search.result, lambda: result.click(timeout=hand.patience * 1000))

    async def _arrive(self, hand: Hand, vehicle: Vehicle) -> None:
        """Wait until the vehicle's page shows that it has loaded, or that there is no such vehicle."""

        async def arrived() -> bool:
            return await hand.shows(vehicle.missing) or (
                vehicle.loaded is not None and await hand.count(vehicle.loaded) > 0
            )

        if vehicle.loaded is not None:
            await hand.until(arrived, hand.patience)
        await self._refuse_missing(hand, vehicle)
        if vehicle.search is not None:
            hand.check_answer()
            await hand.visit.prove_session()
        if vehicle.loaded is not None and not await hand.count(vehicle.loaded):
            raise await hand.unmatched(("vehicle", "loaded"), vehicle.loaded, 0, hand.patience, Kind.STEP_TIMEOUT)

    async def _refuse_missing(self, hand: Hand, vehicle: Vehicle) -> None:
        if vehicle.missing is not None and await hand.shows(vehicle.missing):
            text = await hand.sentence(vehicle.missing)
            raise NotFound(f"the site says that it has no such vehicle: {text}")


def _telling(source: Source, login_page: str) -> str:
    """Return the login page's address when being there means being logged out; empty when it tells nothing.

    It does not where other pages have the same path and differ in query or fragment only, as those of `index.php` do.
    """
    recipe = source.recipe
    urls: list[str | None] = [recipe.start_url]
    if recipe.vehicle is not None:
        urls += [recipe.vehicle.url, recipe.vehicle.search.page if recipe.vehicle.search else None]
    if recipe.references is not None and (export := recipe.references.export) is not None:
        urls += [export.page, export.url, export.ready_page]
    if recipe.references is not None and (listing := recipe.references.listing) is not None:
        urls += [listing.page, listing.pages]
    return "" if any(url and is_same_page(source.url(url), login_page) for url in urls) else login_page


def _secrets(recipe: Recipe) -> list[str]:
    """Return the names of the secrets that the recipe's steps type."""
    places: list[tuple[Step, ...]] = []
    if recipe.login is not None:
        places.append(recipe.login.steps)
    if recipe.references is not None:
        places += [one.steps for one in (recipe.references.export, recipe.references.listing) if one is not None]
    if recipe.vehicle is not None:
        places.append(recipe.vehicle.steps)
        if recipe.vehicle.search is not None:
            places.append(recipe.vehicle.search.steps)
    return [step.secret for steps in places for step in steps if step.secret is not None]
