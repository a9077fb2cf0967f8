"""The operator's socket, served inside the one loop: nothing here waits, and nobody who connects can make it wait.

A request becomes an event for the core at once; its answer is given when what it asks for is so, and written down.
Until then its client says nothing more. What takes longer than `PATIENCE` is answered with how far it has come.
"""

import os
import selectors
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import assert_never

import msgspec

from supervisor.core.events import (
    Event,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    RetryRequested,
    ScaleRequested,
    StopRequested,
    TimePassed,
)
from supervisor.core.records import Entry
from supervisor.core.state import RunState, Stage
from supervisor.errors import UserError
from supervisor.shell.conductor import Conductor
from supervisor.shell.control_messages import (
    PATIENCE,
    REQUEST_LIMIT,
    Answer,
    Pause,
    Ping,
    Request,
    Restart,
    Resume,
    Retry,
    Scale,
    Stop,
    address,
)
from supervisor.shell.control_outcome import missing, outcome
from supervisor.shell.inbox import Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.selection import select_failed
from supervisor.views.text import clean

_CLIENTS = 16
_CHUNK = 65_536
_CAUSE = "operator"


class _Pending:
    """A request whose answer is owed."""

    def __init__(self, request: Request, now: float) -> None:
        self.request = request
        self.since = now
        self.batch: int | None = None
        """What follows from the request is in the ledger with this batch."""
        self.selected: Future[list[Entry]] | None = None
        self.chosen = 0
        """References that the request is about."""
        self.incarnation = 0


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()
        self.to_send = bytearray()
        self.pending: _Pending | None = None
        self.leaving = False
        """It gets what is to be sent, and nothing more is read."""


class Control:
    """Owns the socket and its clients, from the constructor to `close`."""

    def __init__(
        self,
        directory: RunDirectory,
        conductor: Conductor,
        selector: selectors.BaseSelector,
        inbox: Inbox,
        journal: Journal,
    ) -> None:
        """Listen. A socket file that an earlier supervisor left behind is replaced.

        Where no socket can be made (some network file systems), the night goes on without: signals stop it as well.
        """
        self._directory = directory
        self._conductor = conductor
        self._selector = selector
        self._inbox = inbox
        self._journal = journal
        self._clients: list[_Client] = []
        self._left: list[_Client] = []
        """Clients that are gone, and for whom the ledger is still being asked which references they mean."""
        self._thread = ThreadPoolExecutor(1, "control")
        self._listener: socket.socket | None = None
        try:
            self._listener = self._listen()
        except OSError as error:
            journal.note(f"the run cannot be controlled but by signals: no socket can be made: {error}", "WARNING")
        else:
            selector.register(self._listener, selectors.EVENT_READ, (self.on_connection, self._listener))

    def _listen(self) -> socket.socket:
        self._directory.control.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # Linux gives the file the mode of the socket, so that at no moment anybody else can connect.
            os.fchmod(listener.fileno(), 0o600)
            with address(self._directory.control) as name:
                listener.bind(name)
            listener.listen(_CLIENTS)
        except OSError:
            listener.close()
            raise
        return listener

    # ------------------------------------------------------------------------------------------- called by the loop
    def on_connection(self, listener: socket.socket, _mask: int) -> Iterator[Event]:
        """Let somebody in; one too many is let go at once."""
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it left before it was let in
        except OSError as error:
            # Out of descriptors: who knocks could not be let in, and would wake the loop again and again.
            self._journal.note(f"the run cannot be controlled but by signals any more: {error}", "WARNING")
            self._close_listener()
            return
        connection.setblocking(False)
        client = _Client(connection)
        self._selector.register(connection, selectors.EVENT_READ, (self.on_client, client))
        self._clients.append(client)
        if len(self._clients) > _CLIENTS:
            self._say(client, Answer(ok=False, done=True, sentence="too many are connected"), last=True)
        yield from ()

    def on_client(self, client: _Client, mask: int) -> Iterator[Event]:
        """Read what a client asks, write what it is owed."""
        if mask & selectors.EVENT_WRITE:
            self._send(client)
        if mask & selectors.EVENT_READ and client in self._clients:
            try:
                data = client.connection.recv(_CHUNK)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                self._drop(client)  # what it asked for is done all the same
                return
            client.received += data
            if len(client.received) > REQUEST_LIMIT:
                sentence = f"a request has at most {REQUEST_LIMIT} bytes"
                self._say(client, Answer(ok=False, done=True, sentence=sentence), last=True)
                return
            yield from self._next(client)

    def events(self) -> Iterator[Event]:
        """Yield what follows from looks into the ledger, and from requests that waited for the answer to another.

        To be called before the round's records are handed to the ledger.
        """
        for client in [*self._clients, *self._left]:
            pending = client.pending
            if pending is not None and pending.selected is not None and pending.selected.done():
                selected, pending.selected = pending.selected, None
                try:
                    entries = tuple(selected.result())
                    if self._run.stage is Stage.FINISHED:
                        raise UserError("the run has just ended: ask again")  # noqa: TRY301 - as what the ledger says
                    pending.chosen = len(entries)
                    yield RetryRequested(entries)
                except (UserError, sqlite3.Error) as error:
                    self._say(client, Answer(ok=False, done=True, sentence=str(error)))
            yield from self._next(client)
        self._left = [client for client in self._left if client.pending is not None and client.pending.selected]

    def answer(self, now: float) -> None:
        """Answer what is done, or has taken too long. After the round's records were handed to the ledger."""
        for client in list(self._clients):
            pending = client.pending
            if pending is None:
                continue
            if pending.batch is None and pending.selected is None:
                pending.batch = self._conductor.submitted
            written = pending.batch is not None and self._conductor.written >= pending.batch
            wanting = (
                missing(self._run, pending.request, pending.incarnation) if written else "it is not written down yet"
            )
            if not wanting:
                sentence = outcome(self._run, pending.request, pending.chosen)
                self._say(client, Answer(ok=True, done=True, sentence=sentence))
                if client.received:
                    self._inbox.put(TimePassed())  # another request of this client waits: come round again
            elif now - pending.since >= PATIENCE:
                self._say(client, Answer(ok=True, done=False, sentence=f"under way: {wanting}"))

    def close(self) -> None:
        """Tell everybody who waits that the run is over, and remove the socket."""
        for client in list(self._clients):
            if client.pending is not None:
                self._say(client, Answer(ok=True, done=True, sentence="the run has ended"))
            self._drop(client)
        self._close_listener()
        self._thread.shutdown(wait=True)

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
            self._directory.control.unlink(missing_ok=True)

    # --------------------------------------------------------------------------------------------------- one request
    def _next(self, client: _Client) -> Iterator[Event]:
        """Take the next whole line of a client that is owed nothing."""
        while client.pending is None and not client.leaving:
            end = client.received.find(b"\n")
            if end < 0:
                return
            line = bytes(client.received[:end])
            del client.received[: end + 1]
            try:
                request: Request = msgspec.json.decode(line, type=Request)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                sentence = f"that is no request: {str(error)[:200]}"
                self._say(client, Answer(ok=False, done=True, sentence=sentence))
                continue
            refusal = self._refusal(request)
            if refusal:
                self._say(client, Answer(ok=False, done=True, sentence=refusal))
                continue
            yield from self._begin(client, request)

    def _refusal(self, request: Request) -> str:
        run = self._run
        if run.stage is not Stage.RUNNING and isinstance(request, Pause | Resume | Scale | Restart):
            return f"the run is ending: {run.ending.reason if run.ending else 'it is over'}"
        if isinstance(request, Restart):
            slot = run.slots.get(request.slot)
            if slot is None or slot.retiring:
                return f"there is no worker {request.slot}"
        return ""

    def _begin(self, client: _Client, request: Request) -> Iterator[Event]:
        if not isinstance(request, Ping):
            self._journal.note(f"the operator asks: {clean(msgspec.json.encode(request).decode())}")
        pending = client.pending = _Pending(request, self._run.now)
        match request:
            case Ping():
                pass
            case Pause():
                yield PauseRequested(_CAUSE, "the operator wants a pause")
            case Resume():
                yield ResumeRequested(_CAUSE)
            case Scale(workers=workers):
                yield ScaleRequested(workers)
            case Stop(now=at_once):
                yield StopRequested(at_once=at_once, reason="stopped by the operator")
            case Restart(slot=number):
                pending.incarnation = self._run.slots[number].incarnation
                yield RestartRequested(number)
            case Retry(refs=refs, kind=kind):
                ledger = self._directory.ledger
                pending.selected = self._thread.submit(lambda: select_failed(ledger, refs, kind))
                pending.selected.add_done_callback(lambda _: self._inbox.put(TimePassed()))
            case _:
                assert_never(request)

    # ------------------------------------------------------------------------------------------------------- writing
    @property
    def _run(self) -> RunState:
        return self._conductor.machine.run

    def _say(self, client: _Client, answer: Answer, *, last: bool = False) -> None:
        if client.pending is not None and not isinstance(client.pending.request, Ping):
            self._journal.note(f"the operator is told: {clean(answer.sentence, 1000)}")
        client.pending = None
        client.leaving = client.leaving or last
        client.to_send += msgspec.json.encode(answer) + b"\n"
        self._send(client)

    def _send(self, client: _Client) -> None:
        if client not in self._clients:
            return  # it left, and nobody hears the answer
        try:
            while client.to_send:
                del client.to_send[: client.connection.send(client.to_send)]
        except BlockingIOError:
            if len(client.to_send) > REQUEST_LIMIT:
                self._drop(client)  # it asks and does not listen
                return
        except ConnectionError:
            self._drop(client)
            return
        if client.leaving and not client.to_send:
            self._drop(client)
            return
        mask = (0 if client.leaving else selectors.EVENT_READ) | (selectors.EVENT_WRITE if client.to_send else 0)
        self._selector.modify(client.connection, mask, (self.on_client, client))

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._selector.unregister(client.connection)
            client.connection.close()
            client.leaving = True
            if client.pending is not None and client.pending.selected is not None:
                self._left.append(client)
