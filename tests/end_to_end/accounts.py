"""Whether a run directory agrees with itself: what is in it, what was charged to whom, and where the cause is told."""

from collections.abc import Iterator
from pathlib import Path

from supervisor import demo_site
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.verify import verify
from supervisor.views.tracking import TrackedReference, Tracking

_LAYOUT = {
    *("ledger.db", "ledger.db-wal", "ledger.db-shm", "tracking.json", "status.json", "inventory.csv"),
    *("documents", "failures", "logs", "report.html", "failures.csv", ".nightfleet"),
}
_UNSEEN = frozenset({"supervisor_lost", "interrupted"})
"""What ends with the supervisor, or at the second signal: nobody waits for evidence."""

_RECALLED = "the session was found gone afterwards"
"""Of an attempt that had succeeded: its documents are in quarantine, and there is no evidence of a failure."""

_PRIVATE = {"guardian.log", "lock", "login.json", "processes.json", "staging", "replaced", "quarantine", "demo.json"}
_DEADLINES = {"timeout", "step_timeout"}
"""On a busy machine they may come before what knows better."""
_CAUSES = {
    "never-answers": _DEADLINES,
    "endless-script": {"page_hung", *_DEADLINES},
    "renderer-crash": {"page_crashed", "browser_lost"},  # the kernel may choose the browser itself
    "server-error-once": {"server_error"},
    "always-500": {"server_error"},
    "gone": {"not_found"},
    "session-expiry": {"session_expired"},
    "truncated": {"document_invalid"},
    "truncated-no-length": {"document_invalid"},
    "always-truncated": {"document_invalid"},
    "html-as-pdf": {"document_invalid"},
    "zero-bytes": {"document_invalid"},
    "stalled-download": {"document_stalled", *_DEADLINES},
    "attachment-500": {"download_refused"},
}
"""By fault of the demo website: the kinds by which it may be known. The others cost nothing."""


def disagreements(folder: Path, tracking: Tracking, truth: demo_site.Truth) -> list[str]:
    """Return what is wrong in the run directory of a finished run, a sentence each.

    Every document is read again. Each attempt that came to nothing is in tracking.json with its cause, in the log, and
    in failures/ with its evidence; as many are charged to a reference as it had; and the website's fault is among them.
    """
    private = folder / ".nightfleet"
    found = [f"there is {path.name}" for path in folder.iterdir() if path.name not in _LAYOUT]
    found += [f"there is {path.name} in {private.name}" for path in private.iterdir() if path.name not in _PRIVATE]
    found += [f"verify: {finding.ref} {finding.sentence}" for finding in verify(RunDirectory(folder)).findings]
    log = (folder / "logs" / "supervisor.log").read_text(encoding="utf-8").splitlines()
    for path in (folder / "logs").iterdir():
        found += [f"{path.name}: {line}" for line in path.read_text("utf-8").splitlines() if "never retrieved" in line]
    for entry in tracking.references:
        found += _charges(entry)
        fault = truth.references[entry.ref].fault
        if fault in _CAUSES and not _CAUSES[fault] & {failure.kind for failure in entry.failures}:
            found.append(f"{entry.ref}: its fault is {fault}, and what is told of it is {entry.failures}")
        own = [line for line in log if f"ref={entry.ref} " in line or f'ref="{entry.ref}" ' in line]
        found += _untold(folder / "failures" / entry.folder, own, entry)
    return found


def _charges(entry: TrackedReference) -> Iterator[str]:
    charged = sum(failure.counted for failure in entry.failures) + (entry.state == "completed")
    if charged != entry.attempts:
        yield f"{entry.ref}: {entry.attempts} attempts are charged, and {charged} are told"
    if entry.error is not None and (entry.state == "completed" or entry.error.kind != entry.failures[-1].kind):
        yield f"{entry.ref}: its last error is {entry.error.kind}, and its failures are {entry.failures}"


def _untold(evidence: Path, log: list[str], entry: TrackedReference) -> Iterator[str]:
    texts = [path.read_text("utf-8") for path in evidence.glob("*/error.txt")]
    for failure in entry.failures:
        who = f"{entry.ref}, attempt {failure.attempt}, {failure.kind}"
        if not failure.message:
            yield f"{who}: no sentence says why"
        if failure.kind in _UNSEEN or failure.message == _RECALLED:
            continue
        if not any(f": {failure.kind}: " in line for line in log):
            yield f"{who}: the log does not tell"
        if not any(f"(number {failure.attempt}): {failure.kind}: " in text for text in texts):
            yield f"{who}: no error.txt in failures/ tells"
