"""A night under test: the demo website, a supervisor as a process of its own, and what is in the run directory."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from supervisor import demo_site
from supervisor.rehearsal import Family, role
from supervisor.shell import linux
from supervisor.views.status import Snapshot, read_status
from supervisor.views.tracking import TrackedReference, Tracking, read_tracking
from tests.end_to_end import accounts, remains

ROOT = Path(__file__).resolve().parents[2]
MARK = "END_TO_END_MARK"
QUICK = {
    "workers": "2",
    "task-timeout": "10",
    "stuck-threshold": "20",
    "worker-delay": "0",
    "retry-delay": "0.2",
    "heartbeat-timeout": "6",
    "breaker-pause": "1",
    "restart-delay-limit": "1",
    "disk-reserve": "0",
}
"""Options with which a night takes seconds."""
LONGEST = 120.0
"""Seconds that a test waits for anything: so much that only a mistake takes longer, on a busy machine too."""
ORPHANS = 45.0
"""Seconds in which all that a killed supervisor left is gone; 40 are promised where a browser was frozen."""
SOON = 25.0
"""The same where none was: 5 are promised, of a machine that has nothing else to do."""
_BUSY = 60.0
"""Seconds that a machine with other work may add to the recovery of a reference."""

T = TypeVar("T")


def until(question: Callable[[], T], what: str, limit: float = LONGEST) -> T:
    """Ask again and again until the answer is not false, and return it."""
    end = time.monotonic() + limit
    while not (answer := question()):
        assert time.monotonic() < end, f"after {limit:.0f} s still waiting until {what}"
        time.sleep(0.03)  # the writers are other processes, which notify nobody
    return answer


class Site:
    """The demo website with its control endpoints, as a process of its own."""

    def __init__(self, vehicles: int, faults: str = "none") -> None:
        self._command = [sys.executable, "-m", "worker.sites.demo", "--control", "--until-stdin-closes"]
        self._command += ["--vehicles", str(vehicles), "--faults", faults]
        self._process = self._start(0)
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["url"]
        self.truth = demo_site.Website(self.url, demo_site.Wishes(), {}, self._process.pid).truth()

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*self._command, "--port", str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], LONGEST)[0], "the website does not start"
        return process

    def crash(self) -> None:
        """Kill the website: nobody listens any more, and every session is forgotten."""
        self._process.kill()
        self._process.wait()

    def start_again(self) -> None:
        """Start a website that crashed, where it was."""
        self._process = self._start(urlsplit(self.url).port or 0)

    def order(self, order: str) -> None:
        """Order a trouble, or the end of it."""
        request = urllib.request.Request(f"{self.url}/control/{order}", method="POST")  # noqa: S310 - our own loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            assert answer.status == 200

    def hold(self, after: int) -> None:
        """Have so many more vehicles' pages answered and the others kept back, however fast the workers are.

        What is kept back gets the trouble that is ordered before `release`.
        """
        self.order(f"hold?after={after}")

    def wait_until_held(self, workers: int) -> None:
        """Wait until so many workers wait for a vehicle's page, which is kept back until `release` is ordered."""
        until(lambda: self.log()["held"] == workers, f"{workers} workers wait for a page")

    def log(self) -> dict[str, Any]:
        """Return what the website has seen."""
        with urllib.request.urlopen(f"{self.url}/log.json", timeout=30) as answer:  # noqa: S310 - as above
            found: dict[str, Any] = json.load(answer)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


class Night:
    """A run directory, and the command that works in it."""

    def __init__(self, folder: Path, url: str, site: str = "demo", **options: str | float) -> None:
        self.folder = folder
        self.site = site
        chosen = QUICK | {name.replace("_", "-"): str(value) for name, value in options.items()}
        self._options = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        self._token = uuid.uuid4().hex
        self.family = Family(self._token, MARK)
        self.temporary = Path(tempfile.gettempdir()) / f"nf-{self._token[:12]}"  # short: Chromium puts sockets there
        """Where everything that this night starts puts its temporary files; there while one of them is."""
        self.environ = {**os.environ, demo_site.URL_VARIABLE: url, MARK: self._token, "TMPDIR": str(self.temporary)}
        self._settings = chosen
        self._port = urlsplit(url).port
        self.said = ""
        self._killed = False
        self.wrapper: list[str] = []
        """The command that gives the supervisor, and all it starts, the surroundings that a test is about."""
        self.process: subprocess.Popen[str] | None = None

    def start(self, *more: str) -> None:
        """Start the supervisor, or start it again."""
        self.family.members()
        Path(self.environ["TMPDIR"]).mkdir(exist_ok=True)
        command = [*self.wrapper, sys.executable, str(ROOT / "run.py"), "start", self.site]
        command += ["--run-dir", str(self.folder)]
        with self.folder.with_name(f"{self.folder.name}.out").open("a") as out:
            self.process = subprocess.Popen(
                [*command, "--show", "quiet", *self._options, *more],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )

    def end(self, limit: float = LONGEST) -> int:
        """Wait for the supervisor's end; return its exit code."""
        assert self.process is not None
        try:
            code = self.process.wait(limit)
        finally:
            self.said = self.folder.with_name(f"{self.folder.name}.out").read_text()
        self._killed |= code < 0  # what it leaves behind may complain until it is gone
        assert self._killed or "Traceback" not in self.said, self.said
        return code

    def run(self, *more: str) -> int:
        """Start the supervisor, wait for its end, return its exit code."""
        self.start(*more)
        return self.end()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def status(self) -> Snapshot | None:
        """What status.json of the present supervisor says; None before it wrote one."""
        found = read_status(self.folder / "status.json")
        return found if found and self.process and found.run.pid == self.process.pid else None

    @property
    def most_memory(self) -> int:
        """The bytes that the supervisor, which still runs, has held at most, proc_pid_status(5)."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def wait_for_completed(self, least: int = 1) -> None:
        """Wait until so many references are completed."""
        until(lambda: self.status and self.status.totals.completed >= least, f"{least} are completed")

    def wait_for_log(self, text: str, times: int = 1) -> None:
        """Wait until the supervisor's log says something so many times."""
        until(lambda: self.log.count(text) >= times, f"the log says {text!r} {times} times")

    @property
    def log(self) -> str:
        """The supervisor's log so far."""
        path = self.folder / "logs" / "supervisor.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def tracking(self) -> Tracking:
        """tracking.json, which has been written."""
        tracking = read_tracking(self.folder / "tracking.json")
        assert tracking is not None, self.log
        return tracking

    def find(self, what: str) -> list[linux.Stat]:
        """Return the processes of one role: ``child``, ``driver``, ``browser``, ``renderer``, ``network``."""
        if what in {"renderer", "network"}:
            word = "--type=renderer" if what == "renderer" else "network.mojom.NetworkService"
            return [p for p in self.family.members() if any(word in arg for arg in linux.command_line(p.pid))]
        return [process for process in self.family.members() if role(process) == what]

    def tree(self, slot: int) -> set[int]:
        """Return the pids of all that descends from a slot's worker."""
        assert self.status is not None
        tree = {worker.pid for worker in self.status.workers if worker.slot == slot}
        members, known = self.family.members(), 0
        while known != len(tree):
            known = len(tree)
            tree |= {member.pid for member in members if member.parent in tree}
        return tree

    def strike(self, what: str, number: signal.Signals, slot: int = 1) -> list[linux.Stat]:
        """Send a signal to what has this role in a slot's worker, as soon as there is such a process; return it."""

        def victims() -> list[linux.Stat]:
            tree = self.tree(slot)
            return [process for process in self.find(what) if process.pid in tree]

        found = until(victims, f"there is a {what}")
        for victim in found:
            linux.send_signal(victim.pid, victim.start_time, number)  # one of several may have ended by itself
        return found

    @property
    def causes(self) -> Counter[str]:
        """How often which kind of failure was charged to a reference, by tracking.json."""
        return Counter(one.kind for entry in self.tracking.references for one in entry.failures if one.counted)

    @property
    def excused(self) -> Counter[str]:
        """How often which kind of failure was charged to nobody, by tracking.json."""
        return Counter(one.kind for entry in self.tracking.references for one in entry.failures if not one.counted)

    def check(
        self, truth: demo_site.Truth, failed: dict[str, str] | None = None, recovered: float | None = None
    ) -> dict[str, TrackedReference]:
        """Assert that the run directory is what it must be after a finished run; return tracking.json by reference.

        Args:
            truth: the website's.
            failed: references that have failed for good, with the kind of their last failure.
            recovered: seconds within which every completed reference was so after it was handed out first; None for
                what the settings allow for its number of attempts.
        """
        failed = failed or {}
        tracking = self.tracking
        assert Counter(entry.ref for entry in tracking.references) == Counter(dict.fromkeys(truth.references, 1))
        states = Counter(entry.state for entry in tracking.references)
        assert states == Counter(completed=len(truth.references) - len(failed), failed=len(failed)), self.log
        totals = msgspec.structs.asdict(tracking.totals)
        assert totals.pop("total") == sum(totals.values()) == len(truth.references)
        for entry in tracking.references:
            if entry.ref in failed:
                assert entry.error is not None
                assert (entry.ref, entry.error.kind) == (entry.ref, failed[entry.ref])
                continue
            expected = {document.name: document.sha256 for document in truth.references[entry.ref].documents}
            assert demo_site.hashes(self.folder / "documents" / entry.folder) == expected
            assert {document.name: document.sha256 for document in entry.documents} == expected
        assert accounts.disagreements(self.folder, tracking, truth) == [], self.log
        self.check_nothing_left()
        durations = remains.durations(self.folder / "ledger.db")
        longest = max((seconds for _, _, seconds in durations), default=0.0)
        print(f"recovery: no reference took longer than {longest:.1f} s from its first attempt on")  # noqa: T201 - a figure
        for ref, attempts, seconds in durations:
            allowed = self._patience(attempts) if recovered is None else recovered
            assert seconds < allowed, f"{ref} came in its attempt {attempts}, {seconds:.1f} s after it was begun"
        return {entry.ref: entry for entry in tracking.references}

    def _patience(self, attempts: int) -> float:
        """Return the seconds in which a reference is there by its so-manyth attempt, on a busy machine.

        Each that comes to nothing ends at the stuck threshold at the latest; what follows is bounded by the settings.
        """
        keys = ("stuck-threshold", "heartbeat-timeout", "restart-delay-limit", "breaker-pause")
        lost = sum(float(self._settings[key]) for key in keys)
        return min((attempts - 1) * lost + float(self._settings["task-timeout"]) + _BUSY, LONGEST)

    def check_orphans(self, limit: float = SOON) -> None:
        """Assert that what a killed supervisor left, processes and temporary files, is gone so many seconds later."""
        self.check_no_process(limit)
        assert self.litter() == [], "temporary files outlived the supervisor"

    def litter(self) -> list[str]:
        """Return what there is in the place for temporary files, whoever put it there and whatever its name."""
        return sorted(path.name for path in self.temporary.iterdir()) if self.temporary.exists() else []

    def check_no_process(self, limit: float) -> None:
        """Assert that no process of the run lives after so many seconds."""
        until(lambda: not self.family.members(), "no process of the run is left", limit)

    def check_nothing_left(self, limit: float = 10.0) -> None:
        """Assert that no process, temporary folder, staged file, descriptor or port of the run is left after a while.

        Whoever it is that holds something: processes that do not seem to be the run's are looked at as well.
        """
        self.check_no_process(limit)
        assert self.litter() == []
        assert [path.name for path in (self.folder / ".nightfleet" / "staging").iterdir()] == []
        assert remains.holders(self.folder, self.temporary) == []
        assert remains.sockets_in(self.folder, self.temporary) == []
        if self._port is not None:
            assert remains.clients(self._port) == 0, "somebody is still connected to the website"

    def leave(self) -> None:
        """Assert at the end of a test that a supervisor that has ended left nothing, whatever the test looked at."""
        if self.process is None or (code := self.process.poll()) is None:
            return  # it goes on: `close` ends it
        if code < 0:
            self.check_orphans(ORPHANS)
        elif (self.folder / "tracking.json").exists():
            self.check_nothing_left()
        else:
            self.check_orphans(10.0)

    def close(self) -> None:
        """End everything, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.family.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)


@contextlib.contextmanager
def website(vehicles: int, faults: str = "none") -> Iterator[Site]:
    """Run the demo website until the block ends."""
    site = Site(vehicles, faults)
    try:
        yield site
    finally:
        site.close()


@contextlib.contextmanager
def night(folder: Path, url: str, site: str = "demo", **options: str | float) -> Iterator[Night]:
    """Make a night that is over, with all its processes, when the block ends, and left nothing unless that failed."""
    one = Night(folder, url, site, **options)
    try:
        yield one
        one.leave()
    finally:
        one.close()
