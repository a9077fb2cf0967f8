"""What differs between a run and an earlier one of the same site, document by document."""

import contextlib
from collections import defaultdict
from pathlib import Path

import msgspec

from supervisor.errors import UserError
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import Meta
from supervisor.shell.ledger_schema import LedgerError
from supervisor.shell.run_directory import RunDirectory

_LOOKED_AT = 1_000
"""Folders beside a run directory among which the earlier run is looked for."""


class Change(msgspec.Struct, frozen=True):
    """What differs from an earlier run of the same site."""

    against: str
    created_at: str
    """When the earlier run was begun."""
    new_references: tuple[str, ...]
    gone_references: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    """Documents, as ``reference: name``, of references that both runs completed."""
    same: int
    lost: tuple[str, ...]
    """References that the earlier run completed and this one did not."""
    recovered: tuple[str, ...]
    """The other way round."""


def compare(reader: LedgerReader, earlier: Path) -> Change:
    """Return what differs between a run and an earlier one, document by document, by their SHA-256.

    Raises:
        UserError: the other ledger is that of another site.
        LedgerError: it cannot be read.
    """
    with LedgerReader(earlier) as other:
        mine, theirs = reader.meta(), other.meta()
        if _site(mine) != _site(theirs):
            raise UserError(
                f"{earlier.parent} is a run of {_site(theirs)}, this one of {_site(mine)}; "
                "runs of one site can be compared"
            )
        before, after = _published(other), _published(reader)
    changes: dict[str, list[str]] = defaultdict(list)
    same = 0
    for ref, now in after.items():
        if ref not in before:
            changes["new_references"].append(ref)
            continue
        was = before[ref]
        if was is None or now is None:
            if was is not now:
                changes["lost" if now is None else "recovered"].append(ref)
            continue
        for name in sorted(now.keys() | was.keys()):
            if now.get(name) == was.get(name):
                same += 1
            else:
                how = "new" if name not in was else "gone" if name not in now else "changed"
                changes[how].append(f"{ref}: {name}")
    return Change(
        against=str(earlier.parent),
        created_at=theirs.created_at,
        new_references=tuple(changes["new_references"]),
        gone_references=tuple(ref for ref in before if ref not in after),
        new=tuple(changes["new"]),
        gone=tuple(changes["gone"]),
        changed=tuple(changes["changed"]),
        same=same,
        lost=tuple(changes["lost"]),
        recovered=tuple(changes["recovered"]),
    )


def find_earlier(directory: RunDirectory, mine: Meta) -> Path | None:
    """Return the last run of the same site that was begun before this one, of those whose folders lie beside it."""
    found: list[tuple[str, Path]] = []
    with contextlib.suppress(OSError):  # the folder above may be closed to us: then nobody looks
        for place, _ in zip(directory.path.parent.iterdir(), range(_LOOKED_AT), strict=False):
            ledger = RunDirectory(place).ledger
            # A damaged one is no earlier run, and neither is one that is closed to us.
            with contextlib.suppress(LedgerError, OSError):
                if place == directory.path or not ledger.is_file():
                    continue
                with LedgerReader(ledger) as other:
                    meta = other.meta()
                if _site(meta) == _site(mine) and meta.created_at < mine.created_at:
                    found.append((meta.created_at, place))
    return max(found)[1] if found else None


def _site(meta: Meta) -> str:
    return meta.site_name or meta.site


def _published(reader: LedgerReader) -> dict[str, dict[str, str] | None]:
    """Return for each reference its documents' names and sums; None where it is not completed."""
    return {
        row.ref: {document.name: document.sha256 for document in documents} if row.state == "completed" else None
        for row, documents in reader.with_documents()
    }
