"""``run.py retry``: failed references get another chance."""

import contextlib
import time
from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.core.records import Incident, Record, ReferenceReopened
from supervisor.errors import UserError
from supervisor.shell.control_messages import Retry
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.selection import select_failed
from supervisor.views.text import clean, is_text, plural


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
@click.argument("refs", nargs=-1, metavar="[REF]...", shell_complete=options.complete_failed)
@click.option("--failed", is_flag=True, help="Every reference that failed for good.  [default: those that are named]")
@click.option(
    "--kind",
    metavar="KIND",
    shell_complete=options.complete_kind,
    help="Those that failed by this cause.  [default: any cause]",
)
def command(run_dir: Path, refs: tuple[str, ...], *, failed: bool, kind: str | None) -> None:
    """Queue failed references of the run in DIR again: a run that goes on takes them, else the next start does."""
    if sum((bool(refs), failed, kind is not None)) != 1:
        raise UserError("say which references: --failed, --kind KIND, or their names; one of the three")
    for ref in refs:
        if not is_text(ref):  # no message can hold it
            raise UserError(f"the run has no reference {clean(ref)!r}")
    directory = RunDirectory.existing(run_dir)
    if directory.owner() is not None:
        with contextlib.suppress(control_client.NotRunningError):  # it ended a moment ago: the ledger is free
            click.echo(control_client.ask(directory, Retry(refs, kind or "")).sentence)
            return
    with directory.lock():
        entries = select_failed(directory.ledger, refs, kind or "")
        records: list[Record] = [ReferenceReopened(entry.ref_id) for entry in entries]
        records += [Incident("reopened", "the operator wants it tried again", ref_id=entry.ref_id) for entry in entries]
        with Ledger.open(directory.ledger) as ledger:
            ledger.apply(records, time.time())
    click.echo(f"{plural(len(entries), 'reference')} queued again; start goes on with them")
