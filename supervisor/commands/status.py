"""``run.py status``: what a run is doing now, or how it ended."""

import functools
import shlex
import sys
import time
from collections import Counter
from pathlib import Path

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.text import Text

from supervisor.commands import options
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import progress, story
from supervisor.views.clerk import PlainReporter
from supervisor.views.screen import Screen, can_draw
from supervisor.views.status import RunView, Snapshot, Totals, is_running, read_status
from supervisor.views.text import as_typed, clean, json_text, number, plural

_PAUSE = 0.5
_FEW = 10
"""Failed references that `status` names itself; `explain` names all of them."""
_WIDTH = 120
"""Columns where the output is no terminal."""


class _Answer(msgspec.Struct, frozen=True):
    """What a run directory says about its run."""

    running: bool
    sentence: str
    """How it stands with the run as a whole."""
    snapshot: Snapshot


@click.command(
    "status",
    cls=options.Command,
    examples="""
    status night              once
    status night --watch      until it ends, or Ctrl-C
    status night --json       for scripts: what status.json has, and whether the run is active
    """,
)
@options.run_dir_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object.  [default: for people]")
@click.option("--watch", is_flag=True, help="Again and again until the run ends.  [default: once]")
def command(run_dir: Path, as_json: bool, watch: bool) -> None:  # noqa: FBT001 - click passes them by name
    """Show what the run in DIR is doing now, or how it ended."""
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other")
    directory = RunDirectory.existing(run_dir)
    if watch:
        try:
            _watch(directory)
        except KeyboardInterrupt:
            return  # the ordinary end of looking on
        return
    answer = _ask(directory)
    if as_json:
        content = {"running": answer.running, **msgspec.to_builtins(answer.snapshot)}
        click.echo(json_text(content))
    else:
        console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
        console.print(_picture(answer, 1000))
        if answer.snapshot.totals.failed:
            _tell_failures(directory)


def _ask(directory: RunDirectory) -> _Answer:
    """Read status.json, or the ledger where nobody writes status.json any more.

    Raises:
        LedgerError: the ledger is needed and cannot be read.
    """
    snapshot = read_status(directory.status)
    if snapshot is not None and is_running(snapshot):
        page = f", status page {clean(snapshot.run.page)}" if snapshot.run.page else ""
        return _Answer(running=True, sentence=f"running, pid {snapshot.run.pid}{page}", snapshot=snapshot)
    again = "the same start command goes on"
    with LedgerReader(directory.ledger) as ledger:
        totals, meta, runs = ledger.totals(), ledger.meta(), ledger.runs()
    if snapshot is None:
        last = runs[-1] if runs else None
        run = RunView(
            site=meta.site_name or meta.site,
            run_id=meta.run_id,
            pid=last.pid if last else 0,
            pid_start=0,
            started_at=last.started_at if last else meta.created_at,
            updated_at=(last.ended_at or last.started_at) if last else meta.created_at,
            state="finished" if last and last.ended_at else "starting",
            exit_code=last.exit_code if last else None,
            reason=(last.reason or "") if last else "",
        )
        snapshot = Snapshot(run=run)
    snapshot = msgspec.structs.replace(snapshot, totals=totals, workers=())
    run = snapshot.run
    if run.state == "finished":
        ending = "" if _is_done(totals) else f"; {again}"
        sentence = f"ended at {run.updated_at} with exit code {run.exit_code}{ending}"
    else:
        sentence = f"not running (killed?) since {run.updated_at}; {again}"
    return _Answer(running=False, sentence=sentence, snapshot=snapshot)


def _is_done(totals: Totals) -> bool:
    return totals.total > 0 and totals.finished == totals.total


def _picture(answer: _Answer, height: int) -> RenderableType:
    return Group(progress.picture(answer.snapshot, height - 1), Text(answer.sentence, style="bold"))


def _tell_failures(directory: RunDirectory) -> None:
    """Say what failed for good and why, reference by reference where they are few, and how to learn more."""
    click.echo()
    with LedgerReader(directory.ledger) as reader:
        kinds = Counter(row.error_kind or "unknown" for row in reader.failures())
        if kinds.total() <= _FEW:
            for line in story.failures(directory, reader):
                click.echo(line)
        else:
            place = clean(shlex.quote(as_typed(directory.path)), 1000)
            counts = ", ".join(f"{clean(kind)} {number(count)}" for kind, count in kinds.most_common())
            click.echo(f"{plural(kinds.total(), 'reference')} failed for good: {counts}")
            click.echo(f"which, why and the evidence: run.py explain {place}")


def _watch(directory: RunDirectory) -> None:
    console = Console()
    if not can_draw(console):
        reporter = PlainReporter()
        while True:
            answer = _ask(directory)
            for line in reporter.lines(answer.snapshot, time.monotonic(), last=not answer.running):
                click.echo(line)
            if not answer.running:
                click.echo(answer.sentence)
                return
            time.sleep(_PAUSE)  # the run writes its status every second
    with Screen(console) as screen:
        while True:
            answer = _ask(directory)
            screen.draw(functools.partial(_picture, answer))
            if not answer.running:
                return
            time.sleep(_PAUSE)  # the run writes its status every second
