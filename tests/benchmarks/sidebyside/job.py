"""What a contestant is told, as JSON in a file, and how it reports: one line of JSON for each reference."""

import json
import sys
import time
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import msgspec


class Job(msgspec.Struct, frozen=True):
    """One run of one contestant. Times in seconds."""

    url: str
    cookie: tuple[str, str]
    """Name and value of the session: nobody but nightfleet has to log in."""
    references: tuple[str, ...]
    folder: str
    """Documents and reports go here."""
    workers: int
    timeout: float
    """What one attempt may take."""
    tries: int
    browser: str

    @property
    def storage_state(self) -> dict[str, object]:
        """The session as Playwright takes it for a new context."""
        return {"cookies": [self.web_cookie], "origins": []}

    @property
    def web_cookie(self) -> dict[str, object]:
        """The session's cookie as Playwright takes it."""
        name, value = self.cookie
        return {"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}

    def page(self, reference: str) -> str:
        """Return the address of a vehicle."""
        return f"{self.url}/vehicle/{quote(reference, safe='')}"


class Report(msgspec.Struct, frozen=True):
    """What became of a reference, and when in seconds since the epoch."""

    ref: str
    completed: bool
    at: float


def read_job() -> Job:
    """Return the job whose file the command line names."""
    return msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)


def place(folder: str | Path, reference: str) -> Path:
    """Return the folder of a reference's documents."""
    return Path(folder) / "documents" / quote(reference, safe="")


class Reports:
    """The file in which a contestant, or one process of it, says what became of its references."""

    def __init__(self, job: Job, name: str = "all") -> None:
        self._file: TextIO = (Path(job.folder) / f"reports-{name}.jsonl").open("w", encoding="utf-8")

    def tell(self, reference: str, *, completed: bool) -> None:
        """Report one reference."""
        line = {"ref": reference, "completed": completed, "at": time.time()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_reports(folder: Path) -> list[Report]:
    """Return every report of a run that has ended, in the order of time; half a line at its end is none."""
    found = []
    for path in folder.glob("reports-*.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        found += [msgspec.json.decode(line, type=Report) for line in lines if line.endswith("\n")]
    return sorted(found, key=lambda report: report.at)
