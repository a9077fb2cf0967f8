"""One run of one contestant: its website, its processes, its deadline, and the comparison with the truth."""

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import msgspec
import psutil

from supervisor import demo_site
from supervisor.demo_site import Truth, Website, Wishes
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import LedgerError
from supervisor.shell.run_directory import RunDirectory
from tests.benchmarks.sidebyside.family import Family
from tests.benchmarks.sidebyside.job import Job, Report, place, read_reports
from tests.worker.demo_process import Client
from worker.sites.demo.recipe import DEFAULTS

ROOT = Path(__file__).resolve().parents[3]
OURS = {
    "nightfleet": "demo",
    "nightfleet, with images": f"{Path(__file__).with_name('recipe.py')}:WithImages",
}
"""This program, by name: the recipe. The others load images, so the second one does, too."""
CONTESTANTS = {
    **dict.fromkeys(OURS, ""),
    "bare processes": "with_bare",
    "asyncio pages": "with_pages",
    "crawlee": "with_crawlee",
    "scrapy-playwright": "with_scrapy",
}
"""By name, the module that is run; none for this program."""
_EDGE = 0.1
"""Share of the completed references at each end that a steady rate leaves out."""
_FEWEST = 20
"""Completed references below which there is no steady rate."""


class Scenario(msgspec.Struct, frozen=True):
    """What all contestants meet. Times in seconds."""

    name: str
    faults: str = ""
    latency: float = 0.0
    kill_every: float | None = None
    limit: float = 60.0
    """After which a contestant is ended, whatever it has done."""


class Size(msgspec.Struct, frozen=True):
    """How large a run is."""

    vehicles: int
    workers: int
    task_timeout: float
    tries: int
    browser: str


class Result(msgspec.Struct, frozen=True):
    """What one run of one contestant came to."""

    contestant: str
    scenario: str
    vehicles: int
    steady: float | None
    """Vehicles a second between the first and the last tenth of the completed; None when there were too few."""
    whole: float
    """Completed vehicles for each second from the start of the command to its end."""
    cpu_ms: float
    """Processor time for each completed vehicle, all processes, the website not included."""
    memory_mb: float
    """The most that was measured for a worker: proportional set size of all processes, divided by the workers."""
    right: int
    wrong: int
    """Told to be completed, but a document is missing or has other bytes than the website's."""
    failed: int
    """Told to have failed, although every document could be had."""
    lost: int
    """Nothing was told of them before the limit."""
    seconds: float
    ended: bool
    """It ended by itself, before the limit."""
    kills: int
    site_share: float
    """Of a core, used by the website."""


def run(name: str, scenario: Scenario, size: Size, folder: Path) -> Result:
    """Let one contestant do the whole job once."""
    wishes = Wishes(vehicles=size.vehicles, faults=scenario.faults, latency=scenario.latency, uniform=True)
    folder.mkdir(parents=True)
    with demo_site.started(wishes, os.environ) as website:
        truth = website.truth()  # also has the website make its forms before anybody waits for them
        site = psutil.Process(website.pid)
        busy, begun, wall = _cpu(site), time.monotonic(), time.time()
        with (folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                _command(name, website, size, folder, truth),
                cwd=ROOT,
                env={**os.environ, **website.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        family = Family(process.pid, scenario.kill_every)
        ended = True
        try:
            process.wait(scenario.limit)
        except subprocess.TimeoutExpired:
            ended = False
        seconds, share = time.monotonic() - begun, _cpu(site) - busy
        family.end()
        process.wait()
    told = told_by_night(folder / "run") if name in OURS else told_by_reports(folder)
    completed = [report for report, _ in told.values() if report.completed]
    right = right_ones(told, truth)
    last = max((report.at for report in completed), default=wall) - wall
    return Result(
        contestant=name,
        scenario=scenario.name,
        vehicles=size.vehicles,
        steady=_steady(sorted(report.at for report in right)),
        whole=len(right) / (seconds if ended else max(last, scenario.limit)),
        cpu_ms=family.cpu / max(1, len(right)) * 1000,
        memory_mb=max(family.weights, default=0) / size.workers / 1e6,
        right=len(right),
        wrong=len(completed) - len(right),
        failed=len(told) - len(completed),
        lost=size.vehicles - len(told),
        seconds=seconds,
        ended=ended,
        kills=family.kills,
        site_share=share / seconds,
    )


def _command(name: str, website: Website, size: Size, folder: Path, truth: Truth) -> list[str]:
    if name in OURS:
        options = {
            "workers": size.workers,
            "worker-delay": 0,
            "task-timeout": size.task_timeout,
            "stuck-threshold": size.task_timeout * 2,
            "max-retries": size.tries - 1,
            "browser": size.browser,
            "retry-delay": 1,
            "show": "quiet",
        }
        command = [sys.executable, str(ROOT / "run.py"), "start", OURS[name], "--run-dir", str(folder / "run")]
        return command + [part for key, value in options.items() for part in (f"--{key}", str(value))]
    visitor = Client(website.url)
    visitor.log_in(DEFAULTS["NIGHTFLEET_DEMO_PASSWORD"], user=DEFAULTS["NIGHTFLEET_DEMO_USER"])
    session, _, value = visitor.cookie.partition("=")
    job = Job(
        url=website.url,
        cookie=(session, value),
        references=tuple(truth.references),
        folder=str(folder),
        workers=size.workers,
        timeout=size.task_timeout,
        tries=size.tries,
        browser=size.browser,
    )
    file = folder / "job.json"
    file.write_bytes(msgspec.json.encode(job))
    return [sys.executable, "-m", f"tests.benchmarks.sidebyside.{CONTESTANTS[name]}", str(file)]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _steady(times: list[float]) -> float | None:
    if len(times) < _FEWEST:
        return None
    first, last = int(len(times) * _EDGE), int(len(times) * (1 - _EDGE))
    return (last - first) / (times[last] - times[first])


Told = dict[str, tuple[Report, Path]]
"""By reference, the last that a contestant reported of it, and where its documents are."""


def told_by_reports(folder: Path) -> Told:
    """Return what a contestant other than this program told."""
    return {report.ref: (report, place(folder, report.ref)) for report in read_reports(folder)}


def told_by_night(run_dir: Path) -> Told:
    """Return what the ledger of a run tells."""
    directory = RunDirectory(run_dir)
    try:
        with LedgerReader(directory.ledger) as ledger:
            return {
                row.ref: (
                    Report(row.ref, row.state == "completed", datetime.fromisoformat(row.finished_at).timestamp()),
                    directory.documents / row.folder,
                )
                for row in ledger.references()
                if row.finished_at is not None and row.state in {"completed", "failed"}
            }
    except LedgerError:  # it never got so far
        return {}


def right_ones(told: Told, truth: Truth) -> list[Report]:
    """Return the reports of what was called completed and has every document of the website's, byte for byte."""
    return [report for report, folder in told.values() if report.completed and _is_right(folder, report.ref, truth)]


def _is_right(folder: Path, reference: str, truth: Truth) -> bool:
    wanted = {document.name: document.sha256 for document in truth.references[reference].documents}
    return demo_site.hashes(folder) == wanted
