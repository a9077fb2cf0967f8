"""The trace of a last attempt: there when it was asked for and the attempt failed, and never in the way."""

import zipfile
from pathlib import Path

import pytest

from tests.worker.child import Child
from tests.worker.lot_site import LotSite
from worker.protocol import Assign, Failed, Succeeded

pytestmark = pytest.mark.browser


def assign(child: Child, number: int, ref: str, *, last: bool) -> tuple[Succeeded | Failed, Path]:
    staging = child.folder / f"staging-{number}"
    child.send(Assign(number, ref, 3 if last else 1, last, str(staging), 30.0))
    answer = child.next()
    assert isinstance(answer, Succeeded | Failed), child.said()
    return answer, staging


def test_a_last_attempt_that_fails_leaves_a_trace(lot: LotSite, tmp_path: Path) -> None:
    """Calls, requests and pictures, twice in one context; earlier attempts and those that succeed leave none."""
    child = Child(tmp_path / "worker", lot.url, trace=True)
    try:
        child.ready()
        child.log_in()
        for number, (ref, last, traced) in enumerate(
            [("empty", False, False), ("no-such-vehicle", True, True), ("two", True, False), ("empty", True, True)], 1
        ):
            answer, staging = assign(child, number, ref, last=last)
            assert isinstance(answer, Succeeded if ref == "two" else Failed), child.said()
            trace = staging / "evidence" / "trace.zip"
            assert trace.exists() == traced, child.said()
            if traced:
                with zipfile.ZipFile(trace) as archive:
                    names = set(archive.namelist())
                    assert {"trace.trace", "trace.network"} <= names
                    assert any(name.startswith("resources/") for name in names)
                    assert ref.encode() in archive.read("trace.network")
    finally:
        child.end()
