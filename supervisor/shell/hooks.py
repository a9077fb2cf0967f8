"""Somebody is called when references fail for good, when the run is stuck, and when it is over.

A hook is a command, which gets a summary as JSON on its standard input, or the address of a webhook, to which the same
is posted. Each kind has a thread of its own beside the loop and a deadline that ends in SIGKILL. The first call comes
at once; what happens while a call is under way, and for some rest after it, is told together in the next one, so that
two thousand failures are a few calls. A hook that fails is a line in the log and nothing else.

No secrets are in a summary: what it tells was masked by the worker. Nor is a webhook's address, which may hold a token,
in any log or command line.
"""

import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from supervisor import external
from supervisor.core.records import AttemptFailed, Incident, Record, ReferenceGivenUp
from supervisor.forms import is_webhook
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import LedgerError
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.snapshot import utc_now
from supervisor.views.status import Totals
from supervisor.views.text import clean

_STUCK = frozenset({"killed", "stubborn", "breaker_opened", "throttled", "halted", "shed", "late"})
"""Incidents after which the run stands still, in part or as a whole, or will not be done in time."""
_TOLD = 100
"""Failures and incidents that one summary names; more are counted."""
_GATHERED = 10_000
"""Happenings that are kept for one call."""
_SHORTEST = 0.5
"""Seconds below which a call is not even begun."""
_WEBHOOK = Path(__file__).with_name("webhook.py")

T = TypeVar("T")


class Failure(msgspec.Struct, frozen=True):
    """A reference that has failed for good."""

    ref: str
    kind: str
    message: str
    attempts: int
    evidence: str
    """Its folder in the run directory."""


class Happening(msgspec.Struct, frozen=True):
    """Something after which the run is stuck."""

    at: str
    what: str
    detail: str
    worker: int
    ref: str


class Summary(msgspec.Struct, frozen=True):
    """What a hook is told, as one JSON object."""

    event: str
    """``finish``, ``failure`` or ``stuck``."""
    at: str
    host: str
    site: str
    run_id: str
    run_dir: str
    totals: Totals
    failures: tuple[Failure, ...] = ()
    """For ``failure`` those since the last call, for ``finish`` of the whole run; a hundred at most."""
    failures_by_kind: dict[str, int] = {}
    """References that have failed for good, in the whole run."""
    happenings: tuple[Happening, ...] = ()
    not_named: int = 0
    """Failures or happenings beyond those that are named here."""
    exit_code: int | None = None
    """At the end alone."""
    reason: str = ""
    documents: int = 0
    bytes: int = 0
    report: str = ""
    """At the end alone, when it was written."""


class Targets(msgspec.Struct, frozen=True):
    """Who is called, and how patiently; durations in seconds."""

    on_finish: str
    on_failure: str
    on_stuck: str
    timeout: float
    rest: float


class Hooks:
    """The hooks of one run. `seen` may be called from any thread; nothing here waits but `close`."""

    def __init__(
        self, targets: Targets, directory: RunDirectory, site: str, run_id: str, note: Callable[[str, str], None]
    ) -> None:
        """`note` takes a sentence and its level, for the log."""
        self._targets = targets
        self._directory = directory
        self._site = site
        self._run_id = run_id
        self._note = note
        self._failure = self._bell("on_failure", targets.on_failure, self._of_failures)
        self._stuck = self._bell("on_stuck", targets.on_stuck, self._of_happenings)
        self._finish = self._bell("on_finish", targets.on_finish, self._of_the_end)

    def seen(self, records: Iterable[Record]) -> None:
        """Take what is written in the ledger now."""
        for record in records:
            match record:
                case AttemptFailed(retry_in=None, ref_id=ref_id) | ReferenceGivenUp(ref_id=ref_id):
                    if self._failure is not None:
                        self._failure.ring(ref_id)
                case Incident(what=what) if what in _STUCK and self._stuck is not None:
                    self._stuck.ring((utc_now(), record))
                case _:
                    pass

    def finished(self, code: int, reason: str) -> None:
        """The run is over."""
        if self._finish is not None:
            self._finish.ring((code, reason))

    def close(self) -> None:
        """Tell what is still to be told; takes no longer than one call may."""
        bells = [bell for bell in (self._failure, self._stuck, self._finish) if bell is not None]
        end = time.monotonic() + self._targets.timeout
        for bell in bells:
            bell.end_by(end)
        for bell in bells:
            bell.join()

    def _bell(self, name: str, target: str, compose: Callable[[list[T], int], Summary]) -> "_Bell[T] | None":
        return _Bell(name, target, compose, self._targets, self._note) if target else None

    # ------------------------------------------------------------------------------------------------- what is told
    def _of_failures(self, found: list[int], more: int) -> Summary:
        with LedgerReader(self._directory.ledger) as reader:
            failures = [failure for ref_id in dict.fromkeys(found) if (failure := self._failed(reader, ref_id))]
            named = tuple(failures[:_TOLD])
            return self._summary(reader, "failure", failures=named, not_named=more + len(failures) - len(named))

    def _of_happenings(self, found: list[tuple[str, Incident]], more: int) -> Summary:
        with LedgerReader(self._directory.ledger) as reader:
            happenings = []
            for at, incident in found[-_TOLD:]:
                row = reader.reference_by_id(incident.ref_id) if incident.ref_id else None
                ref = row.ref if row else ""
                happenings.append(Happening(at, incident.what, incident.detail, incident.slot, ref))
            left_out = more + len(found) - len(happenings)
            return self._summary(reader, "stuck", happenings=tuple(happenings), not_named=left_out)

    def _of_the_end(self, found: list[tuple[int, str]], _more: int) -> Summary:
        ((code, reason),) = found
        with LedgerReader(self._directory.ledger) as reader:
            done, failed = reader.figures(), reader.totals().failed
            rows = (self._failed(reader, row.id) for row in reader.failures())
            named = tuple(failure for failure, _ in zip(rows, range(_TOLD), strict=False) if failure is not None)
            report = str(self._directory.report) if self._directory.report.exists() else ""
            return self._summary(
                reader,
                "finish",
                failures=named,
                not_named=failed - len(named),
                exit_code=code,
                reason=reason,
                documents=done.documents,
                bytes=done.bytes,
                report=report,
            )

    def _summary(self, reader: LedgerReader, event: str, **parts: object) -> Summary:
        kinds: dict[str, int] = {}
        for row in reader.failures():
            kind = row.error_kind or "unknown"
            kinds[kind] = kinds.get(kind, 0) + 1
        return Summary(
            event=event,
            at=utc_now(),
            host=socket.gethostname(),
            site=self._site,
            run_id=self._run_id,
            run_dir=str(self._directory.path),
            totals=reader.totals(),
            failures_by_kind=kinds,
            **parts,  # type: ignore[arg-type] # each by its own name, just above
        )

    def _failed(self, reader: LedgerReader, ref_id: int) -> Failure | None:
        """Return the failure of a reference, None when it was given another chance meanwhile."""
        row = reader.reference_by_id(ref_id)
        if row is None or row.state != "failed":
            return None
        evidence = self._directory.failures / row.folder
        return Failure(row.ref, row.error_kind or "unknown", row.error_message or "", row.attempts, str(evidence))


class _Bell(Generic[T]):
    """One hook with its thread: gathers, calls, rests."""

    def __init__(
        self,
        name: str,
        target: str,
        compose: Callable[[list[T], int], Summary],
        targets: Targets,
        note: Callable[[str, str], None],
    ) -> None:
        self._name = name
        self._target = target
        self._compose = compose
        self._timeout = targets.timeout
        self._rest = targets.rest
        self._note = note
        self._changed = threading.Condition()
        self._waiting: list[T] = []
        self._more = 0
        self._end: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ring(self, happening: T) -> None:
        with self._changed:
            if len(self._waiting) < _GATHERED:
                self._waiting.append(happening)
            else:
                self._more += 1
            self._changed.notify()

    def end_by(self, end: float) -> None:
        with self._changed:
            self._end = end
            self._changed.notify()

    def join(self) -> None:
        # Its calls are killed in time, but for a moment; a ledger that does not answer is left to the daemon thread.
        left = 0.0 if self._end is None else self._end - time.monotonic()
        self._thread.join(max(left, 0.0) + 2.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._end is not None)
                if not self._waiting:
                    return
                batch, self._waiting = self._waiting, []
                more, self._more = self._more, 0
            self._tell(batch, more)
            with self._changed:
                self._changed.wait_for(lambda: self._end is not None, self._rest)

    def _tell(self, batch: list[T], more: int) -> None:
        seconds = self._timeout if self._end is None else min(self._timeout, self._end - time.monotonic())
        if seconds < _SHORTEST:
            self._note(f"{self._name}: no time was left to tell of {len(batch) + more} more", "WARNING")
            return
        try:
            summary = self._compose(batch, more)
            if summary.event == "failure" and not summary.failures:
                return  # all of them were given another chance meanwhile
            outcome = self._call(msgspec.json.encode(summary) + b"\n", seconds)
        except (OSError, LedgerError) as error:
            self._note(f"{self._name}: it could not be called: {error}", "WARNING")
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, a hook must not end the run
            self._note(f"{self._name}: it could not be called: {type(error).__name__}: {error}", "ERROR")
            return
        last = clean(outcome.last_line)
        if outcome.code == 0:
            self._note(f"{self._name}: called: {last}", "INFO")
        elif outcome.code is None:
            self._note(f"{self._name}: not done after {seconds:.0f} s, and killed: {last}", "WARNING")
        else:
            self._note(f"{self._name}: failed with exit code {outcome.code}: {last}", "WARNING")

    def _call(self, summary: bytes, seconds: float) -> external.Outcome:
        if not is_webhook(self._target):
            return external.run(shlex.split(self._target), deadline=seconds, stdin=summary)
        # A process of its own can be killed at the deadline, whatever the other side does. The address goes by its
        # standard input, because everybody on the machine may read a command line.
        command = [sys.executable, "-I", str(_WEBHOOK), str(seconds)]
        return external.run(command, deadline=seconds + 1.0, stdin=self._target.encode() + b"\n" + summary)
