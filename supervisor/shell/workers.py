"""The workers of the slots as local processes: started, spoken to, listened to, killed with all that they started."""

import os
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event as Flag

import msgspec

from supervisor.core.commands import Kill
from supervisor.core.events import Event, SpawnFailed, TreeGone, WorkerExited, WorkerGarbled, WorkerSpoke
from supervisor.shell import evidence, linux, sweep
from supervisor.shell.guardian import Guardian
from supervisor.shell.inbox import Broken, Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.processes import BacklogError, Processes, SpawnError, WorkerProcess
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.trees import Tree
from worker.protocol import (
    Adopt,
    BrowserStarted,
    Decoder,
    Heartbeat,
    Inbound,
    Outbound,
    ProtocolError,
    encode,
    from_worker,
)
from worker.settings import WorkerSettings

_KILL_SECONDS = 5.0
"""How long one round of killing lasts, before it is logged that some process is still alive."""


_SPARE = 0
"""The slot number of a worker that has none yet."""

_SPARE_SECONDS = 60.0
"""After a spare that came to nothing, before the next one."""

_UNHEARD = 20
"""Messages of a spare that are kept; a sound one says three."""


class Member:
    """One incarnation, from its start until its tree is verified dead. With slot 0 it is a spare."""

    def __init__(self, process: WorkerProcess, tree: Tree, settings: WorkerSettings) -> None:
        self.process = process
        self.tree = tree
        self.settings = settings
        self.decoder: Decoder | None = from_worker()
        """None once the child sent what is no message: nothing more of it is read as one."""
        self.exited = False
        self.watched = selectors.EVENT_READ
        """For what the loop waits at its pipe; 0 for nothing any more."""
        self.unheard: list[Outbound] = []
        """What a spare has said; whoever gets it will want to hear it."""

    @property
    def is_spare(self) -> bool:
        """It belongs to no slot yet."""
        return self.process.slot == _SPARE


class LocalWorkers:
    """Implements the conductor's workers port. Belongs to the loop, except for the threads that kill."""

    def __init__(
        self,
        *,
        directory: RunDirectory,
        settings_for: Callable[[int, int], WorkerSettings],
        selector: selectors.BaseSelector,
        inbox: Inbox,
        journal: Journal,
        processes: Processes,
    ) -> None:
        self._directory = directory
        self._settings_for = settings_for
        self._selector = selector
        self._inbox = inbox
        self._journal = journal
        self.processes = processes
        self.guardian = Guardian(directory.private / "guardian.log")
        self.members: dict[tuple[int, int], Member] = {}
        self._spare: Member | None = None
        self._spares = 0
        self._spare_not_before = 0.0
        self._spare_end: Future[None] | None = None
        self._threads = ThreadPoolExecutor(64, "kill")
        self._closing = Flag()

    # --------------------------------------------------------------------------------------------------- the port
    def spawn(self, slot: int, incarnation: int) -> None:
        """Start a child, or let the spare be it."""
        if self._spare is not None:
            self._adopt(self._spare, slot, incarnation)
            return
        try:
            self._start(slot, incarnation)
        except (SpawnError, OSError) as error:
            self._inbox.put(SpawnFailed(slot, incarnation, str(error)))

    def _start(self, slot: int, incarnation: int) -> Member:
        settings = self._settings_for(slot, incarnation)
        Path(settings.temp_dir).mkdir(parents=True)
        process = self.processes.spawn(slot, incarnation, settings)
        tree = Tree(settings.marker, process.pid, process.start_time, settings.temp_dir)
        member = self.members[slot, incarnation] = Member(process, tree, settings)
        self._changed(member)
        self._selector.register(process.fileno(), selectors.EVENT_READ, (self.on_pipe, member))
        self._selector.register(process.sentinel, selectors.EVENT_READ, (self.on_end, member))
        return member

    # ------------------------------------------------------------------------------------------------- the spare
    def prepare(self) -> None:
        """Have a spare: one more worker with its browser open, for the slot whose worker dies next."""
        if self._spare is None and time.monotonic() >= self._spare_not_before:
            self._spares += 1
            try:
                self._spare = self._start(_SPARE, self._spares)
            except (SpawnError, OSError) as error:
                self._journal.note(str(error), "WARNING")
                self._spare_not_before = time.monotonic() + _SPARE_SECONDS

    def release(self) -> None:
        """Let go of the spare, as long as there is one."""
        if self._spare is not None:
            self._end_spare(self._spare)

    def _adopt(self, spare: Member, slot: int, incarnation: int) -> None:
        self._spare = None
        del self.members[_SPARE, spare.process.incarnation]
        self.members[slot, incarnation] = spare
        spare.process.slot, spare.process.incarnation = slot, incarnation
        place = self._settings_for(slot, incarnation)
        log_file, picture_file = place.log_file, place.picture_file
        spare.settings = msgspec.structs.replace(spare.settings, log_file=log_file, picture_file=picture_file)
        self.send(slot, incarnation, Adopt(slot, incarnation, log_file, picture_file))

    def _end_spare(self, spare: Member) -> None:
        self._spare = None
        self._spare_not_before = time.monotonic() + _SPARE_SECONDS
        command = Kill(_SPARE, spare.process.incarnation, "it was a spare", evidence=False)
        self._spare_end = self._threads.submit(self._end, spare, command)

    def send(self, slot: int, incarnation: int, message: Inbound) -> None:
        """Say something to a child; one that is gone is no error."""
        member = self.members.get((slot, incarnation))
        if member is None or member.exited:
            return
        try:
            member.process.send(encode(message))
        except BacklogError as error:
            self._journal.note(f"{error}; its heartbeat decides about it", "WARNING")
        self._watch_pipe(member)

    def kill(self, command: Kill) -> None:
        """Begin to kill the tree of an incarnation."""
        member = self.members[command.slot, command.incarnation]
        self._threads.submit(self._end, member, command)

    # ---------------------------------------------------------------------------------------------- what they say
    def on_pipe(self, member: Member, mask: int) -> Iterator[Event]:
        """Read and write what the pipe of a child has or takes; yield what it said."""
        if member.exited:
            return  # it ended earlier in this very round
        if mask & selectors.EVENT_WRITE:
            member.process.flush()
        if mask & selectors.EVENT_READ:
            yield from self._decode(member, member.process.read())
        self._watch_pipe(member)

    def on_end(self, member: Member, _mask: int) -> Iterator[Event]:
        """A child has ended: its pipe is read to the end before that is told."""
        yield from self._exited(member)

    def gone(self, slot: int, incarnation: int) -> Iterator[Event]:
        """A tree is verified dead: let go of all that was kept for it; yield what its child had still said."""
        member = self.members.get((slot, incarnation))
        if member is None:
            return
        yield from self._exited(member)
        del self.members[slot, incarnation]
        self.guardian.forget(member.tree)
        self.record()

    def _exited(self, member: Member) -> Iterator[Event]:
        code = member.process.exit_code()
        if member.exited or code is None:
            return
        member.exited = True
        yield from self._decode(member, member.process.read_to_end())
        self._unregister(member.process.fileno())
        self._unregister(member.process.sentinel)
        member.process.close()
        if not member.is_spare:
            yield WorkerExited(member.process.slot, member.process.incarnation, code)
        elif self._spare is member:
            self._journal.note(f"the spare worker ended by itself, with code {code}", "WARNING")
            self._end_spare(member)

    def _decode(self, member: Member, data: bytes) -> Iterator[Event]:
        if member.decoder is None:
            return
        slot, incarnation = member.process.slot, member.process.incarnation
        while member.unheard and not member.is_spare:
            yield WorkerSpoke(slot, incarnation, member.unheard.pop(0))
        try:
            for message in member.decoder.feed(data):
                if isinstance(message, BrowserStarted) and member.tree.add_session(message.pid):
                    self._changed(member)
                if not member.is_spare:
                    yield WorkerSpoke(slot, incarnation, message)
                elif not isinstance(message, Heartbeat):
                    self._keep(member, message)
        except ProtocolError as error:
            member.decoder = None
            if not member.is_spare:
                yield WorkerGarbled(slot, incarnation, str(error))
            elif self._spare is member:
                self._journal.note(f"the spare worker sent what is no message: {error}", "WARNING")
                self._end_spare(member)

    def _keep(self, spare: Member, message: Outbound) -> None:
        spare.unheard.append(message)
        if len(spare.unheard) > _UNHEARD and self._spare is spare:
            self._journal.note("the spare worker talks without being asked", "WARNING")
            self._end_spare(spare)

    def _watch_pipe(self, member: Member) -> None:
        if member.exited:
            return
        process = member.process
        wanted = 0 if process.ended else selectors.EVENT_READ | (selectors.EVENT_WRITE if process.wants_write else 0)
        if wanted == member.watched:
            return
        if wanted:
            self._selector.modify(process.fileno(), wanted, (self.on_pipe, member))
        else:
            self._unregister(process.fileno())
        member.watched = wanted

    def _unregister(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    # ------------------------------------------------------------------------------------------------- how they end
    def _end(self, member: Member, command: Kill) -> None:
        try:
            if command.evidence and command.attempt:
                into = self._directory.evidence(command.attempt)
                stack, log = Path(member.settings.stack_file), Path(member.settings.log_file)
                for problem in evidence.collect(member.tree, stack, log, into, command.reason):
                    self._journal.note(problem, "WARNING")
            while not member.tree.kill(_KILL_SECONDS):
                names = ", ".join(f"{process.name} ({process.pid})" for process in member.tree.members())
                self._journal.note(f"worker {command.slot}: still alive after SIGKILL: {names}", "ERROR")
                if self._closing.is_set():
                    return
            self._remove_temp(Path(member.settings.temp_dir))
            self._inbox.put(TreeGone(command.slot, command.incarnation))
        except Exception as error:  # noqa: BLE001 - a bug in a thread must end the run, not vanish in its future
            self._inbox.put(Broken(error))

    def _remove_temp(self, folder: Path) -> None:
        try:
            sweep.remove_temp_dir(folder)
        except (OSError, ValueError) as error:
            self._journal.note(f"the temporary folder {folder} could not be removed: {error}", "WARNING")

    # ------------------------------------------------------------------------------------ what outlives the supervisor
    def _changed(self, member: Member) -> None:
        self.guardian.watch(member.tree)
        self.record()

    def record(self) -> None:
        """Write down what the next start would have to sweep."""
        try:
            sweep.record(self._directory.processes, [m.tree for m in self.members.values()], self.guardian.identity)
        except OSError as error:
            self._journal.note(f"the record of the processes could not be written: {error}", "WARNING")

    def direct(self) -> frozenset[int]:
        """Return the pids of the children whose exit codes belong to somebody."""
        guardian = self.guardian.identity
        return self.processes.pids() | ({guardian[0]} if guardian else frozenset())

    def close(self) -> None:
        """End what is left: nothing, after an orderly run; otherwise the guardian kills it."""
        self.release()
        if self._spare_end is not None:
            wait([self._spare_end], _KILL_SECONDS)
            if self._spare_end.done():
                deque(self.gone(_SPARE, self._spares), maxlen=0)
        self._closing.set()
        self.guardian.close()
        self.processes.abandon()
        self._threads.shutdown(wait=False, cancel_futures=True)


def marker(run_id: str, slot: int, incarnation: int) -> str:
    """Return the mark of one incarnation's tree, which no other tree on this machine ever has."""
    return f"{run_id}.{os.getpid()}-{linux.start_time(os.getpid())}.w{slot}.{incarnation}"
