"""The entry of a worker's process: a session of its own, signals, environment, log; then the loop."""

import contextlib
import faulthandler
import os
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from worker.exits import Exit
from worker.heartbeat import Kin, die_with_supervisor, end_at_once, watch_supervisor
from worker.protocol import VERSION, Hello, encode
from worker.settings import WorkerSettings

_UNWANTED = ("PWDEBUG", "SELENIUM_REMOTE_URL", "DEBUG", "NODE_OPTIONS")
"""Variables that make Playwright headed, remote or talkative."""


def run(connection: Connection, settings: WorkerSettings) -> None:
    """Be the worker that `settings` describe, on its end of the pipe. Does not return: the process ends with an `Exit`.

    What is heavy is imported after the greeting, so that the supervisor knows early that the child lives.
    """
    kin = Kin()
    isolate(settings.supervisor_pid)
    watch_supervisor(settings.supervisor_pid, kin)
    prepare_environment(settings)
    redirect_output(Path(settings.temp_dir) / "output.txt")
    stacks = Path(settings.stack_file).open("a")  # noqa: SIM115 - the fault handler needs it until the process ends
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    _send_hello(connection)
    _work(connection, settings, kin)


def isolate(supervisor_pid: int) -> None:
    """Lead a session of its own, die with the supervisor, leave Ctrl-C to it and no core behind."""
    if os.getsid(0) != os.getpid():  # the process of a check leads one from its start
        os.setsid()
    die_with_supervisor(supervisor_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def prepare_environment(settings: WorkerSettings) -> None:
    """Make the environment that Playwright, the browser and the recipe are to have."""
    for name in _UNWANTED:
        os.environ.pop(name, None)
    os.environ.update(settings.environment)
    os.environ["TMPDIR"] = settings.temp_dir
    os.environ["NIGHTFLEET_MARK"] = settings.marker


def redirect_output(path: Path) -> None:
    """Send what anybody prints to a file in the temporary folder: the terminal belongs to the supervisor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _send_hello(connection: Connection) -> None:
    with contextlib.suppress(ConnectionError):  # the supervisor is gone; the loop's first read says so
        os.write(connection.fileno(), encode(Hello(VERSION, os.getpid())))  # an empty pipe takes it in one piece


def _work(connection: Connection, settings: WorkerSettings, kin: Kin) -> None:
    import asyncio  # noqa: PLC0415 - with Playwright and loguru below, after the greeting
    import tempfile  # noqa: PLC0415

    from loguru import logger  # noqa: PLC0415

    from worker import loop  # noqa: PLC0415
    from worker.journal import Journal  # noqa: PLC0415
    from worker.masking import Mask  # noqa: PLC0415

    tempfile.tempdir = settings.temp_dir
    mask = Mask()
    journal = Journal(settings, mask)
    journal.open()
    logger.info("worker {} starts, incarnation {}, pid {}", settings.slot, settings.incarnation, os.getpid())

    async def work_to_the_end() -> None:
        try:
            code = await loop.run(connection, settings, kin, journal, mask)
        except Exception:  # noqa: BLE001 - the last lines of the log must say why a worker ended, whatever it was
            logger.exception("the worker failed")
            code = Exit.UNRECOVERABLE
        logger.info("worker {} ends with exit code {}", settings.slot, code.value)
        journal.close()
        end_at_once(kin, code)  # from within, because asyncio would wait for work that refuses to be cancelled

    asyncio.run(work_to_the_end())
