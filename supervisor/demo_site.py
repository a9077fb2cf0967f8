"""The built-in website as a process of its own, and the comparison of a run with what the website knows to be true."""

import contextlib
import hashlib
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from supervisor.errors import MachineError, UserError
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.text import clean, number, plural

URL_VARIABLE = "NIGHTFLEET_DEMO_URL"
"""Names a demo website that runs already; then none is started."""
_ROOT = Path(__file__).resolve().parents[1]
_START_DEADLINE = 60.0
_LAST_SECONDS = 5.0
_WORDS_LIMIT = 65_536
_BACKLOG = 512
_CHUNK = 1024 * 1024


class Wishes(msgspec.Struct, frozen=True):
    """What the website is to be like; kept in the run directory, so that a resumed run meets the same one."""

    vehicles: int = 40
    seed: int = 1
    faults: str = ""
    """Empty for none, ``all``, or what ``--faults`` of the website takes."""
    latency: float = 0.0
    """Seconds added to every answer."""
    page_seconds: float = 0.0
    """What a vehicle's page takes to be made."""
    capacity: int = 0
    """So many of them are made at a time; 0 for all that are asked for."""
    crowded: str = "wait"
    """What happens to those beyond it: ``wait``, ``slow`` (each takes longer, so that it serves fewer), ``refuse``."""
    uniform: bool = False
    """Every vehicle has two documents of 190 KB, as measurements want them."""


class Document(msgspec.Struct, frozen=True):
    """A document as the website has it."""

    name: str
    bytes: int
    sha256: str


class Vehicle(msgspec.Struct, frozen=True):
    """A reference as the website has it."""

    documents: tuple[Document, ...]
    permanent: bool = False
    """Its fault never ends, so nothing can be fetched."""
    fault: str | None = None
    """What goes wrong with it, by its name in `worker.sites.demo.faults`."""


class Truth(msgspec.Struct, frozen=True):
    """What the website knows of itself."""

    references: dict[str, Vehicle]


class Verdict(msgspec.Struct, frozen=True):
    """How a run compares with the truth."""

    equal: bool
    """Nothing is wrong with what came, and nothing that could come is counted as failed."""
    sentence: str


class _Greeting(msgspec.Struct):
    account: tuple[str, str] | None = None


class Website(msgspec.Struct, frozen=True):
    """The website while it runs."""

    url: str
    wishes: Wishes
    environment: dict[str, str]
    """What a worker needs in its environment to visit it."""
    pid: int
    account: tuple[str, str] | None = None
    """User and password, unless the environment named others: then they are somebody's."""

    def wait(self) -> None:
        """Wait until the website has ended by itself; Ctrl-C ends the wait with `KeyboardInterrupt`."""
        pidfd = os.pidfd_open(self.pid)
        try:
            select.select([pidfd], [], [])
        finally:
            os.close(pidfd)

    def truth(self) -> Truth:
        """Ask the website for every reference with its documents.

        Raises:
            MachineError: it does not answer any more.
        """
        try:
            with urllib.request.urlopen(f"{self.url}/truth.json", timeout=60) as answer:  # noqa: S310 - our own loopback
                return msgspec.json.decode(answer.read(), type=Truth)
        except (OSError, msgspec.DecodeError) as error:
            raise MachineError(f"the demo website does not tell its truth: {error}") from error


class Coming:
    """The website while it starts: it has an address already, and whoever asks it for something waits. See `begun`."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, wishes: Wishes, words: IO[bytes]) -> None:
        """`words` is the file with what it says to standard error."""
        self.environment = {URL_VARIABLE: url}
        """What a worker needs in its environment to visit it."""
        self._process = process
        self._url = url
        self._wishes = wishes
        self._words = words
        self._website: Website | None = None

    def website(self) -> Website:
        """Wait until it runs.

        Raises:
            UserError: it does not know these faults.
            MachineError: it does not start.
        """
        if self._website is None:
            account = _greeting(self._process, self._words).account
            self._website = Website(self._url, self._wishes, self.environment, self._process.pid, account)
        return self._website


@contextlib.contextmanager
def begun(wishes: Wishes, environ: Mapping[str, str], port: int = 0) -> Iterator[Coming]:
    """Start the website, and end it with the block; it dies with this process, however that ends.

    Args:
        wishes: what it is to be like.
        environ: its environment.
        port: on the loopback interface, 0 for any free one.

    Raises:
        MachineError: the port cannot be had.
    """
    try:
        # Made here, so that the address is known and can be connected to before the website has loaded.
        listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise MachineError(
            f"the demo website does not start: it cannot listen on 127.0.0.1:{port}: {reason}"
        ) from error
    command = [sys.executable, "-m", "worker.sites.demo", "--listener", str(listener.fileno()), "--until-stdin-closes"]
    command += ["--vehicles", str(wishes.vehicles), "--seed", str(wishes.seed)]
    command += ["--faults", wishes.faults] if wishes.faults else []
    command += ["--latency", str(wishes.latency * 1000)] if wishes.latency else []
    command += ["--page-time", str(wishes.page_seconds * 1000)] if wishes.page_seconds else []
    command += ["--capacity", str(wishes.capacity), "--crowded", wishes.crowded] if wishes.capacity else []
    command += ["--uniform"] if wishes.uniform else []
    # A file, because nobody reads what it says, and a pipe that is full would stop it in mid-answer.
    with tempfile.TemporaryFile() as words:
        with listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=dict(environ),
                stdin=subprocess.PIPE,  # its other end closes with us: that is how it knows
                stdout=subprocess.PIPE,
                stderr=words,
                pass_fds=(listener.fileno(),),
                start_new_session=True,  # Ctrl-C is for the supervisor, which still needs the website to finish
            )
        with process:
            try:
                yield Coming(process, url, wishes, words)
            finally:
                process.kill()  # it has nothing to keep, and nobody is its guest any more


@contextlib.contextmanager
def started(wishes: Wishes, environ: Mapping[str, str], port: int = 0) -> Iterator[Website]:
    """Run the website until the block ends. Arguments are those of `begun`.

    Raises:
        UserError: it does not know these faults.
        MachineError: it does not start.
    """
    with begun(wishes, environ, port) as coming:
        yield coming.website()


def _greeting(process: "subprocess.Popen[bytes]", words: IO[bytes]) -> _Greeting:
    assert process.stdout is not None  # noqa: S101 - asked for above; for the type checker
    end = time.monotonic() + _START_DEADLINE
    line = b""
    while not line.endswith(b"\n") and (left := end - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left)[0]:
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                break
            line += chunk
    try:
        return msgspec.json.decode(line, type=_Greeting)
    except msgspec.DecodeError:
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is about to end by itself, with a code that tells
            process.wait(0.0 if line else _LAST_SECONDS)
        process.kill()
        words.seek(0)
        said = words.read(_WORDS_LIMIT).decode(errors="replace").strip().splitlines()
        last = clean(said[-1].removeprefix("Error: "), 1000) if said else "it said nothing"
        # Exit code 2 is a command line's: what was asked for makes no sense.
        kind = UserError if process.wait() == 2 else MachineError  # noqa: PLR2004 - see above
        raise kind(f"the demo website does not start: {last}") from None


def remembered(run_dir: Path) -> Wishes | None:
    """Return what the website of this run directory was like, None when it had none."""
    try:
        return msgspec.json.decode(_memory(run_dir).read_bytes(), type=Wishes)
    except (OSError, msgspec.DecodeError):
        return None


def remember(run_dir: Path, wishes: Wishes) -> None:
    """Keep in an existing run directory what the website is like."""
    _memory(run_dir).write_bytes(msgspec.json.encode(wishes))


def _memory(run_dir: Path) -> Path:
    return RunDirectory(run_dir).private / "demo.json"


def judge(run_dir: Path, truth: Truth) -> Verdict:
    """Compare the documents on disk with the truth, byte for byte by their hashes.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    directory = RunDirectory(run_dir)
    wrong: list[str] = []
    completed = documents = failed = 0
    unfair: list[str] = []
    with LedgerReader(directory.ledger) as ledger:
        for row in ledger.references():
            vehicle = truth.references.get(row.ref)
            if row.state == "failed":
                failed += 1
                if vehicle is not None and not vehicle.permanent:
                    unfair.append(row.ref)
            if row.state != "completed":
                continue
            completed += 1
            there = hashes(directory.documents / row.folder)
            documents += len(there)
            if vehicle is None or there != {document.name: document.sha256 for document in vehicle.documents}:
                wrong.append(row.ref)
    sentence = f"{number(completed)} of {plural(len(truth.references), 'reference')} completed, "
    sentence += f"{plural(documents, 'document')}, "
    if wrong:
        sentence += f"NOT equal to the site's truth: {_some(wrong)}"
    else:
        sentence += "all equal to the site's truth"
    if unfair:
        sentence += f"; {number(failed)} failed, {_some(unfair)} though the site has the documents"
    elif failed:
        sentence += f"; {number(failed)} failed, which the site never serves"
    return Verdict(not wrong and not unfair, sentence)


def hashes(folder: Path) -> dict[str, str]:
    """Return name and sha256 of every document in a published folder."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and path.name != "manifest.json":
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
            found[path.name] = digest.hexdigest()
    return found


def _some(refs: list[str]) -> str:
    shown = ", ".join(clean(ref, 40) for ref in refs[:5])
    return shown if len(refs) <= 5 else f"{shown} and {len(refs) - 5} more"  # noqa: PLR2004 - a line's worth
