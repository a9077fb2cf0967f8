"""What may end or hinder a run of many hours on this machine: sleep, reboots, limits, a lost connection, a full disk.

Looks at files alone, below a root that tests can choose; asks nobody and changes nothing.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from supervisor.check_result import Check
from supervisor.errors import UserError
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.text import number, size

_SLEEPS = ("sleep.target", "suspend.target", "hibernate.target", "hybrid-sleep.target")
_TASKS = 250
"""Processes and threads of a worker with its driver and browser."""
_OWN_TASKS = 100


def examine(root: Path, environ: Mapping[str, str], workers: int) -> Iterator[Check]:
    """Yield what can be said of the machine whose file system is at `root`."""
    yield _sleep(root)
    yield from _power(root)
    yield from _reboots(root)
    yield from _tasks(root, workers)
    yield from _connection(root, environ)


def expected(run_dir: Path, reserve: int) -> Iterator[Check]:
    """Yield whether the disk holds what is still to come, by what the run has brought so far."""
    directory = RunDirectory(run_dir)
    if not directory.ledger.exists():
        return
    try:
        with LedgerReader(directory.ledger) as reader:
            totals, done = reader.totals(), reader.figures()
    except UserError as error:
        yield Check("ledger", "failed", str(error))
        return
    left = totals.total - totals.finished
    if not totals.completed or not left:
        return
    coming, free = done.bytes * left // totals.completed, directory.free_bytes()
    found = f"{size(free)} free, about {size(coming)} are still to come"
    if coming + reserve > free:
        yield Check("documents", "warning", found, "make room, or the run pauses when the disk is full")
    else:
        yield Check("documents", "ok", found)


def _sleep(root: Path) -> Check:
    states = _words(root / "sys/power/state")
    if not states:
        return Check("sleep", "ok", "this machine cannot sleep")
    awake = [name for name in _SLEEPS if not _is_masked(root, name)]
    if not awake:
        return Check("sleep", "ok", "masked")
    if not (root / "run/systemd/system").is_dir():
        return Check("sleep", "warning", "this machine can sleep", "see that nothing sends it to sleep")
    return Check("sleep", "warning", "this machine may go to sleep", f"systemctl mask {' '.join(awake)}")


def _is_masked(root: Path, unit: str) -> bool:
    for folder in ("etc/systemd/system", "run/systemd/system"):
        link = root / folder / unit
        if link.is_symlink() and str(link.readlink()) == "/dev/null":
            return True
    return False


def _power(root: Path) -> Iterator[Check]:
    supplies = root / "sys/class/power_supply"
    mains = [_text(supply / "online") for supply in _entries(supplies) if _text(supply / "type") == "Mains"]
    if mains and "1" not in mains:
        yield Check("power", "warning", "this machine runs on its battery", "plug it in")


def _reboots(root: Path) -> Iterator[Check]:
    settings = _apt_settings(root)
    upgrades = settings.get("apt::periodic::unattended-upgrade", "0") not in {"0", "false"}
    if upgrades and settings.get("unattended-upgrade::automatic-reboot", "false").lower() in {"1", "true", "yes", "on"}:
        at = settings.get("unattended-upgrade::automatic-reboot-time", "now")
        found = f"unattended-upgrades reboots this machine by itself (time: {at})"
        yield Check(
            "reboots", "warning", found, 'set Unattended-Upgrade::Automatic-Reboot "false", or run as a service'
        )
    elif upgrades:
        yield Check("reboots", "ok", "upgrades go on by themselves, reboots do not")
    dnf = re.search(r"(?m)^\s*reboot\s*=\s*(\S+)", _text(root / "etc/dnf/automatic.conf"))
    if dnf and dnf[1] != "never":
        yield Check("reboots", "warning", f"dnf-automatic reboots this machine ({dnf[1]})", "set reboot = never")


def _apt_settings(root: Path) -> dict[str, str]:
    """Return the settings of apt.conf.d by their names in small letters; the last file wins, as for apt."""
    settings = {}
    for file in sorted(_entries(root / "etc/apt/apt.conf.d"), key=lambda path: path.name):
        for line in _text(file).splitlines():
            match = re.match(r'\s*([A-Za-z][\w:-]*)\s+"([^"]*)"\s*;', line)
            if match:
                settings[match[1].lower()] = match[2]
    return settings


def _tasks(root: Path, workers: int) -> Iterator[Check]:
    needed = workers * _TASKS + _OWN_TASKS
    limits = [limit for limit in (_cgroup_limit(root), _user_limit(root)) if limit is not None]
    if not limits:
        return
    found = f"{number(min(limits))} processes and threads are allowed, {workers} workers take about {number(needed)}"
    if min(limits) < needed:
        yield Check(
            "processes", "warning", found, "raise TasksMax= of the service, the container's pids limit, ulimit -u"
        )
    else:
        yield Check("processes", "ok", found)


def _cgroup_limit(root: Path) -> int | None:
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in {"", "pids"}:
            folder = "sys/fs/cgroup" if not controllers else "sys/fs/cgroup/pids"
            # Within a container the path is the host's, and the folder itself is ours.
            for place in (root / folder / path.lstrip("/"), root / folder):
                limit = _text(place / "pids.max")
                if limit.isdecimal():
                    return int(limit)
    return None


def _user_limit(root: Path) -> int | None:
    match = re.search(r"(?m)^Max processes\s+(\d+)", _text(root / "proc/self/limits"))
    return int(match[1]) if match else None


def _connection(root: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    if not environ.get("SSH_CONNECTION") or environ.get("TMUX") or environ.get("STY"):
        return
    kills = re.search(r"(?mi)^\s*KillUserProcesses\s*=\s*(yes|true|1|on)\b", _logind(root))
    found = "this is an ssh session" + (", and logind kills what it leaves behind" if kills else "")
    advice = "a lost connection stops a run (resumable): make it a service with run.py unit"
    yield Check("connection", "warning", found, advice if kills else f"{advice}, or start it in tmux, or with nohup")


def _logind(root: Path) -> str:
    folder = root / "etc/systemd"
    files = [folder / "logind.conf", *sorted(_entries(folder / "logind.conf.d"))]
    return "\n".join(map(_text, files))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # there is no such thing on this machine


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""  # as in `_entries`


def _words(path: Path) -> list[str]:
    return _text(path).split()
