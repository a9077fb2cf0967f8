"""Logs: many files as one stream in the order of time, harmless on a terminal, through rotations."""

from collections.abc import Callable
from pathlib import Path

from supervisor.views import logs


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
    found = [entry.rpartition("Z ")[2] for entry in logs.merged(tmp_path)]
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


def test_one_workers_lines_are_its_files(tmp_path: Path) -> None:
    """Worker 1 is not worker 12."""
    for name in ("supervisor", "worker-1", "worker-12", "worker-1.2026-11-24_22-10-04_000000"):
        (tmp_path / f"{name}.log").write_text(line(1, name))
    found = [entry.rpartition(" ")[2] for entry in logs.merged(tmp_path, worker=1)]
    assert sorted(found) == ["worker-1", "worker-1.2026-11-24_22-10-04_000000"]
    assert list(logs.merged(tmp_path, worker=3)) == []
    assert list(logs.merged(tmp_path / "none")) == []


def test_json_lines_are_merged_and_stay_json(tmp_path: Path) -> None:
    """With --log-json each line has its time in a key."""
    (tmp_path / "supervisor.log").write_text('{"time": "2026-11-24T22:10:02.123Z", "message": "b\\u001b[31m"}\n')
    (tmp_path / "worker-1.log").write_text('{"level": "INFO", "time": "2026-11-24T22:10:01.123Z", "message": "a"}\n')
    first, second = logs.merged(tmp_path)
    assert '"message": "a"' in first
    assert "\\u001b" in second
    assert "\x1b" not in second


def test_what_a_site_sent_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Escapes, bells, reversed writing and bytes that are no text come out as marks; a long line is cut."""
    (tmp_path / "worker-1.log").write_bytes(line(1, "a\x1b[2Jb\x07c\u202ed").encode() + b"\xff\xfe\n" + b"x" * 200_000)
    found = list(logs.merged(tmp_path))
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
    )
    found = [entry.rpartition("INFO ")[2] for entry in logs.follow(tmp_path, steps)]
    assert found == ["fresh", "half", "last of the old file", "first of the new file", "another worker"]
