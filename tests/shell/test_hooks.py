"""Hooks: real commands and a real webhook are told what happened, bounded in number and time, and never in the way."""

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from supervisor.core.records import AttemptFailed, AttemptStarted, Incident, Record, ReferenceReopened
from supervisor.shell.hooks import Hooks, Targets
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Kind

DEADLINE = 60.0
APPEND = "import sys; open(sys.argv[1], 'a').write(sys.stdin.readline()); print('thank you')"


class Scene:
    """A run directory with a ledger, and a place where the hooks' sentences go."""

    def __init__(self, folder: Path) -> None:
        self.directory = RunDirectory(folder / "night")
        self.directory.create()
        self.ledger = Ledger.create(self.directory.ledger, site="x", site_name="lot", wall=0.0)
        self.ledger.import_references([f"A-{number}" for number in range(1, 251)])
        self.said: list[str] = []
        self.heard = folder / "heard"
        self.command = f"{sys.executable} -c {json.dumps(APPEND)} {self.heard}"
        self.attempt = 0

    def hooks(self, *, timeout: float = 30.0, rest: float = 0.0, **targets: str) -> Hooks:
        chosen = {"on_finish": "", "on_failure": "", "on_stuck": ""} | targets
        wanted = Targets(**chosen, timeout=timeout, rest=rest)
        return Hooks(wanted, self.directory, "lot", "0a1b", lambda text, level: self.said.append(f"{level} {text}"))

    def fail(self, ref_id: int) -> list[Record]:
        """Write a failure for good into the ledger; return its records."""
        self.attempt += 1
        last = AttemptFailed(self.attempt, ref_id, Kind.NOT_FOUND, "gone", counted=True, crashed=False, retry_in=None)
        records: list[Record] = [AttemptStarted(self.attempt, ref_id, 1, 1, 1), last]
        self.ledger.apply(records, 1.0)
        return records

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.heard.read_text().splitlines()] if self.heard.exists() else []

    def wait(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, (self.said, self.told())
            time.sleep(0.02)  # the hook is another process, which notifies nobody


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A run with 250 references."""
    one = Scene(tmp_path)
    yield one
    one.ledger.close()


def test_two_thousand_failures_are_a_few_calls(scene: Scene) -> None:
    """The first is told at once; what fails during the rest after it is told together, a hundred by name."""
    hooks = scene.hooks(on_failure=scene.command, rest=3600.0)
    hooks.seen(scene.fail(1))
    scene.wait(scene.told)
    for ref_id in range(2, 203):
        hooks.seen(scene.fail(ref_id))
    hooks.close()
    first, second = scene.told()
    assert [failure["ref"] for failure in first["failures"]] == ["A-1"]
    assert first["failures"][0]["kind"] == "not_found"
    assert first["failures"][0]["evidence"].endswith("failures/A-1")
    assert (len(second["failures"]), second["not_named"]) == (100, 101)
    assert second["failures_by_kind"] == {"not_found": 202}
    assert second["totals"]["failed"] == 202
    assert scene.said == ["INFO on_failure: called: thank you"] * 2


def test_a_reference_that_got_another_chance_is_not_told(scene: Scene) -> None:
    """What is told is what the ledger says at that moment."""
    hooks = scene.hooks(on_failure=scene.command, rest=3600.0)
    hooks.seen(scene.fail(1))
    scene.wait(scene.told)
    records = scene.fail(2)
    scene.ledger.apply([ReferenceReopened(2)], 2.0)
    hooks.seen(records)
    hooks.close()
    assert len(scene.told()) == 1


def test_what_stands_still_is_told_with_worker_and_reference(scene: Scene) -> None:
    """A kill, an outage, a full disk and a run that is late are told; a start or a pause that was wanted is not."""
    hooks = scene.hooks(on_stuck=scene.command, rest=3600.0)
    hooks.seen([Incident("started", "incarnation 1 starts", 1), Incident("killed", "stuck: no answer", 1, 7, 9)])
    scene.wait(scene.told)
    hooks.seen([Incident("paused", "the operator wants a pause")])
    hooks.seen([Incident("late", "too late"), Incident("breaker_opened", "down"), Incident("halted", "disk")])
    hooks.close()
    first, second = scene.told()
    (happening,) = first["happenings"]
    assert (happening["what"], happening["worker"], happening["ref"]) == ("killed", 1, "A-7")
    assert [one["what"] for one in second["happenings"]] == ["late", "breaker_opened", "halted"]


def test_the_end_is_told_with_everything(scene: Scene) -> None:
    """Exit code, reason, totals, failures and the report, after whatever was still to be told."""
    scene.directory.report.write_text("<html>")
    hooks = scene.hooks(on_finish=scene.command, on_failure=scene.command)
    hooks.seen(scene.fail(3))
    hooks.finished(1, "finished: 249 references completed, 1 failed")
    hooks.close()
    told = {one["event"]: one for one in scene.told()}
    assert set(told) == {"failure", "finish"}
    end = told["finish"]
    assert (end["exit_code"], end["reason"]) == (1, "finished: 249 references completed, 1 failed")
    assert end["report"] == str(scene.directory.report)
    assert [failure["ref"] for failure in end["failures"]] == ["A-3"]
    assert (end["site"], end["run_id"], end["run_dir"]) == ("lot", "0a1b", str(scene.directory.path))


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (
            "import time; print('waiting', flush=True); time.sleep(3600)",
            "WARNING on_finish: not done after 1 s, and killed",
        ),
        ("print('no such room'); raise SystemExit(7)", "WARNING on_finish: failed with exit code 7: no such room"),
        ("", "INFO on_finish: called: it said nothing"),
    ],
    ids=["never ends", "fails", "does not read"],
)
def test_a_bad_command_is_a_line_in_the_log(program: str, sentence: str, scene: Scene) -> None:
    """It is killed at its deadline with all that it started; the run ends all the same."""
    hooks = scene.hooks(
        on_finish=f"{sys.executable} -c {json.dumps(program)}", timeout=1.0 if "time" in program else 60
    )
    hooks.finished(0, "done")
    hooks.close()
    (said,) = scene.said
    assert said.startswith(sentence)


def test_a_command_that_went_away_is_a_line_in_the_log(scene: Scene) -> None:
    """It was there when the run started."""
    hooks = scene.hooks(on_finish="/nowhere/tell-them --all")
    hooks.finished(0, "done")
    hooks.close()
    (said,) = scene.said
    assert said.startswith("WARNING on_finish: it could not be called:")


def test_the_end_waits_no_longer_than_one_call_may_take(scene: Scene) -> None:
    """A call under way when the run ends leaves what is left of the time to the next, which is killed or not begun."""
    slow = f"{sys.executable} -c 'import time; time.sleep(3600)'"
    hooks = scene.hooks(on_failure=slow, timeout=2.0)
    hooks.seen(scene.fail(1))
    hooks.seen(scene.fail(2))
    hooks.close()
    for thread in threading.enumerate():
        if thread.name == "on_failure":
            thread.join(DEADLINE)
            assert not thread.is_alive()
    assert scene.said, "what could not be told is said"


class Receiver:
    """A webhook: a small web server on the loopback, in a thread."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.bodies: list[dict[str, Any]] = []
        self._stopped = threading.Event()
        self._port = 0
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._up.wait(DEADLINE)
        self.url = f"http://127.0.0.1:{self._port}/hook/very-secret-token"

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/hook/very-secret-token", self._take)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = runner.addresses[0][1]
        self._up.set()
        await asyncio.to_thread(self._stopped.wait)
        await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        self.bodies.append(await request.json())
        if self.status == 0:  # it takes its time
            await asyncio.to_thread(self._stopped.wait)
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status or 200, headers=headers)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        raise AssertionError(f"the redirect was followed with {request.method}")

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(DEADLINE)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (200, "INFO on_finish: called: the webhook answered 200"),
        (204, "INFO on_finish: called: the webhook answered 204"),
        (500, "WARNING on_finish: failed with exit code 1: the webhook answered 500"),
        (302, "WARNING on_finish: failed with exit code 1: the webhook answered 302"),
        (0, "WARNING on_finish: "),
    ],
)
def test_a_webhook_gets_the_summary(status: int, sentence: str, scene: Scene) -> None:
    """One POST with the JSON; whatever it answers is a line in the log, and its address is in none."""
    with contextlib.closing(Receiver(status)) as receiver:
        hooks = scene.hooks(on_finish=receiver.url, timeout=1.5 if status == 0 else 60.0)
        hooks.finished(0, "finished: all 250 references completed")
        hooks.close()
        if status:  # a slow machine may have no time left to post before the short deadline
            (body,) = receiver.bodies
            assert (body["event"], body["exit_code"]) == ("finish", 0)
    (said,) = scene.said
    assert said.startswith(sentence)
    assert "secret-token" not in said


def test_a_webhook_that_is_not_there_is_a_line_in_the_log(scene: Scene) -> None:
    """Refused connections, and names that do not resolve."""
    hooks = scene.hooks(
        on_finish="http://127.0.0.1:9/very-secret-token", on_stuck="http://host.invalid/very-secret-token"
    )
    hooks.seen([Incident("late", "too late")])
    hooks.finished(0, "done")
    hooks.close()
    assert len(scene.said) == 2
    assert all("the webhook cannot be reached" in said and "secret" not in said for said in scene.said)


def test_a_webhooks_address_is_in_no_command_line(scene: Scene) -> None:
    """Everybody on the machine may read command lines; an address may hold a token."""
    with contextlib.closing(Receiver(0)) as receiver:
        hooks = scene.hooks(on_stuck=receiver.url, timeout=60.0)
        hooks.seen([Incident("late", "too late")])
        scene.wait(lambda: receiver.bodies)
        lines = []
        for entry in os.scandir("/proc"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if entry.name.isdigit():
                    lines.append(Path(entry.path, "cmdline").read_bytes())
        assert [line for line in lines if b"webhook.py" in line]
        assert not [line for line in lines if b"very-secret-token" in line]
        receiver.close()
        hooks.close()


def test_without_hooks_nothing_is_done(scene: Scene) -> None:
    """No thread, no call."""
    hooks = scene.hooks()
    hooks.seen([Incident("killed", "stuck"), *scene.fail(1)])
    hooks.finished(0, "done")
    hooks.close()
    assert scene.said == []
