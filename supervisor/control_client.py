"""Asking a running supervisor over the socket in its run directory."""

import socket

import msgspec

from supervisor.errors import MachineError, UserError
from supervisor.shell.control_messages import PATIENCE, Answer, Request, address
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.text import clean

_ANSWER_LIMIT = 1_000_000
_SENTENCE_LIMIT = 8_000


class NotRunningError(UserError):
    """Nobody runs in this run directory."""


class UnreachableError(MachineError):
    """There is a supervisor, but it cannot be asked."""


def ask(directory: RunDirectory, request: Request, seconds: float = PATIENCE + 30.0) -> Answer:
    """Ask, and wait for the answer. Its sentence is harmless on a terminal, though it may quote what a site said.

    Args:
        directory: of the run.
        request: what is asked.
        seconds: how long to wait between two signs of life; a sound supervisor answers within `PATIENCE`.

    Raises:
        NotRunningError: no run is active there.
        UnreachableError: a supervisor is there and does not answer.
        UserError: it refuses; the sentence is its own.
    """
    owner = directory.owner()
    if owner is None:
        raise NotRunningError(f"no run is active in {directory.path}")
    who = f"the supervisor (pid {owner.pid or 'unknown'})"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            with address(directory.control) as name:
                connection.connect(name)
            connection.sendall(msgspec.json.encode(request) + b"\n")
            line = _line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise UnreachableError(f"{who} does not listen; it starts or ends just now, try again in a moment") from error
    except TimeoutError as error:
        raise UnreachableError(f"{who} has not answered for {seconds:.0f} s") from error
    except OSError as error:
        raise UnreachableError(f"{who} cannot be reached: {error.strerror or error}") from error
    if not line:
        raise UnreachableError(f"{who} ended before it answered")
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreachableError(f"{who} gave an answer that is none") from error
    sentence = clean(answer.sentence, _SENTENCE_LIMIT)
    if not answer.ok:
        raise UserError(sentence)
    return msgspec.structs.replace(answer, sentence=sentence)


def _line(connection: socket.socket) -> bytes:
    received = bytearray()
    while b"\n" not in received and len(received) <= _ANSWER_LIMIT:
        data = connection.recv(65_536)
        if not data:
            return b""
        received += data
    return bytes(received.partition(b"\n")[0])
