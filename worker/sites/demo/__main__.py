"""The website as a process of its own: ``python -m worker.sites.demo``.

When it listens it prints one line of JSON, ``{"url": …, "pid": …, "account": [user, password]}`` (null where the
environment names another one), and goes on until SIGTERM or SIGINT, or until whoever started it is gone.
Exit codes: 0 ended as told, 2 wrong usage, 5 the port cannot be had.
"""

import asyncio
import importlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import click
import psutil
from aiohttp import web

from worker.sites.demo.capacity import Capacity, Crowded
from worker.sites.demo.faults import Choice, Fault, FaultPlan, FaultsError, parse
from worker.sites.demo.recipe import DEFAULTS
from worker.sites.demo.vehicles import Inventory
from worker.sites.demo.website import Credentials, Website, truth

_BACKLOG = 512
_PARENT_CHECK = 0.5
"""Seconds between two looks whether the parent is still there."""


class _Choices(click.ParamType[tuple[Choice, ...]]):
    name = "faults"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Choice, ...]:
        try:
            return parse(str(value))
        except FaultsError as error:
            self.fail(str(error), param, ctx)


@click.command(epilog=f"Faults: {', '.join(Fault)}. Each is written NAME, NAME=RATE or NAME=RATE:TIMES.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any free port.")
@click.option("--listener", type=click.IntRange(3), help="An inherited socket that listens already, for --port.")
@click.option("--vehicles", type=click.IntRange(0, 1_000_000), default=100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same inventory.")
@click.option("--faults", type=_Choices(), default="none", show_default=True, help="all, none, or NAME[=RATE],…")
@click.option("--latency", type=click.FloatRange(0, 60_000), default=0, help="Milliseconds added to every answer.")
@click.option(
    "--page-time", type=click.FloatRange(0, 60_000), default=0, help="Milliseconds that a vehicle's page takes."
)
@click.option("--capacity", type=click.IntRange(0, 1000), default=0, help="So many are made at a time; 0: all.")
@click.option(
    "--crowded",
    type=click.Choice([one.value for one in Crowded]),
    default="wait",
    help="What happens to those beyond it.",
)
@click.option("--uniform", is_flag=True, help="Two documents of 190 KB for every vehicle, as measurements want them.")
@click.option("--control", is_flag=True, help="Let tests order troubles by POST to /control/….")
@click.option("--parent-pid", type=click.IntRange(1), help="End when this process is gone.")
@click.option("--until-stdin-closes", is_flag=True, help="End when the standard input is at its end.")
@click.option("--truth", "tell_truth", is_flag=True, help="Print the truth as JSON, serve nothing.")
def main(
    *,
    port: int,
    listener: int | None,
    vehicles: int,
    seed: int,
    faults: tuple[Choice, ...],
    latency: float,
    page_time: float,
    capacity: int,
    crowded: str,
    uniform: bool,
    control: bool,
    parent_pid: int | None,
    until_stdin_closes: bool,
    tell_truth: bool,
) -> None:
    """Serve the demo inventory on the loopback interface."""
    inventory = Inventory(vehicles, seed, uniform=uniform)
    plan = FaultPlan(inventory, faults)
    if tell_truth:
        click.echo(json.dumps(truth(inventory, plan), ensure_ascii=False))
        return
    credentials = Credentials(
        os.environ.get("NIGHTFLEET_DEMO_USER") or DEFAULTS["NIGHTFLEET_DEMO_USER"],
        os.environ.get("NIGHTFLEET_DEMO_PASSWORD") or DEFAULTS["NIGHTFLEET_DEMO_PASSWORD"],
    )
    making = Capacity(capacity, page_time / 1000, Crowded(crowded))
    website = Website(inventory, plan, credentials, latency=latency / 1000, control=control, capacity=making)
    known = [DEFAULTS["NIGHTFLEET_DEMO_USER"], DEFAULTS["NIGHTFLEET_DEMO_PASSWORD"]]
    account = known if credentials == Credentials(*known) else None
    place = port if listener is None else socket.socket(fileno=listener)
    serving = _serve(website.application(), place, parent_pid, account, until_stdin_closes=until_stdin_closes)
    sys.exit(asyncio.run(serving))


async def _serve(
    app: web.Application,
    place: int | socket.socket,
    parent_pid: int | None,
    account: list[str] | None,
    *,
    until_stdin_closes: bool,
) -> int:
    """Serve on a port or a socket until told otherwise; return the exit code."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        _watch(loop, stop, _read_to_the_end)
    if parent_pid is not None:
        try:
            parent = psutil.Process(parent_pid)  # remembers when it started, so a later stranger is not it
        except psutil.NoSuchProcess:
            return 0
        _watch(loop, stop, lambda: _outlive(parent))
    # Unanswered requests must end with their client, and must not hold the end of the website up.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site: web.BaseSite
    if isinstance(place, int):
        site = web.TCPSite(runner, "127.0.0.1", place, backlog=_BACKLOG)
    else:
        site = web.SockSite(runner, place, backlog=_BACKLOG)
    try:
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        click.echo(json.dumps({"url": url, "pid": os.getpid(), "account": account}))
        await asyncio.to_thread(importlib.import_module, "worker.sites.demo.forms")  # before a document is asked for
        await stop.wait()
    except OSError as error:
        click.echo(f"Error: the website cannot listen on 127.0.0.1:{place}: {error.strerror}", err=True)
        return 5
    finally:
        await runner.cleanup()
    return 0


def _watch(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, wait: Callable[[], None]) -> None:
    """Stop the website when `wait` returns. It waits in a thread, because not every stdin can be polled."""

    def run() -> None:
        wait()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=run, daemon=True).start()


def _read_to_the_end() -> None:
    while os.read(0, 65_536):
        pass


def _outlive(parent: psutil.Process) -> None:
    ended = threading.Event()
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        ended.wait(_PARENT_CHECK)


if __name__ == "__main__":
    main(prog_name="python -m worker.sites.demo")
