"""The rehearsal: a night against the demo website while its processes are killed and frozen at random.

The supervisor runs as a process of its own. Every second something happens to a random member of its workers' trees,
and at intervals the supervisor itself is killed and started again, by the same command. What is left in the end is
compared with what the website knows to be true.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from supervisor import config, demo_site
from supervisor.errors import Exit
from supervisor.rehearsal_verdict import Chaos, Left, Sample, Verdict, judge
from supervisor.settings import Settings
from supervisor.shell import linux
from supervisor.shell.interrupts import ends_orderly
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.status import read_status
from supervisor.views.tracking import read_tracking

ROOT = Path(__file__).resolve().parents[1]
MARK = "REHEARSAL_MARK"
"""Variable in the environment of everything that a rehearsal starts; not one of the program's own settings."""

_BLOW_SECONDS = 1.0
_LIFE_SECONDS = 20.0
_VAIN_BLOWS = 15
"""See `Pace`."""
_GRACE_SECONDS = 45.0
"""For what a killed supervisor left: 5 s are promised, 40 s where a browser was frozen."""
_LONGEST_FREEZE = 8
"""Seconds after which what was frozen goes on, unless it was killed meanwhile."""
_SAFE = frozenset({Exit.STOPPED, Exit.MACHINE})
"""Exit codes after which the same command is given again: it stopped, resumable."""
_REFUSALS = 5
"""Ends in a row with such a code after which the rehearsal is given up."""


class Family:
    """Every process that descends from a command with a mark in its environment, orphans included.

    Chromium's helpers hide their environment, but they stay in the session of their browser, which shows it.
    """

    def __init__(self, value: str, name: str = MARK) -> None:
        self._name = name
        self._value = value
        self._sessions: set[int] = set()

    def members(self) -> list[linux.Stat]:
        """Return those that live now."""
        living = [process for process in linux.processes() if not process.dead and process.pid != os.getpid()]
        marked = {process.pid for process in living if linux.environment_has(process.pid, self._name, self._value)}
        own = os.getsid(0)
        self._sessions |= {process.session for process in living if process.pid in marked} - {own}
        return [process for process in living if process.pid in marked or process.session in self._sessions]

    def workers(self, supervisor: int) -> list[linux.Stat]:
        """Return the members of the workers' trees: neither the supervisor, a session's leader, nor what helps it."""
        members = [process for process in self.members() if process.session != supervisor]
        roles = [role(process) for process in members]
        # Before there is a child, a supervisor asks a browser for its version: that is no member of a worker's tree.
        if "child" not in roles:
            return []
        return [process for process, found in zip(members, roles, strict=True) if found != "other"]

    def kill(self) -> None:
        """Kill all that lives."""
        for process in self.members():
            linux.send_signal(process.pid, process.start_time, signal.SIGKILL)


def role(process: linux.Stat) -> str:
    """Say what a process is: ``child``, ``driver``, ``browser``, ``helper`` (of the browser), or ``other``."""
    words = linux.command_line(process.pid)
    if any("spawn_main" in word for word in words):
        return "child"
    if not words:
        return "other"
    program = Path(words[0].partition(" --")[0]).name
    if program.startswith("node"):
        return "driver"
    if "chrom" in program:
        # A helper of Chromium has written all its arguments over the first one.
        return "helper" if " --type=" in words[0] else "browser"
    return "other"


class Pace:
    """Says whether the next blow falls.

    Where none of so many let a reference come to its end, the machine is too slow for them, and what it would show is
    that attempts are bounded: it is spared until one does.
    """

    def __init__(self) -> None:
        self._ended = 0
        self._vain = 0

    def strikes(self, ended: int) -> bool:
        """`ended` is how many references are completed or failed now."""
        if ended != self._ended:
            self._ended, self._vain = ended, 0
        self._vain += 1
        return self._vain <= _VAIN_BLOWS


class Rehearsal:
    """One rehearsal in one run directory."""

    def __init__(
        self, run_dir: Path, settings: Settings, environ: Mapping[str, str], seed: int, say: Callable[[str], None]
    ) -> None:
        token = uuid.uuid4().hex
        self.family = Family(token)
        self._directory = RunDirectory(run_dir)
        self._command = [sys.executable, str(ROOT / "run.py"), "start", "demo", "--run-dir", str(run_dir)]
        self._command += ["--show", "quiet"]
        # So that whatever is left there, under whatever name, is known to be of this rehearsal.
        self._temporary = Path(tempfile.mkdtemp(prefix="nf-"))
        self._environ = {**variables(settings, environ), MARK: token, "TMPDIR": str(self._temporary)}
        self._workers = settings.num_workers.least
        self._dice = random.Random(seed)  # noqa: S311 - to be repeated from its seed, no secret
        self._say = say
        self._pace = Pace()
        self._blows: Counter[str] = Counter()
        self._frozen: dict[tuple[int, int], int] = {}
        self._supervisors = 0
        self._samples: list[Sample] = []

    def run(self, truth: demo_site.Truth, limit: float) -> Verdict:
        """Go on until the run is finished, `limit` seconds at most, and judge."""
        begun = time.monotonic()
        with ends_orderly():  # else nobody would end the supervisor
            try:
                ended = self._until_finished(begun + limit)
            except KeyboardInterrupt:
                self.family.kill()  # nobody will judge what would have become of it
                raise
            finally:
                processes = self._wait_for_the_end()
                self.family.kill()
                folders = self._remove_temporary()
        chaos = Chaos(self._supervisors, dict(self._blows), tuple(self._samples), time.monotonic() - begun, ended)
        return judge(self._directory, truth, chaos, Left(tuple(processes), tuple(folders)))

    def _until_finished(self, end: float) -> bool:
        refusals = 0
        while time.monotonic() < end:
            self._supervisors += 1
            with tempfile.TemporaryFile() as words:  # told only when the rehearsal is given up
                code = self._one_life(end, words)
                if code in {Exit.COMPLETED, Exit.SOME_FAILED}:
                    return True
                refusals = refusals + 1 if code in _SAFE else 0
                if code is not None and (code not in _SAFE or refusals >= _REFUSALS):
                    words.seek(0)
                    self._say(words.read().decode(errors="replace"))
                    self._say(f"supervisor {self._supervisors} ended with exit code {code}, the rehearsal is given up")
                    return False
            self._say(self._progress(code))
        return False

    def _progress(self, code: int | None) -> str:
        tracking = read_tracking(self._directory.tracking)
        fate = "killed" if code is None else f"ended with exit code {code}"
        done = "nothing is known of what it did"
        if tracking is not None:
            totals = tracking.totals
            done = f"{totals.completed} completed, {totals.failed} failed of {totals.total}"
        return f"supervisor {self._supervisors} {fate}: {done}; it is started again"

    def _one_life(self, end: float, words: IO[bytes]) -> int | None:
        """Run a supervisor until it ends or its life is over; return its exit code, None when it was killed.

        What it and its children say to standard error goes to `words`.
        """
        over = time.monotonic() + _LIFE_SECONDS
        with subprocess.Popen(self._command, env=self._environ, stderr=words, start_new_session=True) as process:
            try:
                while time.monotonic() < min(end, over):
                    with contextlib.suppress(subprocess.TimeoutExpired):  # it still runs: the next blow
                        return process.wait(_BLOW_SECONDS)
                    self._measure(process.pid)
                    self._thaw()
                    if self._pace.strikes(self._ended()):
                        self._blow(process.pid)
                    else:
                        self._blows["spared"] += 1
                        over += _BLOW_SECONDS
            finally:
                process.kill()
        self._blows["supervisor killed"] += 1
        return None

    def _ended(self) -> int:
        status = read_status(self._directory.status)
        return status.totals.completed + status.totals.failed if status is not None else 0

    def _thaw(self) -> None:
        self._frozen = {member: left - 1 for member, left in self._frozen.items()}
        for member in [member for member, left in self._frozen.items() if left <= 0]:
            self._resume(member)

    def _blow(self, supervisor: int) -> None:
        deed = self._dice.choice(("killed", "frozen", "resumed") if self._frozen else ("killed", "frozen"))
        if deed == "resumed":
            self._resume(self._dice.choice(list(self._frozen)))
            return
        targets = sorted(self.family.workers(supervisor))
        if not targets:
            return
        target = self._dice.choice(targets)
        member = (target.pid, target.start_time)
        what = f"{role(target)} {deed}"
        if deed == "killed":
            self._blows[what] += linux.send_signal(*member, signal.SIGKILL)
        elif linux.send_signal(*member, signal.SIGSTOP):
            self._frozen[member] = self._dice.randint(1, _LONGEST_FREEZE)
            self._blows[what] += 1

    def _resume(self, member: tuple[int, int]) -> None:
        del self._frozen[member]
        self._blows["resumed"] += linux.send_signal(*member, signal.SIGCONT)

    def _measure(self, pid: int) -> None:
        """Take a sample of a supervisor whose workers are there; while some are not, nothing can be compared."""
        found = linux.stat(pid)
        children = sum(role(member) == "child" for member in self.family.workers(pid))
        if found is None or found.dead or children < self._workers:
            return
        with contextlib.suppress(OSError):  # it has just ended
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names only, of a folder in motion
            temporary = _size(self._temporary) + _size(self._directory.staging_root)
            self._samples.append(Sample(self._supervisors, found.rss, descriptors, temporary))

    def _wait_for_the_end(self) -> list[str]:
        """Wait until nothing of the family lives, and return what does after all."""
        end = time.monotonic() + _GRACE_SECONDS
        while (left := self.family.members()) and time.monotonic() < end:
            time.sleep(0.2)  # nobody tells the end of orphans that are not ours
        return [f"{role(process)} {process.pid}" for process in left]

    def _remove_temporary(self) -> list[str]:
        """Remove the place for temporary files, and return what was in it."""
        left = [path.name for path in self._temporary.iterdir()]
        shutil.rmtree(self._temporary, ignore_errors=True)
        return left


def variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment by which another process gets these settings, whatever `environ` says of them.

    They are no options, because a webhook's address may hold a token, and `ps` shows options.
    """
    known = {setting.variable: setting for setting in config.CATALOGUE.values()}
    found = {name: value for name, value in environ.items() if name not in known}
    for name, setting in known.items():
        value = getattr(settings, setting.name)
        if value != setting.default:
            found[name] = value if isinstance(value, str) else config.shown(value)
    return found


def _size(folder: Path) -> int:
    """Return the bytes of all files in a folder in which others write and delete."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it is gone already
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - thousands of times a second
    return total
