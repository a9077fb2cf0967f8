"""A night under a service manager, for which a datagram socket stands."""

import os
import signal
import socket
from collections.abc import Callable

import pytest

from supervisor.shell import linux
from tests.end_to_end.harness import Night, Site, until


def test_a_service_is_ready_alive_and_stops_in_good_order(
    begin: Callable[..., Night], open_site: Callable[..., Site]
) -> None:
    """The loop feeds the watchdog, a loop that stands still does not, no child inherits the socket."""
    name = f"@nightfleet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:])
        manager.settimeout(60)
        site = open_site(30)
        site.hold(20)
        run = begin(site.url)
        run.environ |= {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1500000"}
        run.start()
        heard: list[str] = []

        def hears(line: str) -> None:
            while not any(one.startswith(line) for one in heard):
                heard.extend(manager.recv(65_536).decode().splitlines())

        hears("READY=1")
        run.wait_for_completed()
        heard.clear()
        hears("WATCHDOG=1")
        hears("STATUS=running: ")
        assert run.process is not None
        children = [one for one in run.family.members() if one.pid != run.process.pid]
        assert children
        for child in children:
            assert not linux.environment_has(child.pid, "NOTIFY_SOCKET", name)
            assert not linux.environment_has(child.pid, "WATCHDOG_USEC", "1500000")
        run.send(signal.SIGSTOP)
        until(lambda: (stat := linux.stat(run.process.pid)) is not None and stat.stopped, "it stands still")  # type: ignore[union-attr] # it was started above
        _drain(manager)
        manager.settimeout(2)
        with pytest.raises(TimeoutError):  # longer than the watchdog's period
            manager.recv(65_536)
        manager.settimeout(60)
        run.send(signal.SIGCONT)
        heard.clear()
        hears("WATCHDOG=1")
        run.send(signal.SIGTERM)
        hears("STOPPING=1")
        site.order("release")
        hears("EXTEND_TIMEOUT_USEC=")
        hears("WATCHDOG_USEC=")
        assert run.end() == 3, run.said
        assert heard.index("STOPPING=1") < len(heard) - 1


def _drain(manager: socket.socket) -> None:
    manager.setblocking(False)
    while True:
        try:
            manager.recv(65_536)
        except BlockingIOError:
            return
