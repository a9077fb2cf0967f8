"""The status page: one snapshot, and the newest picture of each worker's page."""

import functools

import msgspec
from markupsafe import escape

from supervisor.views import html, progress
from supervisor.views.status import Snapshot
from supervisor.views.text import clean


class Picture(msgspec.Struct, frozen=True):
    """A worker's page as it was a moment ago."""

    version: int
    """Another one for each picture."""
    age: float
    """Seconds."""


def render(snapshot: Snapshot, pictures: dict[int, Picture]) -> str:
    """Return the page as HTML.

    Args:
        snapshot: of the run.
        pictures: by slot; those of workers without one are missing.
    """
    return html.render(
        "page.html",
        run=snapshot.run,
        state=progress.state_sentence(snapshot),
        totals=snapshot.totals,
        percent=progress.percent(snapshot.totals),
        metrics=snapshot.metrics,
        pace=progress.pace_sentence(snapshot),
        site=snapshot.site,
        site_details=progress.site_details(snapshot.site),
        workers=snapshot.workers if snapshot.run.state != "finished" else (),
        pictures=pictures,
        failures=[notice for notice in reversed(snapshot.recent) if notice.failure],
        happenings=[notice for notice in reversed(snapshot.recent) if not notice.failure],
    )


def sentence(text: str) -> str:
    """Return a sentence in place of what cannot be shown."""
    return f'<p class="soft">{escape(clean(text, 1000))}</p>'


@functools.cache
def asset(name: str) -> str:
    """Return the page's style sheet or its script."""
    return html.asset("base.css") + html.asset(name) if name.endswith(".css") else html.asset(name)
