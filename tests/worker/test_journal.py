"""The lines of a worker's log: who, about what, and no secret in any of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
from loguru import logger

from worker.journal import Journal
from worker.masking import Mask
from worker.protocol import Adopt
from worker.settings import WorkerSettings

PASSWORD = "harbour lane 7"  # noqa: S105 - of nobody


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[WorkerSettings]:
    """Settings of a worker whose log is in a folder of its own; loguru is as it was afterwards."""
    yield WorkerSettings(3, 7, "", "", str(tmp_path / "worker-3.log"), "", 0, "")
    logger.remove()
    logger.configure(patcher=lambda _record: None)


def written(settings: WorkerSettings) -> tuple[str, list[str]]:
    """Have a worker write some lines, and take another's place; return both of its logs."""
    mask = Mask()
    mask.add(PASSWORD)
    journal = Journal(settings, mask)
    journal.open()
    logger.info("starts")
    journal.ref, journal.attempt = "LOT 7 12", 5
    logger.warning("typed {} at https://me:pw@lot.example/?token=abc", PASSWORD)
    try:
        password = PASSWORD
        raise ValueError(f"wrong: {password}")  # noqa: TRY301 - a traceback with a secret is what this is about
    except ValueError:
        logger.exception("failed")
    other = Path(settings.log_file).with_name("worker-1.log")
    journal.move(Adopt(1, 9, str(other)))
    journal.close()
    return Path(settings.log_file).read_text("utf-8"), other.read_text("utf-8").splitlines()


def test_a_line_says_who_and_about_what_and_no_secret(settings: WorkerSettings) -> None:
    """Neither in messages nor in tracebacks, where values of variables stay out; a traceback is one entry."""
    text, others = written(settings)
    lines = text.splitlines()
    assert lines[0].partition(" ")[2] == "INFO worker=3 starts"
    assert lines[1].partition(" ")[2] == (
        'WARNING worker=3 ref="LOT 7 12" attempt=5 typed *** at https://***@lot.example/?token=***'
    )
    assert lines[2].endswith(" attempt=5 failed")
    traceback = [line for line in lines[3:] if line.startswith("    ")]
    assert traceback[0] == "    Traceback (most recent call last):"
    assert traceback[-1] == "    ValueError: wrong: ***"
    assert "harbour" not in text
    assert "takes the place of worker 1" in lines[-1]
    assert [line.partition(" worker=")[2].partition(" ")[0] for line in others] == ["1"]


def test_as_json_a_line_is_one_object(settings: WorkerSettings) -> None:
    """With the same in it."""
    text, _ = written(msgspec.structs.replace(settings, log_json=True))
    entries = [cast("dict[str, object]", json.loads(line)) for line in text.splitlines()]
    assert {"worker": 3, "incarnation": 7, "ref": "LOT 7 12", "attempt": 5, "level": "ERROR"}.items() <= entries[
        2
    ].items()
    assert str(entries[2]["message"]).endswith("ValueError: wrong: ***")
    assert "harbour" not in text
