"""The pictures for the status page: taken during attempts only, private, and never in the way."""

import stat
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.worker.child import DEADLINE, Child
from tests.worker.lot_site import LotSite
from worker.protocol import Adopt, Assign, Failed, Kind, Ready

pytestmark = pytest.mark.browser


def test_a_picture_is_taken_during_attempts_and_disturbs_none(lot: LotSite, tmp_path: Path) -> None:
    """None of a login; a page that hangs ends as it would without; a small one, for its owner, again and again.

    A spare that got its slot takes them for that slot's place: a page would show for ever what the last worker saw.
    """
    path, spares = tmp_path / "worker-1.jpg", tmp_path / "worker-0.jpg"
    child = Child(tmp_path / "child", lot.url, picture_file=str(spares), picture_interval=0.1)
    try:
        child.ready()
        child.send(Adopt(1, 1, str(child.log), str(path)))
        child.log_in()
        assert not path.exists()
        child.send(Assign(1, "spin", 1, False, str(tmp_path / "one"), 60.0))
        assert child.expect(Failed).kind is Kind.PAGE_HUNG
        child.expect(Ready)
        path.unlink(missing_ok=True)
        child.send(Assign(2, "idle", 1, False, str(tmp_path / "two"), 300.0))
        first = _next_picture(child, path, 0)
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (512, 384))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        _next_picture(child, path, first)
        assert not spares.exists()
    finally:
        child.end()


def _next_picture(child: Child, path: Path, former: int) -> int:
    """Wait for a picture that is not the former one; return what tells it from others."""
    last = time.monotonic() + DEADLINE
    while not path.exists() or path.stat().st_mtime_ns == former:
        assert time.monotonic() < last, child.said()
        child.beat()
    return path.stat().st_mtime_ns
