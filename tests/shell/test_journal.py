"""The supervisor's log: each line in its form, in its order, and a slow disk never stops whoever speaks."""

import json
import re
import subprocess
import sys
from pathlib import Path

from supervisor.core.commands import Say
from supervisor.shell.journal import Journal


def test_a_line_names_time_level_worker_reference_and_attempt(tmp_path: Path) -> None:
    """The text form is one line for each sentence, with everything a search needs."""
    journal = Journal(tmp_path / "supervisor.log", as_json=False, rotation=10**6, retention=1)
    journal.say(Say("INFO", "completed, 3 documents", 2, "A 1", 17))
    journal.note("the night begins")
    journal.close()
    first, second = (tmp_path / "supervisor.log").read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf'{stamp} INFO supervisor worker=2 ref="A 1" attempt=17 completed, 3 documents', first)
    assert re.fullmatch(rf"{stamp} INFO supervisor the night begins", second)


def test_json_lines_are_json(tmp_path: Path) -> None:
    """With --log-json every line is one object, whatever is in the sentence."""
    journal = Journal(tmp_path / "supervisor.log", as_json=True, rotation=10**6, retention=1)
    journal.say(Say("WARNING", 'a "quote", a {brace} and a\nnew line', 1, "ü", 3))
    journal.close()
    (line,) = (tmp_path / "supervisor.log").read_text().splitlines()
    found = json.loads(line)
    assert (found["message"], found["ref"], found["attempt"]) == ('a "quote", a {brace} and a\nnew line', "ü", 3)


def test_what_a_person_should_see_is_kept_at_hand(tmp_path: Path) -> None:
    """Warnings, and sentences about the run itself, are among the last notices; routine completions are not."""
    journal = Journal(tmp_path / "supervisor.log", as_json=False, rotation=10**6, retention=1)
    journal.say(Say("INFO", "completed", 1, "A", 1))
    journal.say(Say("WARNING", "timeout", 1, "B", 2))
    journal.close()
    assert [notice.text for notice in journal.recent] == ["worker 1: B: timeout"]


def test_many_failures_do_not_push_out_what_the_watchdog_did(tmp_path: Path) -> None:
    """Failures of attempts and everything else are kept apart; routine is neither."""
    journal = Journal(tmp_path / "supervisor.log", as_json=False, rotation=10**6, retention=1)
    journal.say(Say("WARNING", "silent for 30 s", 1, "A", 1, incident="killed"))
    for attempt in range(50):
        journal.say(Say("WARNING", "timeout", 1, "B", attempt + 1))
        journal.say(Say("INFO", "queue: 3 completed"))
    journal.close()
    assert [notice.text for notice in journal.recent if not notice.failure] == ["worker 1: A: silent for 30 s"]
    assert len(journal.recent) == 11


def test_the_log_is_rotated_and_old_files_go(tmp_path: Path) -> None:
    """The log takes a bounded amount of the disk."""
    journal = Journal(tmp_path / "supervisor.log", as_json=False, rotation=2_000, retention=2)
    for number in range(300):
        journal.note(f"line {number} " + "x" * 50)
    journal.close()
    files = list(tmp_path.iterdir())
    assert 1 < len(files) <= 3


FULL = """
import resource, sys
from pathlib import Path
from supervisor.shell.journal import Journal
class Full(Journal):
    def _write(self, said):
        super()._write(said)
        if self._lost == 2:  # the disk has room again
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
former = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, former[1]))
journal = Full(Path(sys.argv[1]), as_json=False, rotation=10**6, retention=1)
journal.note("first")
journal.note("second", "WARNING")
while journal._lost != 2: pass
journal.note("third")
journal.close()
"""


def test_a_full_disk_loses_lines_and_says_how_many(tmp_path: Path) -> None:
    """Nothing of them goes to the terminal; when there is room again, the log tells that some are missing."""
    log = tmp_path / "supervisor.log"
    done = subprocess.run([sys.executable, "-c", FULL, log], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = [line.partition("Z ")[2] for line in log.read_text("utf-8").splitlines()[-2:]]
    assert lines[0].endswith("WARNING supervisor 2 lines were left out here, because the disk was full or too slow")
    assert lines[1] == "INFO supervisor third"
