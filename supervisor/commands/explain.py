"""``run.py explain``: what became of a reference, and which failed and why."""

import difflib
from pathlib import Path

import click

from supervisor.commands import options
from supervisor.errors import Exit, UserError
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.selection import known_kind
from supervisor.views import story
from supervisor.views.status import read_status
from supervisor.views.text import clean, json_text

_LOOKED_AT = 100_000
"""References among which the nearest name is looked for."""


@click.command(
    "explain",
    cls=options.Command,
    examples="""
    explain night                        which references failed for good, by cause, and where the evidence is
    explain night --kind server_error    those that failed by one cause
    explain night A-1001                 the whole story of one reference
    explain night --json                 for scripts: one JSON object for each reference that failed
    """,
)
@options.run_dir_argument
@click.argument("ref", required=False, shell_complete=options.complete_failed)
@click.option(
    "--kind",
    metavar="KIND",
    shell_complete=options.complete_kind,
    help="Only those that failed by this cause.  [default: every cause]",
)
@click.option("--json", "as_json", is_flag=True, help="JSON, what the ledger has.  [default: for people]")
def command(run_dir: Path, ref: str | None, *, kind: str | None, as_json: bool) -> int:
    """Tell the story of REF in the run in DIR; without REF, which references failed for good and why."""
    if ref is not None and kind is not None:
        raise click.UsageError("--kind is for all that failed; leave it out to see one REF")
    if kind is not None:
        known_kind(kind)
    directory = RunDirectory.existing(run_dir)
    with LedgerReader(directory.ledger) as reader:
        if ref is None:
            found_failed = (json_text(row, indent=0) for row in reader.failures(kind))
            for line in found_failed if as_json else story.failures(directory, reader, kind):
                click.echo(line)
            return Exit.COMPLETED
        found = reader.story(ref)
        if found is None:
            raise UserError(f"the run has no reference {clean(ref)!r}{_nearest(reader, ref)}")
        if as_json:
            click.echo(json_text(found))
            return Exit.COMPLETED
        status = read_status(directory.status)
        setting = story.Setting(directory.owner() is not None, status.run.max_attempts if status else 0)
        for line in story.tell(directory, found, setting):
            click.echo(line)
    return Exit.COMPLETED


def _nearest(reader: LedgerReader, ref: str) -> str:
    names = [row.ref for row, _ in zip(reader.references(), range(_LOOKED_AT), strict=False)]
    near = difflib.get_close_matches(ref, names, n=3, cutoff=0.5)
    return f"; the nearest are {', '.join(clean(name) for name in near)}" if near else ""
