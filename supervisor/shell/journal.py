"""The supervisor's log, written by a thread of its own: a disk that stands still never stops the loop."""

import contextlib
import json
import threading
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from loguru import logger

from supervisor.core.commands import Say
from supervisor.views.status import Notice

_WAITING_LIMIT = 20_000
"""Lines that may wait for the disk; what comes on top is counted and left out."""
_GATHERING = 0.25
"""Seconds that a line may wait for others, with which it is written. A warning is written at once, with all before."""
_TOGETHER = 100
"""Lines that are written in one piece: a file is rotated between two pieces."""
_RECENT = 10
_LOUD = frozenset({"WARNING", "ERROR"})


class Journal:
    """Takes sentences, gives each its time, and writes them in their order."""

    def __init__(self, file: Path, *, as_json: bool, rotation: int, retention: int) -> None:
        self._lines: SimpleQueue[tuple[float, Say] | None] = SimpleQueue()
        self._hurry = threading.Event()
        self._lost = 0
        self._as_json = as_json
        self._failures: deque[Notice] = deque(maxlen=_RECENT)
        self._happenings: deque[Notice] = deque(maxlen=_RECENT)
        logger.remove()
        logger.add(
            file,
            format="{message}\n",
            level="DEBUG",
            rotation=rotation,
            retention=retention,
            backtrace=False,
            diagnose=False,  # it would print the values of variables
            catch=False,  # loguru would tell the terminal, with a traceback and all the lines
            errors="backslashreplace",  # the name of a file may be no text
        )
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def say(self, command: Say) -> None:
        """Log a sentence; returns at once."""
        wall, loud = time.time(), command.level in _LOUD
        if loud or command.incident:
            about = f"worker {command.slot}: " if command.slot else ""
            about += f"{command.ref}: " if command.ref else ""
            failure = bool(command.attempt and not command.incident)
            notice = Notice(_utc(wall), command.level, about + command.text, failure=failure)
            (self._failures if notice.failure else self._happenings).append(notice)
        if self._lines.qsize() >= _WAITING_LIMIT:
            self._lost += 1
            return
        self._lines.put((wall, command))
        if loud:
            self._hurry.set()

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
        self._lines.put(None)
        self._hurry.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        ended = False
        while not ended:
            lines = [self._lines.get()]
            self._hurry.wait(_GATHERING)
            self._hurry.clear()
            while len(lines) < _WAITING_LIMIT:
                try:
                    lines.append(self._lines.get_nowait())
                except Empty:
                    break
            ended = None in lines
            said = [line for line in lines if line is not None]
            for begin in range(0, len(said), _TOGETHER):
                self._write(said[begin : begin + _TOGETHER])
        logger.complete()
        with contextlib.suppress(OSError):  # what a full disk did not take before, it does not take now
            logger.remove()

    def _write(self, said: list[tuple[float, Say]]) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            text = f"{lost} lines were left out here, because the disk was full or too slow"
            said = [(said[0][0], Say("WARNING", text)), *said]
        try:
            logger.opt(raw=True).info("".join(self._line(*line) for line in said))
        except OSError:  # the run is paused for want of room, which whoever looks is told otherwise
            self._lost += lost + len(said) - bool(lost)

    def _line(self, wall: float, said: Say) -> str:
        if self._as_json:
            fields = {"time": _utc(wall), "level": said.level, "worker": said.slot, "ref": said.ref}
            return json.dumps(fields | {"attempt": said.attempt, "message": said.text}, ensure_ascii=False) + "\n"
        about = f" worker={said.slot}" if said.slot else ""
        about += f" ref={_one_word(said.ref)}" if said.ref else ""
        about += f" attempt={said.attempt}" if said.attempt else ""
        text = said.text.replace("\n", "\n    ")
        return f"{_utc(wall)} {said.level} supervisor{about} {text}\n"


def _utc(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_word(ref: str) -> str:
    plain = ref.isprintable() and " " not in ref and not ref.startswith('"')
    return ref if plain else json.dumps(ref)
