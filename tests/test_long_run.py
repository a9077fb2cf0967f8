"""What `doctor` says of a machine that is to work for many hours: each machine is a folder of files."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor import long_run
from supervisor.check_result import Check
from supervisor.core.records import AttemptStarted, AttemptSucceeded
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Document

Machine = Callable[..., dict[str, Check]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Look at a machine that has these files; a text that begins with -> is a link."""

    def look(files: dict[str, str], workers: int = 5, **environ: str) -> dict[str, Check]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("->"):
                path.symlink_to(text.removeprefix("->"))
            else:
                path.write_text(text)
        return {check.name: check for check in long_run.examine(tmp_path, environ, workers)}

    return look


SLEEPS = ("sleep.target", "suspend.target", "hibernate.target", "hybrid-sleep.target")


def test_a_bare_container_has_nothing_to_be_warned_of(machine: Machine) -> None:
    """No power management, no apt, no limits: one line, and it is well."""
    found = machine({})
    assert {name: check.level for name, check in found.items()} == {"sleep": "ok"}


def test_a_machine_that_may_sleep_is_told_how_not_to(machine: Machine) -> None:
    """What is not masked yet is named."""
    found = machine(
        {
            "sys/power/state": "freeze mem disk\n",
            "run/systemd/system/x": "",
            "etc/systemd/system/sleep.target": "->/dev/null",
        }
    )["sleep"]
    assert (found.level, found.advice) == (
        "warning",
        "systemctl mask suspend.target hibernate.target hybrid-sleep.target",
    )


def test_a_machine_whose_sleep_is_masked_is_well(machine: Machine) -> None:
    """All four targets point to nothing."""
    links = {f"etc/systemd/system/{name}": "->/dev/null" for name in SLEEPS}
    assert machine({"sys/power/state": "mem"} | links)["sleep"].found == "masked"


def test_a_battery_does_not_last_a_night(machine: Machine) -> None:
    """Only where there is a plug and nothing in it."""
    supply = "sys/class/power_supply"
    unplugged = {f"{supply}/AC/type": "Mains", f"{supply}/AC/online": "0", f"{supply}/BAT0/type": "Battery"}
    assert machine(unplugged)["power"].level == "warning"
    assert "power" not in machine({f"{supply}/AC/online": "1"})


@pytest.mark.parametrize(
    ("reboot", "level"), [('"true"', "warning"), ('"1"', "warning"), ('"false"', "ok"), (None, "ok")]
)
def test_automatic_reboots_are_found(reboot: str | None, level: str, machine: Machine) -> None:
    """As apt reads it: comments do not count, the last file wins."""
    files = {
        "etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Unattended-Upgrade "1";\n',
        "etc/apt/apt.conf.d/50unattended-upgrades": '//Unattended-Upgrade::Automatic-Reboot "true";\n',
    }
    if reboot is not None:
        files["etc/apt/apt.conf.d/90mine"] = f"Unattended-Upgrade::Automatic-Reboot {reboot};\n"
    assert machine(files)["reboots"].level == level


def test_dnf_reboots_as_well(machine: Machine) -> None:
    """Fedora and its relatives."""
    assert machine({"etc/dnf/automatic.conf": "[commands]\nreboot = when-needed\n"})["reboots"].level == "warning"


@pytest.mark.parametrize(
    ("files", "workers", "level"),
    [
        ({"proc/self/cgroup": "0::/a.service\n", "sys/fs/cgroup/a.service/pids.max": "512"}, 5, "warning"),
        ({"proc/self/cgroup": "0::/a.service\n", "sys/fs/cgroup/a.service/pids.max": "9000"}, 5, "ok"),
        ({"proc/self/cgroup": "4:pids:/docker/x\n", "sys/fs/cgroup/pids/pids.max": "1000"}, 5, "warning"),
        (
            {"proc/self/limits": "Max processes             127000               127000               processes"},
            5,
            "ok",
        ),
        (
            {"proc/self/limits": "Max processes             1024                 1024                 processes"},
            9,
            "warning",
        ),
    ],
)
def test_too_few_processes_are_noticed(files: dict[str, str], workers: int, level: str, machine: Machine) -> None:
    """Of the service, of the container, of the user; threads count."""
    assert machine(files, workers)["processes"].level == level


def test_no_limit_on_processes_is_no_line(machine: Machine) -> None:
    """Nothing to say."""
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/pids.max": "max",
        "proc/self/limits": "Max processes unlimited",
    }
    assert "processes" not in machine(files)


def test_a_run_over_ssh_is_better_a_service(machine: Machine) -> None:
    """In tmux it is safe, unless logind kills even that."""
    assert "tmux" in machine({}, SSH_CONNECTION="1 2 3 4")["connection"].advice
    assert "connection" not in machine({}, SSH_CONNECTION="1 2 3 4", TMUX="yes")
    files = {"etc/systemd/logind.conf.d/x.conf": "[Login]\nKillUserProcesses=yes\n"}
    kills = machine(files, SSH_CONNECTION="1 2 3 4")["connection"]
    assert "tmux" not in kills.advice
    assert "run.py unit" in kills.advice


def test_what_is_still_to_come_must_fit_on_the_disk(tmp_path: Path) -> None:
    """By what each completed reference has brought so far; a new or finished run has nothing to say."""
    directory = RunDirectory(tmp_path / "night")
    assert list(long_run.expected(directory.path, 0)) == []
    directory.create()
    with Ledger.create(directory.ledger, site="x", wall=time.time()) as ledger:
        ledger.import_references(["A", "B", "C"])
        assert list(long_run.expected(directory.path, 0)) == []
        document = Document("a.pdf", "https://x/a.pdf", 1_000_000, "0" * 64, 1)
        ledger.apply([AttemptStarted(1, 1, 1, 1, 1), AttemptSucceeded(1, 1, (document,), ())], 1.0)
    (check,) = long_run.expected(directory.path, 0)
    assert "about 2.0 MB are still to come" in check.found
    assert check.level == "ok"
    (check,) = long_run.expected(directory.path, reserve=10**18)
    assert check.level == "warning"
