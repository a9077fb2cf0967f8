"""What the service manager is told: ready, alive, how far, stopping. Nothing, at no cost, where there is none.

The protocol is systemd's (sd_notify(3), sd_watchdog_enabled(3)): lines of ``NAME=value`` in one datagram to the socket
that ``NOTIFY_SOCKET`` names. It is fed from the supervisor's loop and from nowhere else, so that a loop that stands
still is noticed. Where the socket takes nothing at the moment, the next round tries again.
"""

import os
import socket
from collections.abc import Callable, MutableMapping

import msgspec

from supervisor.views.status import Snapshot
from supervisor.views.text import duration, number

_EXTENSION = 60.0
"""Seconds for which each sign of life during the end asks the service manager to be patient."""
_AGAIN = 0.1
"""Seconds before a sign that was not taken is given again."""
_NEVER = float("inf")


class Manager(msgspec.Struct, frozen=True):
    """Who wants to be told."""

    address: str
    """Of its socket: a path, or ``@name`` for an abstract one."""
    watchdog: float = 0.0
    """Seconds without a sign of life after which it kills us; 0 for never."""


def adopt(environ: MutableMapping[str, str]) -> Manager | None:
    """Take what the service manager left in the environment, so that no child inherits it; None without one."""
    address = environ.pop("NOTIFY_SOCKET", "")
    microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):
        return None
    # The parent is meant where it only started us, as `uv run` does.
    ours = pid in {"", str(os.getpid()), str(os.getppid())}
    return Manager(address, int(microseconds) / 1e6 if ours and microseconds.isdecimal() else 0.0)


class Service:
    """Belongs to the loop."""

    def __init__(self, manager: Manager | None, note: Callable[[str, str], None]) -> None:
        """`note` takes a sentence and its level, for the log."""
        self._manager = manager
        self._note = note
        self._socket: socket.socket | None = None
        self._told = ""
        self._ready = self._stopping = False
        self._alive_at = 0.0 if manager is not None and manager.watchdog else _NEVER
        if manager is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def next_due(self) -> float:
        """When a sign of life is due."""
        return self._alive_at

    def alive(self, now: float) -> None:
        """The loop turns."""
        if now < self._alive_at or self._manager is None:
            return
        # Three times as often as needed: a sign that comes late once is no death.
        pause = self._manager.watchdog / 3 if self._send("WATCHDOG=1") else _AGAIN
        if self._socket is not None:
            self._alive_at = now + pause

    def tell(self, seen: Snapshot) -> None:
        """Say how the run stands; to be called every second or so."""
        if self._socket is None:
            return
        lines, sentence = [], _sentence(seen)
        if not self._ready:
            lines.append("READY=1")
        if seen.run.state in {"draining", "finished"} and not self._stopping:
            lines.append("STOPPING=1")
            self._stopping = True
        if self._stopping:
            lines.append(_extend(_EXTENSION))
        if sentence != self._told:
            lines.append(f"STATUS={sentence}")
        if lines and self._send(*lines):
            self._ready, self._told = True, sentence

    def ending(self, seconds: float) -> None:
        """The loop is over; what comes after it takes so long at most, without a sign of life."""
        self._send("STOPPING=1", _extend(seconds), *([f"WATCHDOG_USEC={seconds * 1e6:.0f}"] if self._watched else []))

    def close(self) -> None:
        """Give the descriptor back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._alive_at = _NEVER

    @property
    def _watched(self) -> bool:
        return self._manager is not None and self._manager.watchdog > 0

    def _send(self, *lines: str) -> bool:
        """Say whether it was taken."""
        if self._socket is None or self._manager is None:
            return False
        address = self._manager.address
        try:
            self._socket.sendto("\n".join(lines).encode(), "\0" + address[1:] if address[0] == "@" else address)
        except BlockingIOError:
            return False  # it is busy
        except OSError as error:
            self._note(f"the service manager cannot be told anything: {error}", "WARNING")
            self.close()
            return False
        return True


def _extend(seconds: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}"


def _sentence(seen: Snapshot) -> str:
    totals, left = seen.totals, seen.metrics.eta_seconds
    words = [f"{seen.run.state}: {number(totals.finished)} of {number(totals.total)} finished"]
    if totals.failed:
        words.append(f"{number(totals.failed)} failed")
    if seen.run.reason:
        words.append(seen.run.reason.replace("\n", " ")[:200])
    elif left:
        words.append(f"about {duration(left)} left")
    return ", ".join(words)
