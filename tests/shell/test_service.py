"""What a service manager hears: a real datagram socket in its place, at a path and with an abstract name."""

import contextlib
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.shell.service import Manager, Service, adopt
from tests.views.snapshots import busy, run_view


class Listener:
    """Stands for systemd: one socket, and what came over it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def fill(self) -> None:
        """Send until nothing more is taken."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as flood:
            flood.connect(self.socket.getsockname())
            with contextlib.suppress(BlockingIOError):
                while True:
                    flood.send(b"x")

    def heard(self) -> list[str]:
        lines = []
        while True:
            try:
                lines += self.socket.recv(65_536).decode().splitlines()
            except BlockingIOError:
                return lines


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    """A service manager of either kind."""
    one = Listener(str(tmp_path / "notify") if request.param == "path" else f"@nightfleet-{uuid.uuid4().hex}")
    yield one
    one.socket.close()


def silent(sentence: str, level: str) -> None:
    raise AssertionError(f"nothing should be complained about: {level} {sentence}")


def test_a_run_says_that_it_is_ready_how_it_stands_and_that_it_stops(listener: Listener) -> None:
    """Ready and stopping once each, the state whenever it changes, and patience is asked for until the end."""
    service = Service(Manager(listener.address), silent)
    service.tell(busy())
    assert listener.heard() == ["READY=1", "STATUS=running: 1,240 of 2,000 finished, 10 failed, about 19 min left"]
    service.tell(busy())
    service.alive(1e9)
    assert listener.heard() == []
    service.tell(busy(run=run_view(state="draining", reason="stopped by\nthe operator")))
    heard = listener.heard()
    assert heard[:2] == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=60000000"]
    assert heard[2].endswith("stopped by the operator")
    service.tell(busy())  # references were reopened at the last moment: who was told of the end stays patient
    assert "EXTEND_TIMEOUT_USEC=60000000" in listener.heard()
    service.ending(180.0)
    assert listener.heard() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=180000000"]
    service.close()
    service.tell(busy())


def test_the_watchdog_is_fed_in_time_and_told_of_the_end(listener: Listener) -> None:
    """Three signs of life in each period, none in between, and the last period is as long as the end takes."""
    service = Service(Manager(listener.address, watchdog=3.0), silent)
    assert service.next_due() == 0.0
    for now in (100.0, 100.5, 100.9, 101.0, 101.5, 102.1):
        service.alive(now)
    assert listener.heard() == ["WATCHDOG=1"] * 3
    assert service.next_due() == pytest.approx(103.1)
    service.ending(180.0)
    assert listener.heard()[-1] == "WATCHDOG_USEC=180000000"
    service.close()
    assert service.next_due() == float("inf")


def test_a_manager_that_is_busy_is_told_later(listener: Listener) -> None:
    """A full socket never blocks the loop, and nothing that matters is lost by it."""
    service = Service(Manager(listener.address, watchdog=3.0), silent)
    listener.fill()
    service.alive(100.0)
    service.tell(busy())
    assert set(listener.heard()) == {"x"}
    assert service.next_due() == pytest.approx(100.1), "soon, but the loop does not spin meanwhile"
    service.alive(100.2)
    service.tell(busy())
    assert listener.heard()[:2] == ["WATCHDOG=1", "READY=1"]
    service.close()


def test_a_manager_that_is_gone_is_complained_about_once(listener: Listener) -> None:
    """The run goes on without it."""
    said: list[str] = []
    service = Service(
        Manager(listener.address, watchdog=3.0), lambda sentence, level: said.append(f"{level} {sentence}")
    )
    listener.socket.close()
    for now in range(5):
        service.alive(float(now))
        service.tell(busy())
    assert len(said) == 1
    assert service.next_due() == float("inf")
    assert said[0].startswith("WARNING the service manager cannot be told anything")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"NOTIFY_SOCKET": "/run/n"}, Manager("/run/n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000"}, Manager("@n", 30.0)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, Manager("@n", 30.0)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())}, Manager("@n", 30.0)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1234567"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "soon"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "30000000"}, None),
        ({"WATCHDOG_USEC": "30000000"}, None),
        ({}, None),
    ],
)
def test_what_the_manager_left_in_the_environment_is_taken_out_of_it(
    environ: dict[str, str], expected: Manager | None
) -> None:
    """No child inherits it; what is meant for another process, or is nonsense, is not believed."""
    environ |= {"HOME": "/root"}
    assert adopt(environ) == expected
    assert environ == {"HOME": "/root"}
    Service(None, silent).tell(busy())
