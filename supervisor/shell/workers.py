"""The workers of the slots as local processes: started, spoken to, listened to, killed with all that they started."""

import os
import selectors
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Flag

from supervisor.core.commands import Kill
from supervisor.core.events import Event, SpawnFailed, TreeGone, WorkerExited, WorkerGarbled, WorkerSpoke
from supervisor.shell import evidence, linux, sweep
from supervisor.shell.guardian import Guardian
from supervisor.shell.inbox import Broken, Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.processes import BacklogError, Processes, SpawnError, WorkerProcess
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.trees import Tree
from worker.protocol import BrowserStarted, Decoder, Inbound, ProtocolError, encode, from_worker
from worker.settings import WorkerSettings

_KILL_SECONDS = 5.0
"""How long one round of killing lasts, before it is logged that some process is still alive."""


class Member:
    """One incarnation, from its start until its tree is verified dead."""

    def __init__(self, process: WorkerProcess, tree: Tree, settings: WorkerSettings) -> None:
        self.process = process
        self.tree = tree
        self.settings = settings
        self.decoder: Decoder | None = from_worker()
        """None once the child sent what is no message: nothing more of it is read as one."""
        self.exited = False


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
        self._threads = ThreadPoolExecutor(64, "kill")
        self._closing = Flag()

    # --------------------------------------------------------------------------------------------------- the port
    def spawn(self, slot: int, incarnation: int) -> None:
        """Start a child."""
        settings = self._settings_for(slot, incarnation)
        try:
            Path(settings.temp_dir).mkdir(parents=True)
            process = self.processes.spawn(slot, incarnation, settings)
        except (SpawnError, OSError) as error:
            self._inbox.put(SpawnFailed(slot, incarnation, str(error)))
            return
        tree = Tree(settings.marker, process.pid, process.start_time, settings.temp_dir)
        member = self.members[slot, incarnation] = Member(process, tree, settings)
        self._changed(member)
        self._selector.register(process.fileno(), selectors.EVENT_READ, (self.on_pipe, member))
        self._selector.register(process.sentinel, selectors.EVENT_READ, (self.on_end, member))

    def prepare(self) -> None:
        """Have a spare child at hand when every worker is well, so that the next to die is replaced sooner."""
        try:
            self.processes.prepare()
        except SpawnError as error:
            self._journal.note(str(error), "WARNING")

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
        if not member.process.ended:
            self._unregister(member.process.fileno())
        self._unregister(member.process.sentinel)
        member.process.close()
        yield WorkerExited(member.process.slot, member.process.incarnation, code)

    def _decode(self, member: Member, data: bytes) -> Iterator[Event]:
        if member.decoder is None:
            return
        slot, incarnation = member.process.slot, member.process.incarnation
        try:
            for message in member.decoder.feed(data):
                if isinstance(message, BrowserStarted) and member.tree.add_session(message.pid):
                    self._changed(member)
                yield WorkerSpoke(slot, incarnation, message)
        except ProtocolError as error:
            member.decoder = None
            yield WorkerGarbled(slot, incarnation, str(error))

    def _watch_pipe(self, member: Member) -> None:
        if member.exited:
            return
        descriptor = member.process.fileno()
        if member.process.ended:
            self._unregister(descriptor)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if member.process.wants_write else 0)
        if self._selector.get_key(descriptor).events != wanted:
            self._selector.modify(descriptor, wanted, (self.on_pipe, member))

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
        self._closing.set()
        self.guardian.close()
        self.processes.abandon()
        self._threads.shutdown(wait=False, cancel_futures=True)


def marker(run_id: str, slot: int, incarnation: int) -> str:
    """Return the mark of one incarnation's tree, which no other tree on this machine ever has."""
    return f"{run_id}.{os.getpid()}-{linux.start_time(os.getpid())}.w{slot}.{incarnation}"
