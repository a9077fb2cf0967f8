"""A night that is looked at: the page and the metrics of a real run, and nothing of them left behind."""

import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.harness import Night, Site, until

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_run_is_served_and_measured_while_it_lasts(
    begin: Callable[..., Night], open_site: Callable[..., Site], tmp_path: Path
) -> None:
    """Where the page is stands in the status; it shows the workers' pages; afterwards only the metrics file is left."""
    site = open_site(8, "stalled-download=1")  # a page stands still while its document does not come
    metrics = tmp_path / "nightfleet.prom"
    run = begin(site.url, serve=0, metrics_file=metrics, task_timeout=6)
    run.start()
    address = until(lambda: run.status.run.page if run.status else "", "the status names the page")
    run.wait_for_completed()
    pages = run.folder / ".nightfleet" / "pages"
    picture = until(lambda: next(pages.glob("worker-*.jpg"), None), "a worker's page is seen")
    assert picture is not None
    slot = picture.stem.removeprefix("worker-")
    assert f'src="/workers/{slot}.jpg' in _read(address)
    assert _read(f"{address}workers/{slot}.jpg").startswith("\ufffd")
    assert _completed(_read(f"{address}metrics")) >= 1
    assert run.end() == 0, run.said
    assert f"the status page is at {address}" in run.said
    assert not pages.exists()
    assert _completed(metrics.read_text()) == 8
    run.check(site.truth)


def _completed(text: str) -> float:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [s.value for s in samples if (s.name, s.labels.get("state")) == ("nightfleet_references", "completed")]
    return found[0]


def _read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - our own loopback
        content: bytes = answer.read()
    return content.decode("utf-8", "replace")


def test_a_port_that_is_taken_is_refused_before_anything_starts(
    begin: Callable[..., Night], open_site: Callable[..., Site]
) -> None:
    """One sentence names the port and what else can be given; the exit code is that of wrong settings."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = begin(open_site(2).url, serve=port)
        assert run.run() == 2
    said = f"the status page cannot be served on port {port}: address already in use; give another --serve PORT"
    assert said in run.said
    assert "Traceback" not in run.said
    assert not (run.folder / "ledger.db").exists()
