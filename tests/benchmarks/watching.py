"""What it costs a run to be looked at: the same demo unseen, and with live view, metrics file and an open status page.

``uv run --group test python -m tests.benchmarks.watching [ROUNDS]``
"""

import contextlib
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import psutil

from supervisor.views.status import Snapshot, read_status
from tests.views.terminal import Terminal

_VEHICLES = 60
_ROUNDS = 3
_LONGEST = 300.0
"""Seconds that one run may take."""
_SETTLED = 30.0
"""Seconds after which everything has been loaded, the plots' library too."""
_COMMAND = 2
"""Place of the command in a command line: python run.py COMMAND."""
_DEMO = ("run.py", "demo", "--vehicles", str(_VEHICLES), "--workers", "2", "--worker-delay", "2", "--run-dir")


class _Cost(msgspec.Struct, frozen=True):
    """Of one run."""

    seconds: float
    """From the first reference to the end."""
    supervisor: float
    """Processor time of the supervisor, in seconds."""
    beside: dict[str, float]
    """What share of a core the processes beside it use, ``_clerk`` and ``_page``, once they have started."""


def main() -> int:
    """Run the demo in turn unseen and watched; print the medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    unseen: list[_Cost] = []
    watched: list[_Cost] = []
    with tempfile.TemporaryDirectory(prefix="nightfleet-watching-") as folder:
        for turn in range(rounds):
            unseen.append(_run(Path(folder) / f"unseen-{turn}", "--show", "quiet"))
            place = Path(folder) / f"watched-{turn}"
            watched.append(_run(place, "--show", "live", "--serve", "--metrics-file", f"{folder}/{turn}.prom"))
    for name, costs in ("unseen", unseen), ("watched", watched):
        seconds = sorted(cost.seconds for cost in costs)[rounds // 2]
        supervisor = sorted(cost.supervisor for cost in costs)[rounds // 2]
        each = supervisor / _VEHICLES * 1000
        print(f"{name}: {_VEHICLES / seconds * 60:.0f} references a minute, supervisor {each:.1f} ms a reference")
        for word in sorted(costs[0].beside):
            share = sorted(cost.beside.get(word, 0.0) for cost in costs)[rounds // 2]
            print(f"    {word}: {share:.1%} of a core")
    return 0


def _run(place: Path, *options: str) -> _Cost:
    over = threading.Event()
    with Terminal() as terminal:
        process = terminal.run(*_DEMO, str(place), *options)
        beside: dict[str, list[tuple[float, float]]] = {}
        viewer = threading.Thread(target=_look, args=(place, process.pid, beside, over))
        viewer.start()
        try:
            code = terminal.wait(_LONGEST)
        finally:
            over.set()
            viewer.join()
    shares = {word: _share([one for one in seen if one[0] > _SETTLED]) for word, seen in beside.items()}
    found = read_status(place / "status.json")
    if code != 0 or found is None or found.metrics.per_minute_overall is None:
        raise RuntimeError(f"the run ended with {code}")
    return _Cost(_VEHICLES / found.metrics.per_minute_overall * 60, found.run.cpu_seconds, shares)


def _share(seen: list[tuple[float, float]]) -> float:
    """Return processor time for each second, of what was seen at several times."""
    (begin, before), (end, after) = seen[0], seen[-1]
    return (after - before) / (end - begin)


def _look(place: Path, supervisor: int, beside: dict[str, list[tuple[float, float]]], over: threading.Event) -> None:
    """Load the page every second and the timeline now and then, as a browser does; see what the processes use."""
    begun = time.monotonic()
    while not over.wait(1.0):
        with contextlib.suppress(psutil.NoSuchProcess):  # it is just ending
            for child in psutil.Process(supervisor).children():
                words = child.cmdline()
                if len(words) > _COMMAND and words[_COMMAND] in {"_clerk", "_page"}:
                    used = child.cpu_times()
                    seen = (time.monotonic() - begun, used.user + used.system)
                    beside.setdefault(words[_COMMAND], []).append(seen)
        snapshot: Snapshot | None = read_status(place / "status.json")
        if snapshot is None or not snapshot.run.page:
            continue
        with contextlib.suppress(urllib.error.URLError, ConnectionError):  # the run is just ending
            path = "timeline" if int(time.monotonic() - begun) % 20 == 0 else ""
            with urllib.request.urlopen(snapshot.run.page + path, timeout=30) as answer:  # noqa: S310 - our own page
                answer.read()


if __name__ == "__main__":
    sys.exit(main())
