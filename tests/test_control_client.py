"""Asking a supervisor: what it answers is shown to a person, and may quote what a site said."""

import socket
import threading
from pathlib import Path

import msgspec
import pytest

from supervisor.control_client import UnreachableError, ask
from supervisor.errors import UserError
from supervisor.shell.control_messages import Answer, Ping, address
from supervisor.shell.run_directory import RunDirectory

EVIL = "still paused: the site answers \x1b[2J\x1b[31mall is well\nnightfleet: 12 references queued again"


@pytest.mark.parametrize("ok", [True, False])
def test_what_is_answered_cannot_move_a_cursor(tmp_path: Path, *, ok: bool) -> None:
    """Neither an answer nor a refusal has more than one line, or a letter that a terminal obeys."""
    directory = RunDirectory(tmp_path)
    directory.create()
    answer = msgspec.json.encode(Answer(ok=ok, done=True, sentence=EVIL)) + b"\n"
    with _supervisor(directory, answer):
        if ok:
            said = ask(directory, Ping()).sentence
        else:
            with pytest.raises(UserError) as refusal:
                ask(directory, Ping())
            said = str(refusal.value)
    assert said.isprintable()
    assert said.startswith("still paused: the site answers �[2J")


def test_an_answer_that_is_none_is_told(tmp_path: Path) -> None:
    """A supervisor of another version, or something else that listens there."""
    directory = RunDirectory(tmp_path)
    directory.create()
    with _supervisor(directory, b"hello\n"), pytest.raises(UnreachableError, match="gave an answer that is none"):
        ask(directory, Ping())


class _supervisor:  # noqa: N801 - used as a function
    """Holds the run directory, and gives one caller this answer."""

    def __init__(self, directory: RunDirectory, answer: bytes) -> None:
        self._lock = directory.lock()
        self._listener = socket.socket(socket.AF_UNIX)
        with address(directory.control) as name:
            self._listener.bind(name)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(answer,))
        self._thread.start()

    def _serve(self, answer: bytes) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(answer)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()
        self._lock.release()
