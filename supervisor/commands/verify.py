"""``run.py verify``: is everything that the ledger promises on disk, byte for byte?"""

import time
from pathlib import Path

import click

from supervisor.commands import options
from supervisor.errors import Exit
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.verify import repair, verify
from supervisor.views.text import clean, number, plural, size

_SENTENCE_LIMIT = 1000


@click.command(
    "verify",
    cls=options.Command,
    examples="""
    verify night              check every document, its manifest, the ledger and tracking.json
    verify night --repair     put aside what does not belong; start then fetches again what is missing
    """,
)
@options.run_dir_argument
@click.option(
    "--repair",
    "do_repair",
    is_flag=True,
    help="Repair what can be; nothing is deleted, and no run may be active.  [default: only look]",
)
def command(run_dir: Path, do_repair: bool) -> int:  # noqa: FBT001 - click passes it by name
    """Check the run in DIR against its ledger. Exit code 1 when something is wrong, also when it was repaired."""
    directory = RunDirectory(run_dir)
    result = verify(directory)
    for finding in result.findings:
        subject = f"{clean(finding.ref)}: " if finding.ref else ""
        click.echo(f"{finding.kind}: {subject}{clean(finding.sentence, _SENTENCE_LIMIT)} ({clean(finding.path, 4096)})")
    click.echo(
        f"{plural(result.references, 'completed reference')} with {plural(result.documents, 'document')} "
        f"({size(result.bytes)}) checked: "
        + (f"{number(len(result.findings))} found wrong" if result.findings else "all as the ledger says")
    )
    if result.active:
        click.echo("a run is active: leftovers and tracking.json were not looked at")
    if do_repair and result.findings:
        for sentence in repair(directory, time.time()):
            click.echo(f"repaired: {clean(sentence, _SENTENCE_LIMIT)}")
    return Exit.SOME_FAILED if result.findings else Exit.COMPLETED
