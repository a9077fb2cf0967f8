"""The worker's one loop: a message in, the work done under its deadline, the answer out, the browser made whole."""

import asyncio
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from loguru import logger
from playwright.async_api import Error as PlaywrightError

from worker.browser import Browser, BrowserError
from worker.deadlines import Overdue
from worker.exits import Exit
from worker.gateway import GatewayError, open_gateway
from worker.heartbeat import Kin, end_at_once, pulse
from worker.journal import Journal
from worker.kit import Kit
from worker.loading import load_site, recipe_file
from worker.lookout import Frame, look_out
from worker.masking import Mask
from worker.protocol import (
    Adopt,
    Assign,
    BrowserStarted,
    ExportInventory,
    Inbound,
    LogIn,
    ProveSession,
    Ready,
    Refresh,
    Revisit,
    ShutDown,
    StartFailed,
    UseSession,
)
from worker.recovery import Unrecoverable
from worker.session import Session
from worker.settings import WorkerSettings
from worker.site import RecipeError
from worker.vault import Vault
from worker.wire import Wire
from worker.work import Worker

_BROWSER_TROUBLE = (BrowserError, Overdue, PlaywrightError)


class BrowserGone(msgspec.Struct, frozen=True):
    """A note of the worker's to itself: the browser died; if that was between two tasks, a new one is due."""


async def run(connection: Connection, settings: WorkerSettings, kin: Kin, journal: Journal, mask: Mask) -> Exit:
    """Work until the supervisor says `ShutDown` or sends SIGTERM; return why it ended."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_forgotten)
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("the worker's loop needs a task")
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        site = load_site(settings.site)
    except RecipeError as error:
        logger.error("{}", error)
        return Exit.RECIPE
    inbox: asyncio.Queue[Inbound | BrowserGone] = asyncio.Queue()
    vault = Vault(site.secrets, mask)
    wire = Wire(connection, inbox.put_nowait, lambda code: _break(kin, code))
    try:
        gateway = open_gateway(site.access, site.start_url, vault, Path(settings.temp_dir))
    except GatewayError as error:
        logger.error("{}", error)
        wire.send(StartFailed(mask(str(error))))
        wire.close()
        return Exit.RECIPE
    browser = Browser(
        settings, kin, mask, images=site.images, hosts=gateway.hosts or site.allowed_hosts, gateway=gateway
    )
    browser.on_gone = lambda: inbox.put_nowait(BrowserGone())
    kit = Kit(browser, site, vault, mask, settings.document_limit)
    worker = Worker(kit, journal, wire.send, settings, recipe_file(site))
    beats = pulse(settings.heartbeat_interval, worker.heartbeat, wire.send)
    helpers = [asyncio.create_task(beats, name="the pulse")]
    frame = Frame(Path(settings.picture_file))
    if settings.picture_file:
        pictures = look_out(browser, frame, settings.picture_interval, lambda: worker.at_work)
        helpers.append(asyncio.create_task(pictures, name="the look-out"))
    for helper in helpers:
        helper.add_done_callback(_log_end)
    try:
        wire.send(await browser.start())
        _watch_driver(kin)
        wire.send(Ready())
        return await _serve(inbox, worker, browser, wire, journal, frame=frame)
    except asyncio.CancelledError:
        logger.info("asked to end by a signal")
        return Exit.CLEAN
    except BrowserError as error:
        logger.error("{}", error)
        wire.send(StartFailed(mask(str(error))))
        return Exit.BROWSER
    except Unrecoverable as error:
        logger.error("{}", error)
        return Exit.UNRECOVERABLE
    finally:
        for helper in helpers:
            helper.cancel()
        loop.remove_signal_handler(signal.SIGTERM)  # one is enough: what follows has its own deadlines
        _leave_driver(kin)
        await browser.stop()
        wire.close()


async def _serve(
    inbox: "asyncio.Queue[Inbound | BrowserGone]",
    worker: Worker,
    browser: Browser,
    wire: Wire,
    journal: Journal,
    *,
    frame: Frame,
) -> Exit:
    while True:
        match await inbox.get():
            case Adopt() as place:
                journal.move(place)
                frame.path = Path(place.picture_file)
                wire.send(worker.heartbeat())
            case Assign() as assign:
                await worker.assign(assign)
            case LogIn() as errand:
                await worker.log_in(errand)
            case ExportInventory() as errand:
                await worker.export(errand)
            case ProveSession() as errand:
                await worker.prove(errand)
            case Revisit() as errand:
                await worker.revisit(errand)
            case UseSession(session=data):
                await _use_session(browser, data)
            case Refresh():
                wire.send(await _relaunch(browser))
                wire.send(Ready())
            case BrowserGone():
                if not browser.alive:
                    logger.warning("the browser went away between two tasks")
                    wire.send(await _relaunch(browser))
            case ShutDown():
                return Exit.CLEAN


async def _use_session(browser: Browser, data: bytes) -> None:
    try:
        browser.use(Session.from_bytes(data))
        if browser.alive:
            await browser.fresh_context()
    except msgspec.DecodeError as error:
        raise Unrecoverable(f"the supervisor sent something that is no session: {error}") from error
    except _BROWSER_TROUBLE as error:  # the next task finds no page and makes the browser whole
        logger.warning("the session could not be restored at once: {}", _first_line(error))


async def _relaunch(browser: Browser) -> BrowserStarted:
    try:
        return await browser.relaunch()
    except _BROWSER_TROUBLE as error:
        raise Unrecoverable(f"no browser could be started: {_first_line(error)}") from error


def _break(kin: Kin, code: Exit) -> None:
    logger.error("ending at once: {}", code.name.lower().replace("_", " "))
    end_at_once(kin, code)


def _watch_driver(kin: Kin) -> None:
    """End when Playwright's driver dies: Playwright itself does not notice, and cannot start another."""
    descriptor = os.pidfd_open(kin.driver_pid)
    asyncio.get_running_loop().add_reader(descriptor, _break, kin, Exit.DRIVER_LOST)
    kin.driver_watch = descriptor


def _leave_driver(kin: Kin) -> None:
    if kin.driver_watch is not None:
        asyncio.get_running_loop().remove_reader(kin.driver_watch)
        os.close(kin.driver_watch)
        kin.driver_watch = None


def _log_forgotten(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Calls that were cancelled on purpose fail later, unread; anything else deserves its traceback."""
    error = context.get("exception")
    if isinstance(error, PlaywrightError):
        logger.debug("a forgotten call failed: {}", _first_line(error))
    else:
        logger.opt(exception=error if isinstance(error, BaseException) else None).warning("{}", context.get("message"))


def _log_end(helper: "asyncio.Task[None]") -> None:
    """Say why a helper ended, which none does by itself: without a pulse, say, the worker is killed as frozen."""
    if not helper.cancelled() and (error := helper.exception()) is not None:
        logger.opt(exception=error).error("{} ended", helper.get_name())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
