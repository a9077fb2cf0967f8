"""The browser: the search order, refusals of what is none, and getting one where there is none, with fake programs."""

import os
import select
import time
from pathlib import Path

import pytest

from supervisor import chromium, external
from supervisor.chromium import Browser, NoBrowserError, NotABrowserError

BROWSER = '#!/bin/sh\necho "Chromium 156.0.1.2 built on a test"\n'


def program(path: Path, script: str = BROWSER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without any browser: PATH has a shell's few tools only, Playwright's folder is empty."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "builds")}


def found(environ: dict[str, str], *, headed: bool = False) -> str | None:
    browser = chromium.find("", "", headed=headed, environ=environ)
    return browser.path if browser else None


def test_the_search_order_is_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    """Each browser put before the others in the order is the one that is taken."""
    assert found(environ) is None
    for name in ("google-chrome", "chromium", "chromium-headless-shell"):
        path = program(tmp_path / "bin" / name)
        assert found(environ) == str(path)
    for folder in ("chromium-900/chrome-linux/chrome", "chromium_headless_shell-900/chrome-linux/headless_shell"):
        path = program(tmp_path / "builds" / folder)
        assert found(environ) == str(path)
    newer = program(
        tmp_path / "builds/chromium_headless_shell-1100/chrome-headless-shell-linux64/chrome-headless-shell"
    )
    assert found(environ) == str(newer)
    named = program(tmp_path / "mine")
    browser = chromium.find(str(named), "flag --browser", headed=False, environ=environ)
    assert browser == Browser(str(named), "156.0.1.2", "flag --browser")


def test_playwrights_own_revision_comes_before_a_newer_one(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build that this Playwright was made for is taken even where another program left a newer one."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "browsers.json").write_text('{"browsers": [{"name": "chromium-headless-shell", "revision": "900"}]}')
    monkeypatch.setattr(chromium, "_playwright_package", lambda: package)
    own = program(tmp_path / "builds/chromium_headless_shell-900/chrome-linux/headless_shell")
    program(tmp_path / "builds/chromium_headless_shell-1000/chrome-linux/headless_shell")
    assert found(environ) == str(own)


def test_windows_need_a_full_browser(tmp_path: Path, environ: dict[str, str]) -> None:
    """A headless shell is passed over when windows are wanted."""
    program(tmp_path / "bin" / "chromium-headless-shell")
    program(tmp_path / "builds/chromium_headless_shell-900/chrome-linux/headless_shell")
    assert found(environ, headed=True) is None
    full = program(tmp_path / "bin" / "chromium")
    assert found(environ, headed=True) == str(full)


def test_a_broken_one_on_the_way_is_passed_over(tmp_path: Path, environ: dict[str, str]) -> None:
    """A half-installed browser does not keep the next one from being found."""
    program(tmp_path / "bin" / "chromium-headless-shell", "#!/bin/sh\nexit 127\n")
    good = program(tmp_path / "bin" / "chromium")
    assert found(environ) == str(good)


def test_a_browser_is_asked_twice_before_another_is_taken(tmp_path: Path, environ: dict[str, str]) -> None:
    """One answer that did not come, or came wrong, is no reason to pass over it, or to fetch another browser."""
    asked = tmp_path / "asked"
    script = f'#!/bin/sh\n[ -e {asked} ] || {{ echo > {asked}; echo "Chromium is busy"; exit 1; }}\n{BROWSER[10:]}'
    first = program(tmp_path / "bin" / "chromium-headless-shell", script)
    program(tmp_path / "bin" / "chromium")
    assert found(environ) == str(first)
    asked.unlink()
    named = chromium.find(str(first), "flag --browser", headed=False, environ=environ)
    assert named == Browser(str(first), "156.0.1.2", "flag --browser")


def test_a_download_that_fails_leaves_nothing_in_the_temporary_folder(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Playwright's installer keeps what it has half downloaded where it is told to, and that place is removed."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    where = tmp_path / "where"
    installer = program(
        tmp_path / "python",
        f'#!/bin/sh\n/bin/mkdir "$TMPDIR/playwright-download-x"\necho "$TMPDIR" > {where}\nexit 1\n',
    )
    monkeypatch.setattr("sys.executable", str(installer))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NoBrowserError, match="Playwright's download failed"):
        chromium.obtain(headed=False, environ=environ, say=lambda _: None)
    assert where.read_text().startswith(str(tmp_path / "temp"))
    assert list((tmp_path / "temp").iterdir()) == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('#!/bin/sh\necho "GNU bash, version 5"\n', "it answered 'GNU bash, version 5' (exit code 0)"),
        ('#!/bin/sh\necho "Chromium 156.0.1.2"; exit 3\n', "(exit code 3)"),
        ("#!/bin/sh\nexit 0\n", "it answered 'it said nothing'"),
        ("no script at all", "it cannot be run (exec format error)"),
        ("#!/nowhere/interpreter\n", "it cannot be run (no such file or directory)"),
    ],
)
def test_a_program_that_is_no_browser_is_refused(script: str, reason: str, tmp_path: Path) -> None:
    """The sentence names the path, where it came from and what the program did."""
    path = program(tmp_path / "thing", script)
    with pytest.raises(NotABrowserError) as caught:
        chromium.find(str(path), "flag --browser", headed=False, environ=os.environ)
    assert f"the browser {path} (flag --browser) is not one: " in str(caught.value)
    assert reason in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_path_that_is_no_program_is_refused(tmp_path: Path) -> None:
    """Nothing, a folder and a file that may not be run are told apart."""
    plain = tmp_path / "plain"
    plain.write_text(BROWSER)
    for path, reason in ((tmp_path / "none", "no such file"), (tmp_path, "can be run"), (plain, "can be run")):
        with pytest.raises(NotABrowserError, match=reason):
            chromium.find(str(path), "flag --browser", headed=False, environ=os.environ)


def test_a_program_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that hangs is killed at its deadline with all that it started."""
    monkeypatch.setattr(chromium, "_VERSION_DEADLINE", 0.5)
    path = program(tmp_path / "thing", "#!/bin/sh\nsleep 300 & sleep 300\n")
    with pytest.raises(NotABrowserError, match="gave no answer within"):
        chromium.find(str(path), "flag --browser", headed=False, environ=os.environ)


def test_a_flood_of_output_is_bounded() -> None:
    """A program that writes without end costs 64 KiB and its deadline."""
    outcome = external.run(["/bin/sh", "-c", "while :; do echo flood; done"], deadline=0.5)
    assert outcome.code is None
    assert len(outcome.output) <= 65_536


def test_nothing_of_a_command_is_left_behind(tmp_path: Path) -> None:
    """What a command leaves running in its session is killed when the command ends."""
    started = time.monotonic()
    outcome = external.run(
        ["/bin/sh", "-c", f"sleep 300 >/dev/null 2>&1 & echo $! > {tmp_path}/pid; echo done"], deadline=60
    )
    assert (outcome.code, outcome.last_line) == (0, "done")
    assert time.monotonic() - started < 30
    stat = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    while lives(stat):  # it was told to die; how soon the kernel gets to it is not ours
        assert time.monotonic() - started < 30
        select.select([], [], [], 0.01)


def lives(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_silence_ends_a_command_before_its_deadline() -> None:
    """A download that stands still is given up although its deadline is far."""
    started = time.monotonic()
    assert external.run(["/bin/sleep", "300"], deadline=300, silence=0.2).code is None
    assert time.monotonic() - started < 60


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright's own download fails at once."""
    monkeypatch.setattr("sys.executable", "/bin/false")


def fake_apt(folder: Path, *, knows: str) -> None:
    """Make an apt-get that writes down how it was called and installs the one package that it knows."""
    program(
        folder / "apt-get",
        f'#!/bin/sh\necho "$@" >> {folder}/calls\n'
        f'case "$*" in update) exit 0;; *" {knows}") ;; *) echo "E: Unable to locate package" >&2; exit 100;; esac\n'
        f"printf '#!/bin/sh\\necho \"Chromium 156.0.1.2\"\\n' > {folder}/{knows}\n/bin/chmod 755 {folder}/{knows}\n",
    )


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("package", ["chromium-headless-shell", "chromium"])
def test_root_gets_the_systems_package(
    package: str, tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the download fails, apt-get is asked for the headless shell, then for Chromium, and it is said aloud."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    fake_apt(tmp_path / "bin", knows=package)
    said: list[str] = []
    browser = chromium.obtain(headed=False, environ=environ, say=said.append)
    assert browser.path == str(tmp_path / "bin" / package)
    calls = (tmp_path / "bin" / "calls").read_text().splitlines()
    assert calls[0] == "update"
    assert calls[-1] == f"install -y --no-install-recommends {package}"
    assert any("no browser found" in sentence for sentence in said)
    assert any("apt-get" in sentence for sentence in said)


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize(
    ("user", "apt", "reason"),
    [
        (0, True, "E: Unable to locate package"),
        (1000, True, "can only be installed by root"),
        (0, False, "this is no Debian or Ubuntu"),
    ],
)
def test_where_none_can_be_got_it_is_said_what_to_do(
    *, user: int, apt: bool, reason: str, tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5 and one sentence: what was tried, why it failed, what helps."""
    monkeypatch.setattr("os.geteuid", lambda: user)
    if apt:
        fake_apt(tmp_path / "bin", knows="something-else")
    with pytest.raises(NoBrowserError) as caught:
        chromium.obtain(headed=False, environ=environ, say=lambda _: None)
    assert caught.value.exit_code == 5
    assert reason in str(caught.value)
    assert "Playwright's download failed" in str(caught.value)
    assert "--browser PATH" in str(caught.value)
