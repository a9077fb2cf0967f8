"""The website's routes, and what its faults look like on the wire."""

import asyncio
import hmac
import json
import math
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from worker.sites.demo import pages
from worker.sites.demo.capacity import Capacity
from worker.sites.demo.control import Control
from worker.sites.demo.faults import Fault, FaultPlan
from worker.sites.demo.journal import Journal
from worker.sites.demo.papers import document, paper
from worker.sites.demo.pictures import VIEWS, photo
from worker.sites.demo.sessions import Session, Sessions
from worker.sites.demo.vehicles import Inventory, Vehicle

PAGE_SIZE = 25
"""Vehicles on a page of the inventory."""
SLOW_SECONDS = 2.5
"""How long the fault `slow` keeps a page back."""

_COOKIE = "harbour_lane"
_STATIC = {
    path.name: (path.read_bytes(), kind)
    for path, kind in (
        (Path(__file__).parent / "static" / "style.css", "text/css"),
        (Path(__file__).parent / "static" / "script.js", "text/javascript"),
    )
}
_KINDS = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        ("/login", "login"),
        ("/static/.*", "static"),
        (r"/inventory/export\.csv", "export"),
        ("/|/inventory|/logout", "inventory"),
        ("/vehicle/.*/documents/.*", "document"),
        ("/vehicle/.*/photo-.*", "photo"),
        ("/vehicle/.*", "vehicle"),
        (".*", "other"),
    )
)
_PUBLIC = {"login", "static", "other"}
"""Classes of paths that need no login."""
_PAGE_FAULTS = (
    Fault.NEVER_ANSWERS,
    Fault.ENDLESS_SCRIPT,
    Fault.RENDERER_CRASH,
    Fault.SERVER_ERROR_ONCE,
    Fault.ALWAYS_500,
    Fault.GONE,
    Fault.SLOW,
    Fault.ALERT,
    Fault.SESSION_EXPIRY,
)
_DOCUMENT_FAULTS = (
    Fault.TRUNCATED,
    Fault.TRUNCATED_NO_LENGTH,
    Fault.ALWAYS_TRUNCATED,
    Fault.HTML_AS_PDF,
    Fault.ZERO_BYTES,
    Fault.STALLED_DOWNLOAD,
    Fault.ATTACHMENT_500,
)
_SCRIPTS = {
    Fault.ENDLESS_SCRIPT: pages.ENDLESS_SCRIPT,
    Fault.RENDERER_CRASH: pages.RENDERER_CRASH,
    Fault.ALERT: pages.ALERT,
}

_PAGE_NUMBER = re.compile("[1-9][0-9]{0,8}")
_SESSION = web.RequestKey("session", Session)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Credentials(msgspec.Struct, frozen=True):
    """The one account of the website."""

    user: str
    password: str

    def match(self, user: str, password: str) -> bool:
        """Say whether these are the account's."""
        right_user = hmac.compare_digest(self.user.encode(), user.encode())
        return hmac.compare_digest(self.password.encode(), password.encode()) and right_user

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


def truth(inventory: Inventory, faults: FaultPlan) -> dict[str, Any]:
    """Return what is true of every reference: its documents as served without a fault, its fault, whether for good."""
    return {
        "seed": inventory.seed,
        "references": {
            car.ref: {
                "documents": [msgspec.to_builtins(paper(inventory.seed, car, name)) for name in car.documents],
                "fault": faults.fault(car.ref),
                "permanent": faults.permanent(car.ref),
            }
            for car in inventory
        },
    }


class Website:
    """One inventory with its faults behind HTTP. `latency` is in seconds, added to every answer."""

    def __init__(
        self,
        inventory: Inventory,
        faults: FaultPlan,
        credentials: Credentials,
        *,
        latency: float,
        control: bool,
        capacity: Capacity,
    ) -> None:
        self._inventory = inventory
        self._faults = faults
        self._credentials = credentials
        self._latency = latency
        self._capacity = capacity
        self._sessions = Sessions()
        self._journal = Journal()
        self._control = Control(self._sessions, self._journal)
        self._controllable = control

    def application(self) -> web.Application:
        """Return the application to be served."""

        @web.middleware
        async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        router = app.router
        router.add_get("/", self._home)
        router.add_get("/login", self._show_login)
        router.add_post("/login", self._log_in)
        router.add_get("/logout", self._log_out)
        router.add_get("/inventory", self._show_inventory)
        router.add_get("/inventory/export.csv", self._export)
        router.add_get("/vehicle/{ref}", self._show_vehicle)
        router.add_get("/vehicle/{ref}/photo-{view:[0-9]{1,2}}.jpg", self._photo)
        router.add_get("/vehicle/{ref}/documents/{name}", self._document)
        router.add_post("/vehicle/{ref}/documents/{name}", self._document)
        router.add_get("/static/{name}", self._static)
        router.add_get("/truth.json", self._truth)
        router.add_get("/log.json", self._log)
        if self._controllable:
            self._control.add_routes(router)
        return app

    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Count, delay, and let nobody in who is not logged in. Checks and control pass whatever the troubles are."""
        if request.path in {"/truth.json", "/log.json"} or request.path.startswith("/control/"):
            return await handler(request)
        kind = _kind(request.path)
        self._journal.requests[kind] += 1
        if self._latency:
            await asyncio.sleep(self._latency)
        if kind == "vehicle":
            await self._control.let_pass()
        trouble = self._control.trouble(request)
        if trouble is not None:
            return trouble
        session = self._sessions.find(request.cookies.get(_COOKIE, ""))
        if session is None and kind == "login":
            session = self._sessions.open()
        if (session is None or not session.user) and kind not in _PUBLIC:
            then = request.raw_path if request.method == "GET" else "/inventory"
            raise web.HTTPSeeOther(f"/login?then={quote(then, safe='')}")
        if session is not None:
            request[_SESSION] = session
        try:
            return await handler(request)
        except web.HTTPNotFound:
            user = session.user if session else ""
            return _html(pages.notice("Not found", "There is nothing at this address.", user), status=404)

    # ------------------------------------------------------------------------------------------------------- account
    async def _home(self, _request: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/inventory")

    async def _show_login(self, request: web.Request) -> web.Response:
        session = request[_SESSION]
        response = _html(pages.login(session.token, _inside(request.query.get("then", ""))))
        _set_cookie(response, session)
        return response

    async def _log_in(self, request: web.Request) -> web.Response:
        session = request[_SESSION]
        form = await request.post()
        then = _inside(str(form.get("then", "")))
        if not session.vouches_for(str(form.get("token", ""))):
            self._journal.forgeries += 1
            return _html(pages.notice("Form expired", "Please open the log-in page again."), status=403)
        right = self._credentials.match(str(form.get("user", "")), str(form.get("password", "")))
        if not right or self._control.refuses_logins:
            self._journal.refusals += 1
            return _html(pages.login(session.token, then, "Wrong user or password."))
        self._journal.logins += 1
        self._sessions.close(session)
        response = web.Response(status=303, headers={"Location": then})
        _set_cookie(response, self._sessions.open(self._credentials.user))
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._sessions.close(request[_SESSION])
        raise web.HTTPSeeOther("/login")

    # ----------------------------------------------------------------------------------------------------- inventory
    async def _show_inventory(self, request: web.Request) -> web.Response:
        last = max(1, math.ceil(len(self._inventory) / PAGE_SIZE))
        wanted = request.query.get("page", "1")
        number = min(int(wanted), last) if _PAGE_NUMBER.fullmatch(wanted) else 1
        cars = self._inventory.page(number, PAGE_SIZE)
        return _html(pages.inventory(cars, number, last, len(self._inventory), request[_SESSION].user))

    async def _export(self, _request: web.Request) -> web.Response:
        headers = {"Content-Disposition": 'attachment; filename="inventory.csv"'}
        return web.Response(body=self._inventory.export(), content_type="text/csv", charset="utf-8", headers=headers)

    def _car(self, request: web.Request) -> Vehicle:
        car = self._inventory.find(request.match_info["ref"])
        if car is None:
            raise web.HTTPNotFound
        return car

    # ------------------------------------------------------------------------------------------------------- vehicle
    async def _show_vehicle(self, request: web.Request) -> web.StreamResponse:
        car = self._car(request)
        session = request[_SESSION]
        refusal = await self._capacity.make()
        if refusal is not None:
            return refusal
        self._journal.opened[car.ref] += 1
        if "arrived" not in request.query and self._faults.strike(car.ref, Fault.META_REFRESH):
            return _html(pages.moved(f"{pages.vehicle_path(car.ref)}?arrived=1", session.user))
        fault = self._faults.strike(car.ref, *_PAGE_FAULTS)
        match fault:
            case Fault.NEVER_ANSWERS:
                await asyncio.Event().wait()
            case Fault.SERVER_ERROR_ONCE | Fault.ALWAYS_500:
                return _html(pages.notice("Server error", "Something went wrong here.", session.user), status=500)
            case Fault.GONE:
                raise web.HTTPNotFound
            case Fault.SESSION_EXPIRY:
                self._sessions.forget_all()
                self._journal.expiries += 1
                raise web.HTTPSeeOther(f"/login?then={quote(request.raw_path, safe='')}")
            case Fault.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
            case _:
                pass
        blank = self._faults.strike(car.ref, Fault.TARGET_BLANK) is not None
        extra = _SCRIPTS.get(fault, "") if fault else ""
        deliveries = self._deliveries(car)
        return _html(pages.vehicle(car, deliveries, session.token, session.user, blank=blank, extra=extra))

    def _deliveries(self, car: Vehicle) -> tuple[str, ...]:
        decided = "" if self._inventory.uniform else self._faults.delivery(car.ref)
        return (decided, *car.deliveries[1:]) if decided else car.deliveries

    async def _photo(self, request: web.Request) -> web.Response:
        car = self._car(request)
        view = int(request.match_info["view"])
        if not 1 <= view <= VIEWS:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "max-age=3600"}
        return web.Response(body=photo(car.body, car.colour, view - 1), content_type="image/jpeg", headers=headers)

    async def _document(self, request: web.Request) -> web.StreamResponse:
        car = self._car(request)
        name = request.match_info["name"]
        if name not in car.documents:
            raise web.HTTPNotFound
        position = car.documents.index(name)
        if (self._deliveries(car)[position] == "link") is not (request.method == "GET"):
            raise web.HTTPMethodNotAllowed(request.method, ["POST" if request.method == "GET" else "GET"])
        if request.method == "POST" and not await self._is_genuine(request):
            return _html(pages.notice("Form expired", "Please open the vehicle again."), status=403)
        content = document(self._inventory.seed, car, name)
        headers = {
            "Content-Type": "application/pdf",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
        fault = self._faults.strike(car.ref, *_DOCUMENT_FAULTS) if position == 0 else None
        if fault is None:
            self._journal.delivered[f"{car.ref}/{name}"] += 1
            return web.Response(body=content, headers=headers)
        return await _spoilt(request, fault, content, headers)

    async def _is_genuine(self, request: web.Request) -> bool:
        token = request.headers.get("X-Token") or str((await request.post()).get("token", ""))
        if request[_SESSION].vouches_for(token):
            return True
        self._journal.forgeries += 1
        return False

    # -------------------------------------------------------------------------------------------------------- checks
    async def _static(self, request: web.Request) -> web.Response:
        if request.match_info["name"] not in _STATIC:
            raise web.HTTPNotFound
        content, kind = _STATIC[request.match_info["name"]]
        headers = {"Cache-Control": "max-age=3600"}
        return web.Response(body=content, content_type=kind, charset="utf-8", headers=headers)

    async def _truth(self, _request: web.Request) -> web.Response:
        known = await asyncio.to_thread(truth, self._inventory, self._faults)
        return web.Response(text=json.dumps(known, ensure_ascii=False), content_type="application/json")

    async def _log(self, _request: web.Request) -> web.Response:
        return web.json_response(self._journal.to_json() | {"faults": dict(self._faults.struck)})


async def _spoilt(request: web.Request, fault: Fault, content: bytes, headers: dict[str, str]) -> web.StreamResponse:
    half = content[: len(content) // 2]
    match fault:
        case Fault.HTML_AS_PDF:
            return web.Response(
                text=pages.notice("One moment", "Your document is being prepared."),
                headers=headers | {"Content-Type": "text/html; charset=utf-8"},
            )
        case Fault.ZERO_BYTES:
            return web.Response(body=b"", headers=headers)
        case Fault.ATTACHMENT_500:
            return web.Response(status=500, body=b"%PDF-1.3\n", headers=headers)
        case _:
            response = web.StreamResponse(headers=headers)
    if fault is not Fault.TRUNCATED_NO_LENGTH:
        response.content_length = len(content)
    await response.prepare(request)
    await response.write(half)
    if fault is Fault.STALLED_DOWNLOAD:
        await asyncio.Event().wait()
    elif fault is not Fault.TRUNCATED_NO_LENGTH and request.transport is not None:
        request.transport.close()
    return response


def _kind(path: str) -> str:
    return next(kind for pattern, kind in _KINDS if pattern.fullmatch(path))


def _inside(path: str) -> str:
    """Return `path` when it leads to a page of this website, else the inventory."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\", "/login")) else "/inventory"


def _html(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


def _set_cookie(response: web.Response, session: Session) -> None:
    response.set_cookie(_COOKIE, session.id, httponly=True, samesite="Lax", path="/")
