"""What a night may leave behind though none of its own processes is left, and how long its troubles lasted."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path


def holders(*folders: Path) -> list[str]:
    """Return which processes but our own work in these folders, or hold something in them open, whoever they are."""
    return [
        f"process {pid} has {name} at {target}"
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))  # noqa: PTH208 - names only
        if pid != os.getpid()
        for name, target in _links(pid)
        if _is_in(target, folders)
    ]


def _is_in(path: str, folders: tuple[Path, ...]) -> bool:
    return f"{path}/".startswith(tuple(f"{folder}/" for folder in folders))


def _links(pid: int) -> Iterator[tuple[str, str]]:
    names = ["cwd", "root", "exe"]
    with contextlib.suppress(OSError):  # it has ended, here and below
        names += [f"fd/{number}" for number in os.listdir(f"/proc/{pid}/fd")]  # noqa: PTH208 - as above
    for name in names:
        with contextlib.suppress(OSError):
            yield name, os.readlink(f"/proc/{pid}/{name}")  # noqa: PTH115 - as it is, not resolved


def sockets_in(*folders: Path) -> list[str]:
    """Return the sockets under these folders to which somebody still listens, proc_net_unix(5)."""
    paths = [line.split()[7:] for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [path[0] for path in paths if path and _is_in(path[0].lstrip("@"), folders)]


def clients(port: int) -> int:
    """Return how many sockets that some process holds are connected to a port of this machine, proc_net_tcp(5)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(words[2].rpartition(":")[2], 16) == port and words[9] != "0" for words in lines)


def durations(ledger: Path) -> list[tuple[str, int, float]]:
    """Return of every completed reference its attempts, and the seconds from when it was handed out first."""
    question = (
        "SELECT reference.ref, count(*), min(attempt.started_at), max(attempt.ended_at) FROM attempt JOIN reference"
        " ON reference.id = attempt.reference_id WHERE reference.state = 'completed' GROUP BY reference.id"
    )
    with contextlib.closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(question).fetchall()
    return [
        (ref, attempts, (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())
        for ref, attempts, first, last in rows
    ]
