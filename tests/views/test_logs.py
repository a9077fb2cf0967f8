"""Logs: many files as one stream in the order of time, harmless on a terminal, through rotations."""

from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.views import logs

ALL = logs.Wanted()


def line(second: int, text: str, level: str = "INFO") -> str:
    return f"2026-11-24T22:10:{second:02}.123Z {level} {text}\n"


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    """Supervisor, workers and rotated files come out as one story; a traceback stays with its line."""
    (tmp_path / "supervisor.log").write_text(line(1, "supervisor begins") + line(9, "supervisor ends"))
    (tmp_path / "worker-1.log").write_text(
        line(5, "worker=1 third") + "Traceback\n  more\n" + line(6, "worker=1 fourth")
    )
    (tmp_path / "worker-1.2026-11-24_22-10-04_000000.log").write_text(line(2, "worker=1 first"))
    (tmp_path / "worker-2.log").write_text(line(3, "worker=2 second"))
    (tmp_path / "notes.txt").write_text("not a log")
    found = [entry.rpartition("Z ")[2] for entry in logs.merged(tmp_path, ALL)]
    assert found == [
        "INFO supervisor begins",
        "INFO worker=1 first",
        "INFO worker=2 second",
        "INFO worker=1 third",
        "Traceback",
        "  more",
        "INFO worker=1 fourth",
        "INFO supervisor ends",
    ]


def test_a_workers_lines_are_its_own_and_what_is_said_about_it(tmp_path: Path) -> None:
    """Worker 1 is not worker 12; the supervisor's lines about it belong to the story."""
    for name in ("worker-1", "worker-12", "worker-1.2026-11-24_22-10-04_000000"):
        (tmp_path / f"{name}.log").write_text(line(1, name))
    (tmp_path / "supervisor.log").write_text(
        line(2, "supervisor worker=1 killed") + "    stack\n" + line(3, "supervisor worker=12 killed") + "    stack\n"
    )
    found = [entry.rpartition("INFO ")[2] for entry in logs.merged(tmp_path, logs.Wanted(worker=1))]
    assert sorted(found[:2]) == ["worker-1", "worker-1.2026-11-24_22-10-04_000000"]
    assert found[2:] == ["supervisor worker=1 killed", "    stack"]
    assert list(logs.merged(tmp_path, logs.Wanted(worker=3))) == []
    assert list(logs.merged(tmp_path / "none", ALL)) == []


TEXT = """\
2026-11-24T22:10:01.123Z DEBUG worker=1 ref=A-1 attempt=1 opened
2026-11-24T22:10:02.123Z WARNING worker=1 ref=A-1 attempt=1 failed
    Traceback
2026-11-24T22:10:03.123Z ERROR supervisor worker=1 ref="A 2" attempt=2 failed for good
2026-11-24T22:10:04.123Z INFO worker=1 ref=A-10 attempt=3 opened
2026-11-24T22:10:05.123Z INFO supervisor ref=A-1 set aside
"""
JSON = """\
{"time": "2026-11-24T22:10:01.123Z", "level": "DEBUG", "worker": 1, "ref": "A-1", "message": "opened"}
{"time": "2026-11-24T22:10:02.123Z", "level": "WARNING", "worker": 1, "ref": "A-1", "message": "failed\\nTraceback"}
{"time": "2026-11-24T22:10:03.123Z", "level": "ERROR", "worker": 1, "ref": "A 2", "message": "failed for good"}
{"time": "2026-11-24T22:10:04.123Z", "level": "INFO", "worker": 1, "ref": "A-10", "message": "opened"}
{"time": "2026-11-24T22:10:05.123Z", "level": "INFO", "worker": 0, "ref": "A-1", "message": "set aside"}
"""


@pytest.mark.parametrize("content", [TEXT, JSON], ids=["text", "json"])
@pytest.mark.parametrize("follow", [False, True], ids=["merged", "followed"])
def test_lines_are_filtered_by_reference_and_level(content: str, follow: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """In both formats, at once and while they come; what belongs to a line is shown and left out with it."""

    def seconds(**wanted: str) -> list[str]:
        (tmp_path / "worker-1.log").write_text("" if follow else content)
        steps = rounds(lambda: append(tmp_path / "worker-1.log", content))
        chosen = logs.Wanted(**wanted)  # type: ignore[arg-type] # only its texts are asked for here
        found = list(logs.follow(tmp_path, steps, chosen) if follow else logs.merged(tmp_path, chosen))
        return [entry.partition("22:10:0")[2][:1] or entry.strip() for entry in found]

    stack = ["Traceback"] if content is TEXT else []
    assert seconds() == ["1", "2", *stack, "3", "4", "5"]
    assert seconds(ref="A-1") == ["1", "2", *stack, "5"]
    assert seconds(ref="A 2") == ["3"]
    assert seconds(level="WARNING") == ["2", *stack, "3"]
    assert seconds(level="ERROR", ref="A-1") == []


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"time": "2026-11-24T22:10:01.123Z", "level": "INF',
        b'{"a": 1}',
        b"[]",
        b"{",
        b'2026-11-24T22:10:01Z INFO ref="x',
    ],
)
def test_a_damaged_line_is_shown_all_the_same(damaged: bytes, tmp_path: Path) -> None:
    """Nothing that stands in a log file can end the command."""
    (tmp_path / "worker-1.log").write_bytes(damaged + b"\n" + line(2, "next").encode())
    assert len(list(logs.merged(tmp_path, ALL))) == 2
    assert list(logs.merged(tmp_path, logs.Wanted(ref="none"))) == []


def test_what_is_followed_comes_in_the_order_of_time(tmp_path: Path) -> None:
    """Lines of one round from several files are merged, whichever file is looked at first."""

    def both() -> None:
        append(tmp_path / "supervisor.log", line(3, "third"))
        append(tmp_path / "worker-1.log", line(2, "second") + line(4, "fourth"))

    found = [entry.rpartition("INFO ")[2] for entry in logs.follow(tmp_path, rounds(both), ALL)]
    assert found == ["second", "third", "fourth"]


def test_json_lines_are_merged_and_stay_json(tmp_path: Path) -> None:
    """With --log-json each line has its time in a key."""
    (tmp_path / "supervisor.log").write_text('{"time": "2026-11-24T22:10:02.123Z", "message": "b\\u001b[31m"}\n')
    (tmp_path / "worker-1.log").write_text('{"level": "INFO", "time": "2026-11-24T22:10:01.123Z", "message": "a"}\n')
    first, second = logs.merged(tmp_path, ALL)
    assert '"message": "a"' in first
    assert "\\u001b" in second
    assert "\x1b" not in second


def test_what_a_site_sent_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Escapes, bells, reversed writing and bytes that are no text come out as marks; a long line is cut."""
    (tmp_path / "worker-1.log").write_bytes(line(1, "a\x1b[2Jb\x07c\u202ed").encode() + b"\xff\xfe\n" + b"x" * 200_000)
    found = list(logs.merged(tmp_path, ALL))
    assert all(entry.isprintable() and len(entry) <= 4000 for entry in found)
    assert "a�[2Jb�c�d" in found[0]


def rounds(*steps: Callable[[], object]) -> Callable[[], bool]:
    """Return a `wait` that takes one step each time and then ends the following."""
    left = list(steps)

    def wait() -> bool:
        if left:
            left.pop(0)()
            return True
        return False

    return wait


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_following_shows_what_is_added_through_a_rotation(tmp_path: Path) -> None:
    """Old lines are not shown, half lines not before their end, and none is lost when the file is put aside."""
    path = tmp_path / "worker-1.log"
    path.write_text(line(1, "old"))

    def rotate() -> None:
        append(path, "lf\n" + line(3, "last of the old file"))
        path.rename(tmp_path / "worker-1.2026-11-24_22-10-04_000000.log")
        append(path, line(4, "first of the new file"))

    steps = rounds(
        lambda: append(path, line(2, "fresh") + "ha"),
        rotate,
        lambda: append(tmp_path / "worker-2.log", line(5, "another worker")),
        lambda: append(tmp_path / "spare.log", line(6, "the spare worker")),
        lambda: append(tmp_path / "page.log", line(7, "the status page")),
    )
    found = [entry.rpartition("INFO ")[2] for entry in logs.follow(tmp_path, steps, ALL)]
    assert found[:5] == ["fresh", "half", "last of the old file", "first of the new file", "another worker"]
    assert found[5:] == ["the spare worker", "the status page"]
