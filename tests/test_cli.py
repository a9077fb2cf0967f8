"""The command line as a person meets it: one clear sentence, the documented exit code, never a traceback."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from supervisor import cli
from supervisor.commands import options
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.status import write_status
from tests.views.snapshots import busy, run_view

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 60.0
SECRET = {"LOT_PASSWORD": "x"}
COMMANDS = tuple(cli._COMMANDS)

RECIPE = """
import os
from worker.site import Site
class Lot(Site):
    name = "lot"
    start_url = "https://lot.example/inventory"
    secrets = ("LOT_PASSWORD",)
    async def log_in(self, visit): ...
    async def is_logged_in(self, visit): ...
    async def export_inventory(self, visit): ...
    async def process(self, visit, reference): ...
class Chatty(Lot):
    print("a recipe may print")
class Raises(Lot):
    def __init__(self):
        raise ValueError("no such account")
class Leaves(Lot):
    def __init__(self):
        os._exit(3)
"""


def run(*arguments: str, stdin: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTFLEET_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**clean, **environ},
        check=False,
    )


def refused(*arguments: str, code: int = 2, environ: dict[str, str] | None = None) -> str:
    """Run a command that must be refused, and return its one sentence."""
    result = run(*arguments, **(environ or {}))
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("nightfleet: ")
    return lines[0].removeprefix("nightfleet: ")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe file with a good class and some bad ones."""
    path = tmp_path / "lot.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    """A run directory with three pending references."""
    directory = RunDirectory(tmp_path / "night")
    directory.create()
    with Ledger.create(directory.ledger, site="demo", wall=time.time()) as ledger:
        ledger.import_references(["A-1", "A-2", "A-3"])
    return directory


def test_help_is_quick_and_begins_with_examples() -> None:
    """--help shows every command and exit code; it imports no command, no view and no browser."""
    started = time.perf_counter()
    result = run("--help")
    sys.stdout.write(f"run.py --help took {time.perf_counter() - started:.3f} s\n")
    assert result.returncode == 0
    assert result.stdout.index("Examples") < result.stdout.index("Commands")
    for part in (*COMMANDS, *(f"  {code}  " for code in range(6))):
        assert part in result.stdout
    code = "import sys; from supervisor import cli; cli.main(['--help']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    modules = set(loaded.stdout.splitlines()[-1].split())
    assert not modules & {"rich", "msgspec", "sqlite3", "playwright", "supervisor.config"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_commands_help_begins_with_examples_and_tells_defaults(command: str) -> None:
    """Examples first; each option says what holds without it."""
    result = run(command, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Examples\n  python run.py " + command)
    for option in re.split(r"\n  (?:-\w, )?--", result.stdout.partition("Options:")[2])[1:]:
        has_none = "[required]" in option or option.startswith(("help", "config", "column"))
        assert has_none or "default:" in option, option


def test_wrong_usage_is_answered_in_one_sentence() -> None:
    """Typing errors are met with the nearest name, everything with where to read on."""
    assert refused("strat") == "there is no command 'strat'; did you mean start? (see python run.py --help)"
    assert "commands are demo, start" in refused("qqqqqq")
    assert refused("status") == "missing argument 'DIR' (see python run.py status --help)"
    sentence = refused("start", "demo", "--run-dir", "x", "--wrokers", "3")
    assert "no such option '--wrokers'" in sentence
    assert "'--workers'" in sentence, "the nearest is named"
    assert "missing option '--run-dir'" in refused("start", "demo")
    assert "'zero'" in refused("logs", "x", "--worker", "zero")
    assert "0 is not in the range" in refused("demo", "--vehicles", "0")
    assert "--column needs --refs" in refused("start", "demo", "--run-dir", "x", "--column", "a")
    result = run()
    assert result.returncode == 2
    assert "Commands" in result.stderr


@pytest.mark.parametrize("command", [("demo",), ("start", "demo", "--run-dir", "x"), ("doctor",)])
def test_settings_are_refused_before_anything_starts(command: tuple[str, ...], tmp_path: Path) -> None:
    """A nonsense setting from any source is exit 2, and no run directory has appeared."""
    file = tmp_path / "night.toml"
    file.write_text("task_timeot = 3\n")
    sentence = refused(*command, "--workers", "0")
    assert sentence.startswith(
        "the setting num_workers is 0 (flag --workers), but it must be a whole number, at least 1"
    )
    assert "(environment variable NIGHTFLEET_TASK_TIMEOUT)" in refused(
        *command, environ={"NIGHTFLEET_TASK_TIMEOUT": "soon"}
    )
    assert "did you mean task_timeout?" in refused(*command, "--config", str(file))
    assert "did you mean NIGHTFLEET_MAX_RETRIES?" in refused(*command, environ={"NIGHTFLEET_MAX_RETRY": "1"})
    assert "stuck_threshold" in refused(*command, "--task-timeout", "10", "--stuck-threshold", "10")
    assert not (ROOT / "x").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Raises", "ValueError: no such account"),
        ("Leaves", "ended the process that loaded it (exit code 3)"),
        ("None_", "has no class"),
        ("os", "is not a subclass"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(name: str, reason: str, recipe: Path, tmp_path: Path) -> None:
    """A recipe that raises, ends the process or lacks the class is exit 2, and nothing was made."""
    target = tmp_path / "night"
    assert reason in refused("start", f"{recipe}:{name}", "--run-dir", str(target), environ=SECRET)
    assert not target.exists()


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, and a SITE that is nothing known."""
    target = str(tmp_path / "night")
    assert "does not exist" in refused("start", f"{tmp_path}/none.py:Lot", "--run-dir", target)
    assert "demo" in refused("start", "lott", "--run-dir", target)
    broken = tmp_path / "broken.py"
    broken.write_text("class Lot(:\n")
    assert "SyntaxError" in refused("start", f"{broken}:Lot", "--run-dir", target)


def test_a_missing_secret_is_named(recipe: Path, tmp_path: Path) -> None:
    """Unset, or its file is missing, open to others, empty or a pipe: exit 2, the variable named, no value shown."""
    target, site = str(tmp_path / "night"), f"{recipe}:Chatty"
    assert "set the environment variable LOT_PASSWORD, or LOT_PASSWORD_FILE" in refused(
        "start", site, "--run-dir", target
    )
    secret = tmp_path / "secret"
    refuse = ("start", site, "--run-dir", target)
    assert "cannot be read: no such file" in refused(*refuse, environ={"LOT_PASSWORD_FILE": str(secret)})
    secret.write_text("hunter2")
    secret.chmod(0o644)
    sentence = refused(*refuse, environ={"LOT_PASSWORD_FILE": str(secret)})
    assert "chmod 600" in sentence
    assert "hunter2" not in sentence
    secret.write_text("")
    secret.chmod(0o600)
    assert "is empty" in refused(*refuse, environ={"LOT_PASSWORD_FILE": str(secret)})
    secret.unlink()
    os.mkfifo(secret, 0o600)  # it can be read once, and is needed by every worker
    assert "no ordinary file" in refused(*refuse, environ={"LOT_PASSWORD_FILE": str(secret)})


def test_a_run_directory_that_cannot_be_one_is_refused(recipe: Path, tmp_path: Path) -> None:
    """A file, somebody's folder, no name, a place that does not exist: nothing in it is touched."""
    site = f"{recipe}:Lot"
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    assert "is a file" in refused("start", site, "--run-dir", str(file), environ=SECRET)
    assert "not empty" in refused("start", site, "--run-dir", str(folder), environ=SECRET)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert "it is empty; a path is needed" in refused("start", site, "--run-dir", "", environ=SECRET)
    for command in ("status", "logs", "verify", "stop"):
        assert "it is empty; a path is needed" in refused(command, "")
        assert "does not exist" in refused(command, str(tmp_path / "none"))
        assert "no run directory" in refused(command, str(folder))


def test_what_is_no_text_is_refused(run_dir: RunDirectory, recipe: Path, tmp_path: Path) -> None:
    """Linux passes any bytes on a command line; ledger and messages hold text alone, and nobody is told of an error."""
    stray = os.fsdecode(b"\xff")
    site, odd = f"{recipe}:Lot", str(tmp_path / stray)
    assert "no text in UTF-8" in refused("start", site, "--run-dir", odd, environ=SECRET)
    assert "no text in UTF-8" in refused("check", f"{odd}.toml")
    assert not os.path.lexists(odd)
    for command in ("retry", "explain"):
        assert "has no reference" in refused(command, str(run_dir.path), stray)
    os.mkdir(odd)  # noqa: PTH102 - as the bytes that they are
    for command in ("status", "verify", "stop"):
        assert "no text in UTF-8" in refused(command, odd)


def test_a_browser_that_is_none_is_refused(recipe: Path, tmp_path: Path) -> None:
    """A program that is no browser is exit 2, whichever way it was named."""
    start = ("start", f"{recipe}:Lot", "--run-dir", str(tmp_path / "night"))
    assert "(flag --browser) is not one" in refused(*start, "--browser", "/bin/ls", environ=SECRET)
    sentence = refused(*start, environ=SECRET | {"NIGHTFLEET_BROWSER": "/nowhere/chrome"})
    assert "(environment variable NIGHTFLEET_BROWSER) is not one: there is no such file" in sentence


def test_a_run_directory_in_use_is_refused_with_the_pid(run_dir: RunDirectory, recipe: Path) -> None:
    """A second supervisor is exit 5 and names the first one's pid."""
    site = f"{recipe}:Lot"
    with run_dir.lock():
        sentence = refused("start", site, "--run-dir", str(run_dir.path), code=5, environ=SECRET)
    assert f"pid {os.getpid()}" in sentence


def test_status_without_a_supervisor_comes_from_the_ledger(run_dir: RunDirectory) -> None:
    """status.json of a killed run is old: the counts are the ledger's, and it is said that nobody is at work."""
    write_status(run_dir.status, busy())
    result = run("status", str(run_dir.path))
    assert result.returncode == 0, result.stderr
    assert "not running (killed?) since 2026-11-24T23:20:59.000Z" in result.stdout
    assert "pending 3" in result.stdout
    answer = msgspec.json.decode(run("status", str(run_dir.path), "--json").stdout)
    assert answer["running"] is False
    assert answer["totals"]["pending"] == answer["totals"]["total"] == 3
    run_dir.status.unlink()
    assert "pending 3" in run("status", str(run_dir.path)).stdout


def test_status_of_a_living_run_is_its_own(run_dir: RunDirectory) -> None:
    """While the supervisor lives, what it wrote is shown, workers too."""
    start = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    write_status(run_dir.status, busy(run=run_view(pid=os.getpid(), pid_start=start)))
    result = run("status", str(run_dir.path))
    assert f"running, pid {os.getpid()}" in result.stdout
    assert "A-1005" in result.stdout
    assert msgspec.json.decode(run("status", str(run_dir.path), "--json").stdout)["running"] is True


def test_watching_ends_with_the_run(run_dir: RunDirectory) -> None:
    """--watch on a run that is over says so and returns."""
    write_status(run_dir.status, busy(run=run_view(state="finished", exit_code=3, reason="stopped")))
    result = run("status", str(run_dir.path), "--watch")
    assert result.returncode == 0
    assert "with exit code 3; the same start command goes on" in result.stdout
    assert "exclude each other" in refused("status", str(run_dir.path), "--watch", "--json")


def test_logs_are_printed_and_a_reader_that_leaves_is_no_trouble(run_dir: RunDirectory) -> None:
    """`logs DIR | head -1` ends quietly."""
    line = "2026-11-24T22:10:01.123Z INFO worker=1 ref=A-1 attempt=1 text\n"
    (run_dir.logs / "worker-1.log").write_text(line * 20_000)
    assert run("logs", str(run_dir.path), "--worker", "1").stdout == line * 20_000
    script = f"{sys.executable} {ROOT}/run.py logs {run_dir.path} | head -1"
    result = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (result.stdout, result.stderr) == (line, "")


def test_output_on_a_full_disk_is_the_machines_trouble(run_dir: RunDirectory) -> None:
    """One sentence and its exit code, and no complaint of Python's when it ends with words in its hands."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, str(ROOT / "run.py"), "verify", str(run_dir.path)]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False)
    assert (result.returncode, result.stderr) == (5, "nightfleet: there is no room left\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_whoever_closes_our_input_or_output_gets_no_file_of_ours_there(run_dir: RunDirectory, closed: str) -> None:
    """No descriptor of the three is left free for a document or the lock; the command does what it was asked."""
    script = f"{sys.executable} {ROOT}/run.py report {run_dir.path} {closed}"
    result = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert bool(result.stdout) == (">&-" not in closed.split())
    there = "import os, sys, supervisor.cli as c; c.main(['completion', 'bash']); print(*map(os.fstat, range(3)))"
    done = subprocess.run(["/bin/sh", "-c", f'{sys.executable} -c "{there}" {closed}'], check=False, cwd=ROOT)
    assert done.returncode == 0


def test_a_folder_that_is_gone_under_our_feet_is_no_error_of_the_program(tmp_path: Path) -> None:
    """What is relative to it cannot be found; one sentence says why."""
    script = (
        f"mkdir {tmp_path}/x && cd {tmp_path}/x && rmdir {tmp_path}/x && {sys.executable} {ROOT}/run.py status night"
    )
    result = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=False)
    said = "nightfleet: the present folder is gone; go to another one\n"
    assert (result.returncode, result.stderr) == (5, said)


def test_a_terminal_that_is_gone_is_no_error_of_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lost connection stops a run; what it would have said at last is heard by nobody, and the exit code stands."""

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sys, "stderr", Gone())
    options.say("the run was stopped")
    assert cli.main(["status", str(tmp_path / "none")]) == 2


HOLDER = """
import signal, sys
from pathlib import Path
from supervisor.shell.run_directory import RunDirectory
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
with RunDirectory(Path(sys.argv[1])).lock():
    print("ready", flush=True)
    for _ in range(int(sys.argv[2])):
        signal.sigwait({signal.SIGTERM})
        print("told", flush=True)
"""


@pytest.mark.parametrize(("flags", "signals"), [((), 1), (("--now",), 2)])
def test_stop_tells_exactly_the_supervisor(flags: tuple[str, ...], signals: int, run_dir: RunDirectory) -> None:
    """The process that holds the run directory gets SIGTERM once, with --now twice; without one nothing is done."""
    holder = [sys.executable, "-c", HOLDER, str(run_dir.path), str(signals)]
    with subprocess.Popen(holder, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        result = run("stop", str(run_dir.path), *flags)
        assert f"pid {process.pid}" in result.stdout
        assert result.returncode == 0
        assert process.wait(DEADLINE) == 0
    assert "no run is active" in run("stop", str(run_dir.path)).stdout


def test_a_pid_that_passed_to_another_process_is_left_alone(run_dir: RunDirectory) -> None:
    """The lock names a process by pid and start time: a stranger with the same pid gets no signal."""
    from supervisor.commands import stop  # noqa: PLC0415 - only this test looks inside

    got: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, _: got.append(number))
    try:
        stop._signal(os.getpid(), start_time=1)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert not got


def test_an_error_of_the_program_is_one_sentence_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is raised, the terminal shows one sentence, and the file it names has the traceback for us alone."""
    run_dir = RunDirectory(tmp_path / "night")
    run_dir.create()

    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli._commands, "main", explode)
    monkeypatch.setattr(sys, "argv", ["run.py", "start", "demo", f"--run-dir={run_dir.path}"])
    assert cli.main([]) == 5
    said = capsys.readouterr().err
    assert said.startswith("nightfleet: an error of the program itself (ZeroDivisionError)")
    assert said.count("\n") == 1
    (file,) = run_dir.logs.glob("nightfleet-crash-*.txt")
    assert str(file) in said
    assert "a bug" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_doctor_says_what_is_wrong_and_ends_with_5(recipe: Path) -> None:
    """A browser that is none and a recipe without its secret are two failures; the rest is still looked at."""
    result = run("doctor", f"{recipe}:Lot", "--browser", "/bin/ls")
    assert result.returncode == 5, result.stdout
    failed = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert {"browser", "secrets"} <= set(failed)
    for name in ("python", "open files", "memory", "shared memory", "temporary files", "run directory", "clock"):
        assert f"  {name} " in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.browser
def test_doctor_starts_the_browser() -> None:
    """On a machine with a browser its page is shown."""
    result = run("doctor")
    assert "browser starts   it showed a page" in result.stdout


def test_a_window_without_a_screen_is_refused(recipe: Path) -> None:
    """Before a browser is started that would fail with a page of text."""
    screenless = {**SECRET, "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    for command in (("check", f"{recipe}:Lot"), ("start", f"{recipe}:Lot", "--run-dir", str(recipe.parent / "night"))):
        said = refused(*command, "--headed", code=5, environ=screenless)
        assert said.startswith("a headed browser needs a screen, and there is none")
