"""The progress display: fits 80 columns, needs no colour, and says the same in one plain line."""

import io
import json

import pytest
from rich.console import Console

from supervisor.views import progress
from supervisor.views.status import MetricsView, Notice, SiteView, Snapshot, Totals, WorkerView
from supervisor.views.text import clean, duration, json_text, size
from tests.views.snapshots import busy, run_view


def drawn(snapshot: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width, height=height).print(progress.picture(snapshot, height))
    return output.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [80, 100, 200])
def test_everything_that_matters_fits(width: int) -> None:
    """Site, state, share, rate, time left, each state's count, each worker with its reference, the last warning."""
    lines = drawn(busy(), width)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    for part in (
        "nightfleet lot  running",
        "62 %  1,240 of 2,000",
        "completed 1,230   failed 10   in progress 5   waiting 3   pending 752",
        "38.5 a minute, about 19 min left (15 to 23 min)",
        "3,012 documents, 2.1 GB; 2 workers killed",
        "failed attempts: timeout 12, server_error 4",
        "worker 3 was killed",
        *(f"A-100{slot}" for slot in range(1, 6)),
    ):
        assert part in text


@pytest.mark.parametrize("workers", [1, 15, 200])
@pytest.mark.parametrize("height", [15, 24, 60])
def test_the_height_of_the_terminal_is_kept(workers: int, height: int) -> None:
    """However many workers there are, the picture fits, with those in it that have been at it longest."""
    many = tuple(
        WorkerView(slot=slot, incarnation=1, pid=slot, state="working", ref=f"R{slot}", state_seconds=float(slot))
        for slot in range(1, workers + 1)
    )
    lines = drawn(busy(workers=many, recent=busy().recent * 10), height=height)
    assert len(lines) <= height
    assert any(f"R{workers} " in line for line in lines)


def test_what_a_site_sent_cannot_steer_the_terminal() -> None:
    """References and steps with escapes, markup, line ends and wide letters stay in their row."""
    nasty = "a\x1b[2J\n[bold red]\u202e漢字漢字漢字漢字漢字漢字漢字漢字"
    worker = WorkerView(slot=1, incarnation=1, pid=1, state="working", ref=nasty, step=nasty)
    lines = drawn(busy(workers=(worker,), recent=(Notice("2026-11-24T23:20:01Z", "ERROR", nasty),)))
    assert all(line.isprintable() for line in lines)
    assert any("[bold red]" in line for line in lines)


def test_a_run_without_references_and_a_finished_one_are_drawn() -> None:
    """Nothing is divided by zero, and 100 % is said only when everything is done."""
    assert "0 %" in "\n".join(drawn(busy(totals=Totals(), metrics=MetricsView(), workers=(), recent=())))
    almost = Totals(total=1000, in_progress=1, completed=999)
    assert "99 %" in "\n".join(drawn(busy(totals=almost)))
    done = busy(run=run_view(state="finished", exit_code=0, reason="every reference completed"))
    text = "\n".join(drawn(done))
    assert "finished (every reference completed)" in text
    assert "A-1001" not in text
    assert "left" not in text


@pytest.mark.parametrize("height", [24, 40])
def test_a_flood_of_failures_does_not_hide_the_watchdog(height: int) -> None:
    """Failures and what the watchdog, the site and the operator did have lists of their own."""
    failed = tuple(Notice("2026-11-24T23:20:02.000Z", "WARNING", f"F-{n}: timeout", failure=True) for n in range(10))
    lines = drawn(busy(recent=(*busy().recent, *failed)), height=height)
    assert any("worker 3 was killed" in line for line in lines)
    assert any("F-9: timeout" in line for line in lines)
    assert len([line for line in lines if "A-100" in line]) == len(busy().workers)


def test_the_plain_line_says_it_all() -> None:
    """Piped into a file, one line has the state, the counts that are not zero, the rate and the time left."""
    assert progress.plain(busy()) == (
        "23:20:59 running: 1,240 of 2,000 references finished (62 %), 10 failed, 5 in progress, "
        "3 waiting for another attempt, 38.5 a minute, about 19 min left (15 to 23 min)"
    )
    down = busy(site=SiteView("down", 740.0, "the site does not answer in time", 60.0, 5.0))
    assert progress.plain(down).endswith(", site down (the site does not answer in time)")


def test_figures_read_well() -> None:
    """Durations and sizes have a unit and no more digits than one can use."""
    assert [duration(seconds) for seconds in (0.4, 45, 75, 3599, 7500, 90_000)] == [
        "0 s",
        "45 s",
        "1 min 15 s",
        "59 min",
        "2 h 05 min",
        "1 d 1 h",
    ]
    assert [size(count) for count in (0, 999, 1500, 9_960, 412_000_000, 999_600_000, 2_100_000_000, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "10 kB",
        "412 MB",
        "1.0 GB",
        "2.1 GB",
        "5.0 TB",
    ]
    assert clean("x" * 500, 10) == "xxxxxxxxx…"


def test_a_run_that_finds_its_number_of_workers_says_how_many_it_wants() -> None:
    """In the header and in the plain line, while it runs."""
    snapshot = busy(run=run_view(workers_auto=True, workers_wanted=3))
    assert "running with 3 workers (auto)" in drawn(snapshot)[0]
    assert " running with 3 workers (auto): " in progress.plain(snapshot)
    assert "auto" not in progress.plain(busy(run=run_view(workers_auto=True, workers_wanted=3, state="finished")))
    assert "auto" not in progress.plain(busy(run=run_view(workers_wanted=3)))


def test_json_for_a_terminal_moves_no_cursor_and_loses_nothing() -> None:
    """What a site has said may stand there: control characters of any plane, and text that turns its direction."""
    said = {"message": "\x1b[2J \x9b31m \u202e \u2028 \U000e0001 é ü 車\n\x7f"}
    for text in (json_text(said), json_text(said, indent=0)):
        assert json.loads(text) == said
        assert "é ü 車" in text
        assert clean(text.replace("\n", ""), len(text)) == text.replace("\n", "")
