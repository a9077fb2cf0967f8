"""What is left of the machine, read from files that look like Linux's own."""

import resource
from pathlib import Path

import pytest

from supervisor.shell.machine_watch import MachineWatch, room

_MB = 1_000_000


class Fake:
    """A /proc and a /sys/fs/cgroup of our own."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.cgroups = folder / "proc", folder / "cgroup"
        self.write("proc/meminfo", "MemTotal: 24000000 kB\nMemAvailable: 8000000 kB\n")
        self.watch = MachineWatch(self.proc, self.cgroups)

    def write(self, path: str, text: str) -> None:
        file = self.proc.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def test_without_cgroups_the_kernels_word_holds(fake: Fake) -> None:
    """What is not there limits nothing."""
    assert fake.watch.memory() == 8_192_000_000
    assert fake.watch.processes() is None


def test_the_tightest_cgroup_of_version_2_from_ours_up_holds(fake: Fake) -> None:
    """Ours is unlimited, its parent is not; files in the page cache give way."""
    fake.write("proc/self/cgroup", "0::/system.slice/nightfleet.service\n")
    inner, outer = "cgroup/system.slice/nightfleet.service", "cgroup/system.slice"
    for folder, limit, used in ((inner, "max", 700), (outer, str(1000 * _MB), 900), ("cgroup", "max", 2000)):
        fake.write(f"{folder}/memory.max", f"{limit}\n")
        fake.write(f"{folder}/memory.current", f"{used * _MB}\n")
        fake.write(f"{folder}/memory.stat", f"anon 5\ninactive_file {50 * _MB}\nfile {300 * _MB}\n")
    fake.write(f"{inner}/pids.max", "400\n")
    fake.write(f"{inner}/pids.current", "390\n")
    assert fake.watch.memory() == 150 * _MB
    assert fake.watch.processes() == 10


def test_version_1_has_a_folder_for_each_controller(fake: Fake) -> None:
    """A number near the largest means no limit."""
    fake.write("proc/self/cgroup", "8:pids:/lot\n5:memory,extra:/lot/night\n4:memory:/lot/night\n0::/\n")
    for folder, limit in (("lot/night", 9_223_372_036_854_771_712), ("lot", 600 * _MB)):
        fake.write(f"cgroup/memory/{folder}/memory.limit_in_bytes", f"{limit}\n")
        fake.write(f"cgroup/memory/{folder}/memory.usage_in_bytes", f"{500 * _MB}\n")
        fake.write(f"cgroup/memory/{folder}/memory.stat", f"total_inactive_file {20 * _MB}\ninactive_file 7\n")
    fake.write("cgroup/pids/lot/pids.max", "100\n")
    fake.write("cgroup/pids/lot/pids.current", "130\n")
    assert fake.watch.memory() == 120 * _MB
    assert fake.watch.processes() == 0


def test_a_path_that_only_the_host_knows_means_our_root(fake: Fake) -> None:
    """In a container /proc may name a path that its own file system does not have."""
    fake.write("proc/self/cgroup", "0::/docker/0123456789\n")
    fake.write("cgroup/memory.max", f"{300 * _MB}\n")
    fake.write("cgroup/memory.current", f"{200 * _MB}\n")
    assert fake.watch.memory() == 100 * _MB


def test_the_machines_own_limit_of_processes_counts(fake: Fake) -> None:
    """Threads are counted too: that is what the kernel gives numbers to."""
    fake.write("proc/loadavg", "0.1 0.2 0.3 2/900 4711\n")
    fake.write("proc/sys/kernel/pid_max", "1000\n")
    fake.write("proc/sys/kernel/threads-max", "90000\n")
    assert fake.watch.processes() == 100


def test_the_processor_has_left_what_was_idle_since_the_last_look(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a disk and what gives way to us are left too; a control group's quota counts where it leaves less."""
    monkeypatch.setattr("supervisor.shell.machine_watch.os.getpriority", lambda _which, _who: 0)
    clock = [100.0]
    monkeypatch.setattr("supervisor.shell.machine_watch.time.monotonic", lambda: clock[0])
    fake.write("proc/stat", "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert fake.watch.idle() is None
    fake.write("proc/stat", "cpu  160 10 110 710 110 0 0 0 50 0\n")
    assert fake.watch.idle() == pytest.approx(0.3)
    monkeypatch.setattr("supervisor.shell.machine_watch.os.getpriority", lambda _which, _who: 5)
    fake.write("proc/stat", "cpu  170 10 110 710 110 0 0 0 50 0\n")
    fake.watch.idle()
    fake.write("proc/stat", "cpu  170 20 110 710 110 0 0 0 50 0\n")
    assert fake.watch.idle() == 0.0, "then it is as important as we are"
    assert fake.watch.idle() is None, "no time has passed"
    fake.write("proc/self/cgroup", "0::/night\n")
    fake.write("cgroup/night/cpu.max", "200000 100000\n")
    fake.write("cgroup/night/cpu.stat", "usage_usec 5000000\nuser_usec 1\n")
    fake.write("cgroup/cpu.max", "max 100000\n")
    fake.watch.idle()
    clock[0] += 5.0
    fake.write("cgroup/night/cpu.stat", "usage_usec 14000000\nuser_usec 1\n")
    fake.write("proc/stat", "cpu  200 10 110 1710 110 0 0 0 50 0\n")
    assert fake.watch.idle() == pytest.approx(0.1), "9 of the 10 s that the quota allows in 5 s"
    fake.write("proc/stat", "")
    assert MachineWatch(fake.proc, fake.cgroups).idle() is None


def test_descriptors_are_this_processs_own(fake: Fake) -> None:
    """The soft limit, less what is open."""
    for number in range(7):
        fake.write(f"proc/self/fd/{number}", "")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert fake.watch.descriptors() == soft - 7
    assert MachineWatch(Path("/nowhere"), Path("/nowhere")).descriptors() == 0


def test_this_machine_can_be_measured(tmp_path: Path) -> None:
    """Whatever it is, something is left of everything."""
    left = MachineWatch().left()
    assert left["memory"] > 10 * _MB
    assert left["descriptors"] > 10
    assert left.get("processes", 1) > 0
    here = room(tmp_path)
    assert 0 < here.free <= here.total
    with pytest.raises(OSError, match="nothing"):
        room(tmp_path / "nothing")
