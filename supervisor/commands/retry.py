"""``run.py retry``: failed references get another chance at the next start."""

import time
from pathlib import Path

import click

from supervisor.commands import options
from supervisor.core.records import Incident, Record, ReferenceReopened
from supervisor.errors import Exit, UserError
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader, ReferenceRow
from supervisor.views.story import path_of
from supervisor.views.text import clean, plural


@click.command(
    "retry",
    cls=options.Command,
    examples="""
    retry night --failed              every reference that failed for good
    retry night --kind server_error   those that failed by one cause
    retry night A-1001 A-1002         these
    """,
)
@options.run_dir_argument
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--failed", is_flag=True, help="Every reference that failed for good.  [default: those that are named]")
@click.option("--kind", metavar="KIND", help="Those that failed by this cause.  [default: any cause]")
def command(run_dir: Path, refs: tuple[str, ...], *, failed: bool, kind: str | None) -> int:
    """Queue failed references of the run in DIR again; the next start takes them. The run must have ended."""
    if sum((bool(refs), failed, kind is not None)) != 1:
        raise UserError("say which references: --failed, --kind KIND, or their names; one of the three")
    directory = path_of(run_dir)
    with directory.lock():
        with LedgerReader(directory.ledger) as reader:
            rows = [_failed(reader, ref) for ref in dict.fromkeys(refs)] if refs else list(reader.failures(kind))
        records: list[Record] = [ReferenceReopened(row.id) for row in rows]
        records += [Incident("reopened", "the operator wants it tried again", ref_id=row.id) for row in rows]
        with Ledger.open(directory.ledger) as ledger:
            ledger.apply(records, time.time())
    click.echo(f"{plural(len(rows), 'reference')} queued again; start goes on with them")
    return Exit.COMPLETED


def _failed(reader: LedgerReader, ref: str) -> ReferenceRow:
    row = reader.reference(ref)
    if row is None:
        raise UserError(f"the run has no reference {clean(ref)!r}")
    if row.state != "failed":
        raise UserError(f"{clean(ref)} has not failed: it is {row.state.replace('_', ' ')}")
    return row
