"""The supervisor's log, written by a thread of its own: a disk that stands still never stops the loop."""

import json
import threading
import traceback
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING

from loguru import logger

from supervisor.core.commands import Say
from supervisor.views.status import Notice

if TYPE_CHECKING:
    from loguru import Record

_WAITING_LIMIT = 20_000
"""Lines that may wait for the disk; what comes on top is counted and left out."""
_RECENT = 10
_LOUD = frozenset({"WARNING", "ERROR"})


class Journal:
    """Takes sentences, gives each its time, and writes them in their order."""

    def __init__(self, file: Path, *, as_json: bool, rotation: int, retention: int) -> None:
        self._lines: Queue[tuple[str, Say] | None] = Queue(_WAITING_LIMIT)
        self._lost = 0
        self._as_json = as_json
        self._failures: deque[Notice] = deque(maxlen=_RECENT)
        self._happenings: deque[Notice] = deque(maxlen=_RECENT)
        logger.remove()
        logger.add(
            file,
            format=self._format,
            level="DEBUG",
            rotation=rotation,
            retention=retention,
            backtrace=False,
            diagnose=False,  # it would print the values of variables
            catch=True,
        )
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def say(self, command: Say) -> None:
        """Log a sentence; returns at once."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if command.level in _LOUD or command.incident:
            about = f"worker {command.slot}: " if command.slot else ""
            about += f"{command.ref}: " if command.ref else ""
            notice = Notice(
                at, command.level, about + command.text, failure=bool(command.attempt and not command.incident)
            )
            (self._failures if notice.failure else self._happenings).append(notice)
        try:
            self._lines.put_nowait((at, command))
        except Full:
            self._lost += 1

    @property
    def recent(self) -> tuple[Notice, ...]:
        """The last lines that a person should see, of failures and of everything else, in the order of time."""
        return tuple(sorted((*self._failures, *self._happenings), key=lambda notice: notice.at))

    def note(self, text: str, level: str = "INFO") -> None:
        """Log a sentence of the shell's own."""
        self.say(Say(level, text, incident="note"))

    def exception(self, error: BaseException) -> None:
        """Log a bug of ours with its traceback."""
        self.say(Say("ERROR", "".join(traceback.format_exception(error)).rstrip()))

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for so many seconds at most."""
        try:
            self._lines.put(None, timeout=seconds)
        except Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                self._write(line[0], Say("WARNING", f"{lost} lines were left out here, because the disk was too slow"))
            self._write(*line)
        logger.complete()
        logger.remove()

    def _write(self, at: str, said: Say) -> None:
        logger.bind(at=at, slot=said.slot, ref=said.ref, attempt=said.attempt).log(said.level, "{}", said.text)

    def _format(self, record: "Record") -> str:
        extra, level, text = record["extra"], record["level"].name, record["message"]
        if self._as_json:
            fields = {"time": extra["at"], "level": level, "worker": extra["slot"], "ref": extra["ref"]}
            line = json.dumps(fields | {"attempt": extra["attempt"], "message": text}, ensure_ascii=False)
        else:
            about = f" worker={extra['slot']}" if extra["slot"] else ""
            about += f" ref={_one_word(extra['ref'])}" if extra["ref"] else ""
            about += f" attempt={extra['attempt']}" if extra["attempt"] else ""
            line = f"{extra['at']} {level} supervisor{about} " + text.replace("\n", "\n    ")
        extra["line"] = line
        return "{extra[line]}\n"


def _one_word(ref: str) -> str:
    plain = ref.isprintable() and " " not in ref and not ref.startswith('"')
    return ref if plain else json.dumps(ref)
