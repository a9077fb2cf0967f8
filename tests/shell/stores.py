"""A run directory with a ledger, and attempts at its references: what the tests of the store have in common."""

import hashlib
from pathlib import Path

from supervisor.core.commands import Discard, Publish
from supervisor.core.events import Published, PublishFailed
from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, Entry
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.publisher import Publisher
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Document, Kind, Step

WALL = 1_795_000_000.0


def pdf(text: str, size: int = 300) -> bytes:
    """Return bytes that begin like a PDF, different for each text."""
    return b"%PDF-1.7\n" + (text.encode() + b"\n") * (size // (len(text) + 1) + 1) + b"%%EOF\n"


class Store:
    """One run directory with all that works on it, as a supervisor has them."""

    def __init__(self, path: Path, *, wall: float = WALL) -> None:
        self.wall = wall
        self.run = RunDirectory(path)
        self.run.create()
        exists = self.run.ledger.exists()
        self.ledger = Ledger.open(self.run.ledger) if exists else Ledger.create(self.run.ledger, site="lot", wall=wall)
        self.publisher = Publisher(self.run, self.ledger.folder_of)

    def close(self) -> None:
        self.ledger.close()

    def start(self, entry: Entry, attempt: int, number: int = 1) -> None:
        self.ledger.apply([AttemptStarted(attempt, entry.ref_id, number, slot=1, incarnation=1)], self.wall)

    def stage(self, attempt: int, files: dict[str, bytes]) -> tuple[Document, ...]:
        """Do what a worker does: write the files, and report them."""
        folder = self.run.staging(attempt)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return tuple(
            Document(name, f"https://lot.example/{name}", len(content), hashlib.sha256(content).hexdigest(), pages=1)
            for name, content in files.items()
        )

    def publish(
        self, entry: Entry, attempt: int, documents: tuple[Document, ...], number: int = 1
    ) -> Published | PublishFailed:
        return self.publisher.publish(Publish(attempt, entry.ref_id, entry.ref, number, documents))

    def succeed(self, entry: Entry, attempt: int, documents: tuple[Document, ...]) -> None:
        steps = (Step("open the vehicle", 0.5),)
        self.ledger.apply([AttemptSucceeded(attempt, entry.ref_id, documents, steps)], self.wall)

    def fail(
        self,
        entry: Entry,
        attempt: int,
        *,
        retry_in: float | None = 0.0,
        counted: bool = True,
        crashed: bool = False,
        kind: Kind = Kind.TIMEOUT,
    ) -> None:
        failed = AttemptFailed(
            attempt, entry.ref_id, kind, "took too long", counted=counted, crashed=crashed, retry_in=retry_in
        )
        self.ledger.apply([failed], self.wall)

    def complete(self, entry: Entry, attempt: int, files: dict[str, bytes] | None = None) -> Path:
        """Go through a whole successful attempt; return the folder of its documents."""
        self.start(entry, attempt)
        documents = self.stage(attempt, files if files is not None else {"invoice.pdf": pdf(entry.ref)})
        answer = self.publish(entry, attempt, documents)
        assert isinstance(answer, Published), answer
        self.succeed(entry, attempt, documents)
        return self.run.documents / self.ledger.folder_of(entry.ref_id)

    def discard(self, entry: Entry, attempt: int, number: int = 1, kind: str = "timeout") -> str:
        return self.publisher.discard(Discard(attempt, entry.ref_id, entry.ref, number, kind, "took too long"))

    def state(self, ref: str) -> str:
        """Return the state of a reference by the ledger."""
        with LedgerReader(self.run.ledger) as reader:
            row = reader.reference(ref)
        assert row is not None
        return row.state
